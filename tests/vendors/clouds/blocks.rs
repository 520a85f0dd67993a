//! What a playbook may say, and where calls go.

use super::*;

/// `check` is what finds a credential that may not, before a rotation begins.
#[tokio::test]
async fn a_credential_that_may_not_is_a_problem() {
    for vendor in clouds() {
        for code in [401, 403, 500] {
            let bench = Bench::new(vendor).await;
            bench.spoil(vendor.list, 1, status(code));
            assert!(bench.provider.check().await.is_err_and(|problems| !problems.is_empty()), "{}: {code}", vendor.name);
            assert!(bench.provider.check().await.is_ok(), "{}: {code}", vendor.name);
        }
    }
}

/// A real request names the model that was asked for and the most tokens by the vendor's own field; and no other refusal of it is a death.
#[tokio::test]
async fn a_prompt_is_what_was_asked() {
    fn right(call: &Call, field: &str, model: &str) -> bool {
        call.body["model"] == model && call.body[field] == keyroll::ports::PROMPT_TOKENS
    }
    fn wrong() -> Answer {
        (StatusCode::BAD_REQUEST, json!({ "error": { "message": "another body was expected" } })).into()
    }
    let shapes: [(Vendor, &str, crate::site::Shape); 4] = [
        (azure_openai::vendor(), "/openai/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_completion_tokens", "chat-production") => wrong(),
            _ => (azure_openai::vendor().shape)(keys, call),
        }),
        (bedrock::vendor(), "/model/*/converse", |keys, call| match call.path.starts_with("/model/") {
            true if call.body["inferenceConfig"]["maxTokens"] != keyroll::ports::PROMPT_TOKENS => wrong(),
            _ => (bedrock::vendor().shape)(keys, call),
        }),
        (fireworks::vendor(), "/inference/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_tokens", "accounts/fireworks/models/llama-v3p1-8b-instruct") => wrong(),
            _ => (fireworks::vendor().shape)(keys, call),
        }),
        (mistral::vendor(), "/v1/chat/completions", |keys, call| match call.path.ends_with("/completions") {
            true if !right(call, "max_tokens", "ministral-3b-latest") => wrong(),
            _ => (mistral::vendor().shape)(keys, call),
        }),
    ];
    for (vendor, path, shape) in shapes {
        let bench = Bench::new(Vendor { shape, ..vendor }).await;
        let (prompt, credential) = (bench.provider.prompt().expect("it answers prompts"), value(&bench, 0));
        let question = Question { model: vendor.model, stream: false };
        let spoken = prompt.prompt(&credential, &question).await;
        assert_eq!(spoken.map(|spoken| spoken.life), Ok(Life::Alive), "{}", vendor.name);
        for code in [401, 403, 404] {
            bench.spoil(("POST", path), 1, status(code));
            let spoken = prompt.prompt(&credential, &question).await;
            assert_eq!(spoken.map(|spoken| spoken.life), Ok(Life::Unclear), "{}: {code}", vendor.name);
        }
    }
}

/// A user has room for two keys: with both there is none, and the one that is switched off is named.
#[tokio::test]
async fn a_user_with_two_keys_has_no_room() {
    let bench = Bench::new(Vendor { seeds: 2, ..bedrock::vendor() }).await;
    bench.server.world().keys.all[1].enabled = false;
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| key.enabled).collect::<Vec<_>>(), [true, false]);
    let problems = bench.provider.check().await.expect_err("there is no room");
    assert!(
        problems[0].hint.contains(id(&bench, 1).as_str()) && !problems[0].hint.contains(id(&bench, 0).as_str()),
        "{}",
        problems[0].hint
    );
}

/// Users of one name in two accounts are two users.
#[tokio::test]
async fn bedrock_works_in_the_playbooks_account_alone() {
    for (number, right) in [("123456789012", true), ("210987654321", false)] {
        let block: fn(&str, &str) -> String = |url, admin| format!("account: \"123456789012\"\n{}", (bedrock::vendor().block)(url, admin));
        let shape: crate::site::Shape = |keys, call| match call.body["Action"] == "GetCallerIdentity" {
            true => {
                let told = json!({ "Arn": "arn:aws:iam::0:user/keyroll", "UserId": "AIDA1", "Account": "123456789012" });
                (StatusCode::OK, json!({ "GetCallerIdentityResponse": { "GetCallerIdentityResult": told } })).into()
            }
            false => (bedrock::vendor().shape)(keys, call),
        };
        let bench = Bench::new(Vendor { block, shape, ..bedrock::vendor() }).await;
        mangle(&bench, ("*", "*"), move |body| in_field(body, "Account", &|told| *told = number.into()));
        assert_eq!(bench.provider.check().await.is_ok(), right, "{number}");
    }
}

