//! What a key may do is told, and compared.

use super::*;

/// The same month, whichever way LiteLLM writes it: a budget of `1mo` is not wider than one of `30d`.
#[tokio::test]
async fn two_names_of_a_month_are_one_budget() {
    let bench = Bench::new(litellm::vendor()).await;
    let old = id(&bench, 0);
    let limits = Limits { monthly: Some(20.0), ..Limits::NONE };
    let had = attributes(&bench).of(&old).await.expect("told");
    let planned = attributes(&bench).planned(Some(Like::Key(&old)), &limits).await.expect("planned");
    assert_eq!(widened(&had, &planned), Vec::<String>::new(), "{had:?}, {planned:?}");
}

/// A list of services with nothing in it forbids nothing, so a key that names one is narrower.
#[tokio::test]
async fn an_empty_restriction_of_google_is_none() {
    let bench = Bench::new(gemini::vendor()).await;
    bench.server.world().keys.all[0].more["restrictions"]["apiTargets"] = json!([]);
    let bounds = attributes(&bench).of(&id(&bench, 0)).await.expect("told");
    assert_eq!(bounds.get("apiTargets"), Some(&Bound::Only(None)));
    assert!(widened(&attributes(&bench).of(&id(&bench, 1)).await.expect("told"), &bounds).contains(&"apiTargets".to_owned()));
}

/// Google owes nobody an order of an answer's fields: the same restriction in another order is not a wider one.
#[tokio::test]
async fn the_order_of_fields_is_no_restriction_of_google() {
    let bench = Bench::new(gemini::vendor()).await;
    let service = "generativelanguage.googleapis.com";
    for (nth, target) in
        [json!({ "service": service, "methods": ["Get*"] }), json!({ "methods": ["Get*"], "service": service })].iter().enumerate()
    {
        bench.server.world().keys.all[nth].more["restrictions"]["apiTargets"] = json!([target]);
    }
    let port = attributes(&bench);
    let (one, other) = (port.of(&id(&bench, 0)).await.expect("told"), port.of(&id(&bench, 1)).await.expect("told"));
    assert_eq!((widened(&one, &other), widened(&other, &one)), (vec![], vec![]), "{one:?}, {other:?}");
}

/// What a plan shows of a key is what the vendor tells of it, each limit by its name.
#[tokio::test]
async fn what_a_key_may_do_is_told_whole() {
    let only = |all: &[&str]| Bound::Only(Some(all.iter().map(|one| (*one).to_owned()).collect()));
    let service = r#"{"methods":["Get*","GenerateContent"],"service":"generativelanguage.googleapis.com"}"#;
    let table = [
        (gemini::vendor(), vec![("apiTargets", only(&[service])), ("serverKeyRestrictions", only(&["192.0.2.0/24"]))]),
        (
            litellm::vendor(),
            vec![
                ("models", only(&["gpt-4o-mini", "text-embedding-3-small"])),
                ("allowed_routes", only(&["/chat/completions"])),
                ("max_budget in USD (1mo)", Bound::Most(Some(50.0))),
                ("rpm_limit", Bound::Most(Some(600.0))),
                ("tpm_limit", Bound::Most(Some(100_000.0))),
                ("max_parallel_requests", Bound::Most(Some(20.0))),
                ("team_id", Bound::Is("team-a".into())),
            ],
        ),
        (
            openrouter::vendor(),
            vec![
                ("limit in USD (monthly)", Bound::Most(Some(50.0))),
                ("include_byok_in_limit", Bound::Is("true".into())),
                ("workspace", Bound::Is("0df9e665".into())),
                ("expires_at", Bound::Until(None)),
            ],
        ),
        (
            xai::vendor(),
            vec![
                ("acls", only(&["api-key:endpoint:chat", "api-key:model:grok-4"])),
                ("qps", Bound::Most(Some(5.0))),
                ("qpm", Bound::Most(Some(100.0))),
                ("tpm", Bound::Most(Some(100_000.0))),
            ],
        ),
    ];
    for (vendor, bounds) in table {
        let bench = Bench::new(vendor).await;
        let told = attributes(&bench).of(&id(&bench, 0)).await.expect("told");
        for (name, bound) in bounds {
            assert_eq!(told.get(name), Some(&bound), "{}: {name}", vendor.name);
        }
    }
}

/// A plan says which of a playbook's limits the vendor itself will hold a key to.
#[tokio::test]
async fn it_is_told_which_limits_a_key_is_given() {
    for (vendor, told) in [
        (gemini::vendor(), (false, false)),
        (litellm::vendor(), (true, true)),
        (openrouter::vendor(), (true, false)),
        (xai::vendor(), (false, true)),
    ] {
        let enforces = Bench::new(vendor).await.provider.enforces();
        assert_eq!((enforces.monthly, enforces.rate, enforces.alerts), (told.0, told.1, false), "{}", vendor.name);
    }
}
