//! What a playbook may say, and where calls go.

use super::*;

/// A prompt costs no more than it must: the model that was asked for, few tokens, and a stream only where one is wanted.
#[tokio::test]
async fn a_prompt_asks_for_what_was_asked() {
    let table = [
        (litellm::vendor(), "/v1/chat/completions", "max_tokens"),
        (openrouter::vendor(), "/api/v1/chat/completions", "max_tokens"),
        (xai::vendor(), "/v1/chat/completions", "max_completion_tokens"),
    ];
    for (vendor, path, most) in table {
        let bench = Bench::new(vendor).await;
        let prompt = bench.provider.prompt().expect("it can be asked");
        for stream in [false, true] {
            prompt.prompt(&value(&bench, 0), &Question { model: vendor.model, stream }).await.expect("an answer");
        }
        let told = bench.server.bodies("POST", path);
        let told: Vec<_> = told.iter().map(|body| (body["model"].as_str(), body[most].as_u64(), body["stream"] == true)).collect();
        let most = Some(u64::from(PROMPT_TOKENS));
        assert_eq!(told, [(Some(vendor.model), most, false), (Some(vendor.model), most, true)], "{}", vendor.name);
    }
    let bench = Bench::new(gemini::vendor()).await;
    let prompt = bench.provider.prompt().expect("it can be asked");
    for (model, stream) in [("gemini-2.5-pro", false), ("models/gemini-2.5-pro", true)] {
        prompt.prompt(&value(&bench, 0), &Question { model, stream }).await.expect("an answer");
    }
    for verb in ["generateContent", "streamGenerateContent"] {
        let told = bench.server.bodies("POST", &format!("/v1beta/models/gemini-2.5-pro:{verb}"));
        assert_eq!(told.len(), 1, "{verb}");
        assert_eq!(told[0]["generationConfig"]["maxOutputTokens"], PROMPT_TOKENS, "{verb}");
    }
}

/// OpenRouter, asked for the keys of one workspace.
fn workspace() -> Vendor {
    Vendor {
        block: |url, admin| format!("management_key: {admin}\nworkspace: ws-1\nbase_url: \"{url}/api/v1\""),
        seeds: 3,
        ..openrouter::vendor()
    }
}

/// The keys of other workspaces are none of ours, and a key stays in the workspace of the one that it is like.
#[tokio::test]
async fn a_key_of_openrouter_is_made_in_its_workspace() {
    let bench = Bench::new(workspace()).await;
    bench.server.world().keys.all[1].more["workspace_id"] = "ws-1".into();
    let (elsewhere, ours) = (id(&bench, 0), id(&bench, 1));
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| &key.id).collect::<Vec<_>>(), [&ours]);
    let kept = attributes(&bench).keep(&elsewhere).await.expect("kept");
    let table = [
        (None, "ws-1"),
        (Some(Like::Key(&ours)), "ws-1"),
        (Some(Like::Key(&elsewhere)), "0df9e665"),
        (Some(Like::Gone(&kept)), "0df9e665"),
    ];
    for (like, workspace) in table {
        let minted = bench.provider.create(&Wanted { like, ..Wanted::named("new", "token-1") }).await.expect("a key");
        assert_eq!(key(&bench, &minted.id).more["workspace_id"], workspace, "{like:?}");
    }
}

/// A block that would make a key for everything, or that leads out of its path, is refused before anything is called.
#[test]
fn a_block_that_reaches_too_far_is_refused() {
    for (name, block, says) in [
        ("gemini", "project: prod-1\ntoken: env:ADMIN\nservices: []", "services"),
        ("gemini", "project: ..\ntoken: env:ADMIN", "project"),
        ("xai", "team: ..\nmanagement_key: env:ADMIN", "team"),
    ] {
        let Err(fault) = built(name, block) else { panic!("{block}: built") };
        assert!(fault.what.contains(says), "{block}: {}", fault.what);
    }
}

/// An id that leads out of its place names no other key: it is one name, whatever stands in it.
#[tokio::test]
async fn an_id_with_a_slash_names_no_other_key() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        let old = id(&bench, 0);
        for odd in [format!("none/../{old}"), format!("{old}?all=true"), format!("{old}#")] {
            let failure = bench.provider.delete(&tombstone_for(&KeyId::new(&odd))).await.expect_err("there is no such key");
            assert_eq!(failure.refusal(), Some(Refusal::Gone), "{}: {odd}: {failure}", vendor.name);
        }
        assert!(key(&bench, &old).live(), "{}", vendor.name);
    }
}

/// A credential that may not, or a vendor that does not answer, is found before a rotation and not in it.
#[tokio::test]
async fn a_check_that_is_not_let_in_says_what_to_do() {
    for vendor in [gemini::vendor(), litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        for (code, unreachable) in [(401, false), (403, false), (404, false), (503, true)] {
            bench.spoil(vendor.list, 1, Fault::Status { code, retry_after: None });
            let problems = bench.provider.check().await.expect_err("a problem");
            assert_eq!(problems.iter().map(|problem| problem.unreachable).collect::<Vec<_>>(), [unreachable], "{}: {code}", vendor.name);
            assert!(!problems[0].hint.is_empty(), "{}: {code}", vendor.name);
        }
    }
}

/// A key that cannot be sent in a header is said to be unfit, and nothing of it is shown.
#[tokio::test]
async fn a_key_of_google_with_a_newline_is_not_sent() {
    let bench = Bench::new(gemini::vendor()).await;
    let broken = Credential { id: None, secret: Secret::new("AIzaSy-with-a\nnewline") };
    let failure = bench.provider.probe(&broken).await.expect_err("no header holds it");
    assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{failure}");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("newline")) && !format!("{failure:?}").contains("AIzaSy"));
    assert_eq!(bench.server.requests(), []);
}

/// What a person types takes the value and the id from where the vendor's answer has them, and deletes this very key.
#[tokio::test]
async fn by_hand_a_key_is_found_in_the_vendors_answer() {
    for vendor in [litellm::vendor(), openrouter::vendor(), xai::vendor()] {
        let bench = Bench::new(vendor).await;
        let answer = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
        let seen = answer.clone();
        mangle(&bench, vendor.create, move |body| *seen.lock().expect("not poisoned") = body.clone());
        let minted = bench.provider.create(&Wanted::named("new", "token-1")).await.unwrap_or_else(|failure| panic!("{failure}"));
        let hands = bench.provider.by_hand(Some(&minted.id));
        let places = hands.create[1].split("jq -r ").skip(1).map(|rest| rest.split(')').next().unwrap_or_default().replace('.', "/"));
        let answer = answer.lock().expect("not poisoned").clone();
        let found: Vec<_> = places.map(|place| answer.pointer(&place).and_then(Value::as_str).map(str::to_owned)).collect();
        assert!(found == [Some(minted.secret.reveal().to_owned()), Some(minted.id.to_string())], "{}: {}", vendor.name, hands.create[1]);
        let revoke = &hands.revoke[0];
        assert!(revoke.contains(minted.id.as_str()) && revoke.contains(&format!("-X {}", vendor.delete.0)), "{}: {revoke}", vendor.name);
    }
}