/// A block that would make another key than is meant, or name another place, is refused before anybody is called.
#[tokio::test]
async fn a_block_that_cannot_be_meant_is_refused() {
    let wrong: [(Vendor, &str, &str, &str); 13] = [
        (azure_openai::vendor(), "account: acme", "account: ..", "`account`"),
        (azure_openai::vendor(), "spare: unused", "spare: unused\nprobe: openai/models", "`probe`"),
        (bedrock::vendor(), "region: us-east-1", "region: us-east-1.evil.example/", "region"),
        (bedrock::vendor(), "user: chat", "user: path/chat", "user"),
        (bedrock::vendor(), "user: chat", "user: chat\naccount: \"12345\"", "account"),
        (cloudflare_account::vendor(), "account: 023e105f4ecef8ad9ca31a8372d0c353", "account: ..", "`account`"),
        (datadog::vendor(), "api_key:", "service_account: sa-1\napi_key:", "service account"),
        (datadog_application::vendor(), "service_account: sa-1", "service_account: ..", "id"),
        (deepgram::vendor(), "project:", "scopes: []\nproject:", "`scopes`"),
        (deepgram::vendor(), "project: 550e8400-e29b-41d4-a716-446655440000", "project: ..", "`project`"),
        (fireworks::vendor(), "user: inference", "user: ..", "`user`"),
        (mistral::vendor(), "admin_key:", "delete: /api-keys\nadmin_key:", "`delete`"),
        (mistral::vendor(), "admin_key:", "delete: api-keys/{key_id}\nadmin_key:", "`delete`"),
    ];
    for (vendor, right, instead, named) in wrong {
        let block = (vendor.block)("http://127.0.0.1:1", "env:ADMIN");
        assert!(block.contains(right) && built(vendor.name, &block).is_ok(), "{}", vendor.name);
        let Err(fault) = built(vendor.name, &block.replace(right, instead)) else { panic!("{}: {instead} was taken", vendor.name) };
        assert!(fault.what.contains(named), "{}: {instead}: {}", vendor.name, fault.what);
    }
}

/// A name with a slash in it stands in one segment of every address: it reaches no other account's keys.
#[tokio::test]
async fn a_slash_in_a_name_reaches_no_other_place() {
    for (vendor, right, field) in [
        (azure_openai::vendor(), "account: acme", "account"),
        (cloudflare_account::vendor(), "account: 023e105f4ecef8ad9ca31a8372d0c353", "account"),
        (datadog_application::vendor(), "service_account: sa-1", "service_account"),
        (deepgram::vendor(), "project: 550e8400-e29b-41d4-a716-446655440000", "project"),
        (fireworks::vendor(), "user: inference", "user"),
    ] {
        let bench = with(vendor, right, &format!("{field}: a/../b")).await;
        // One stand-in knows every account, and the others know only theirs.
        drop(bench.provider.list().await);
        let asked = bench.server.requests();
        assert!(!asked.is_empty() && asked.iter().all(|(_, path)| path.contains("a%2F..%2Fb")), "{}: {asked:?}", vendor.name);
    }
}

/// What the playbook says of a call is what is called: another path for a delete, another one to try a key on.
#[tokio::test]
async fn calls_go_where_the_playbook_says() {
    let bench = with(mistral::vendor(), "admin_key:", "delete: /keys/{key_id}/revoke\nadmin_key:").await;
    assert!(bench.provider.delete(&tombstone_for(&KeyId::new("a/b"))).await.is_err(), "nothing is there");
    assert_eq!(bench.server.requests(), [("DELETE".to_owned(), "/api/admin/keys/a%2Fb/revoke".to_owned())]);
    for (vendor, right, probe) in
        [(fireworks::vendor(), "work_url:", "probe_url: \"{url}/own/place\""), (azure_openai::vendor(), "spare:", "probe: /own/place")]
    {
        let bench = with(vendor, right, &format!("{probe}\n{right}")).await;
        assert_ne!(bench.provider.probe(&value(&bench, 0)).await, Ok(Life::Alive), "{}: nothing is there", vendor.name);
        assert_eq!(bench.server.requests(), [("GET".to_owned(), "/own/place".to_owned())], "{}", vendor.name);
    }
}

/// An empty key is none: its slot would be taken for one that holds a key.
#[tokio::test]
async fn an_empty_slot_is_not_told() {
    let bench = Bench::new(azure_openai::vendor()).await;
    let slots = azure_openai::vendor();
    mangle(&bench, slots.list, |body| body["key2"] = "".into());
    let failure = bench.provider.list().await.expect_err("it is never empty");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
    mangle(&bench, slots.create, |body| body["key2"] = "".into());
    let failure = create(&bench).await.err().expect("no value");
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
}

/// What this rotation regenerated is nobody's, whatever slot the playbook names for a first key.
#[tokio::test]
async fn a_slot_of_this_rotations_own_goes_before_the_playbooks() {
    let bench = Bench::new(azure_openai::vendor()).await;
    let before = [id(&bench, 0), id(&bench, 1)];
    bench.provider.delete(&tombstone_for(&before[0])).await.unwrap_or_else(|failure| panic!("{failure}"));
    let wanted = Wanted { listed: &before, ..Wanted::named("new", "token-1") };
    let made = bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(made.id.as_str().starts_with("Key1"), "{}", made.id);
    assert!(bench.provider.list().await.expect("a listing").iter().any(|key| key.id == before[1]), "the other one is untouched");
}

/// Playbooks of one account or user must not run at once; Azure takes names in upper and in lower case for the same.
#[tokio::test]
async fn one_principal_is_one_however_it_is_written() {
    let principal = |vendor: Vendor, right: &str, instead: &str| {
        let block = (vendor.block)("http://127.0.0.1:1", "env:ADMIN").replace(right, instead);
        built(vendor.name, &block).unwrap_or_else(|fault| panic!("{}", fault.what)).principal().expect("keys share one")
    };
    let azures = |account| principal(azure_openai::vendor(), "account: acme", account);
    assert_eq!(azures("account: acme"), azures("account: ACME"));
    assert_ne!(azures("account: acme"), azures("account: other"));
    let bedrocks = |user| principal(bedrock::vendor(), "user: chat", user);
    assert_ne!(bedrocks("user: chat"), bedrocks("user: batch"));
    assert_ne!(bedrocks("user: chat\naccount: \"123456789012\""), bedrocks("user: chat\naccount: \"210987654321\""));
}

/// A person's own commands name the key that goes, and none that stays.
#[tokio::test]
async fn commands_by_hand_name_the_key_that_goes() {
    for vendor in clouds() {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        let named = if vendor.name == "azure_openai" { "Key1" } else { old.as_str() };
        let hand = bench.provider.by_hand(Some(&old));
        let (create, revoke) = (hand.create.join("\n"), hand.revoke.join("\n"));
        assert!(revoke.contains(named) && !create.contains(named), "{}: {create}\n{revoke}", vendor.name);
        assert!(create.contains("NEW_KEY=") && create.contains("NEW_KEY_ID="), "{}: {create}", vendor.name);
        let unknown = bench.provider.by_hand(None).revoke.join("\n");
        assert!(unknown.contains("LEAKED_KEY_ID") && !unknown.contains(named), "{}: {unknown}", vendor.name);
    }
}

/// A token of Entra is used no longer than it is said to live; one of which nothing is said is used once.
#[tokio::test]
async fn a_token_is_not_used_past_its_end() {
    for (lives, asked) in [(json!(3599), 1), (json!(299), 2), (Value::Null, 2)] {
        let client = "login: { client: { tenant: dir-1, client_id: app-1, client_secret: env:ADMIN, authority: \"{url}\" } }";
        let bench = with(azure_openai::vendor(), "login: { token: env:ADMIN }", client).await;
        let told = lives.clone();
        mangle(&bench, ("POST", "/dir-1/oauth2/v2.0/token"), move |body| match told.is_null() {
            true => drop(body.as_object_mut().map(|token| token.remove("expires_in"))),
            false => body["expires_in"] = told.clone(),
        });
        for _ in 0..2 {
            bench.provider.list().await.unwrap_or_else(|failure| panic!("{failure}"));
        }
        assert_eq!(bench.server.count("POST", "/dir-1/oauth2/v2.0/token"), asked, "{lives}");
    }
}
