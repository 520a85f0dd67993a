//! `http` on the stand-in's relay, and the blocks it refuses.

use keyroll::{
    ids::KeyId,
    ports::{Ambiguity, Credential, Wanted},
    protocol::Refusal,
    secret::Secret,
};

use crate::{
    common::tombstone_for,
    provider::suite,
    provider_bench::{Bench, RELAY, build},
};

const NEXT: &str = "next: { page: { query: page } }";

#[tokio::test]
async fn keeps_the_contract_by_name() {
    let bench = Bench::relay().await;
    assert_eq!(bench.provider.traits().ambiguity, Ambiguity::Listable);
    assert!(bench.provider.switch().is_some() && bench.provider.usage().is_some());
    suite(&bench).await;
}

#[tokio::test]
async fn keeps_the_contract_by_replay() {
    let replayed = |block: &str| block.replace("secret: /key }", "secret: /key, idempotency_header: Idempotency-Key }");
    let bench = Bench::relay_with(replayed).await;
    assert_eq!(bench.provider.traits().ambiguity, Ambiguity::Replayed);
    suite(&bench).await;
}

#[tokio::test]
async fn keeps_the_contract_by_digest_and_without_a_switch() {
    let bare = |block: &str| {
        let kept = block.lines().filter(|line| !line.starts_with("disable:") && !line.starts_with("enable:"));
        kept.map(|line| format!("{}\n", line.replace("redacted: /redacted", "sha256: /sha256"))).collect()
    };
    let bench = Bench::relay_with(bare).await;
    assert!(bench.provider.switch().is_none());
    suite(&bench).await;
}

#[tokio::test]
async fn a_cursor_leads_through_all_pages() {
    // The OpenAI-like listing of the same keys, read by its cursor.
    let bench = Bench::openai().await;
    let block = format!(
        "base_url: {}\n{}probe: {{ path: /models }}\n",
        bench.server.base_url(),
        RELAY
            .replace("path: /keys\n", "path: /organization/projects/proj_sandbox/service_accounts?limit=2\n")
            .replace("items: /keys", "items: /data")
            .replace("enabled: { at: /disabled, is: false }", "enabled: { at: /role, is: member }")
            .replace(NEXT, "next: { cursor: { at: /last_id, query: after, more: /has_more } }")
    );
    let provider = build("http", &block, bench.server.admin_key()).unwrap_or_else(|fault| panic!("{}", fault.what));
    let listed = provider.list().await.expect("a listing");
    assert_eq!(listed.iter().map(|key| key.id.clone()).collect::<Vec<_>>(), bench.seeded);
    assert!(listed.iter().all(|key| key.enabled && key.created_at.is_some()));
}

#[tokio::test]
async fn a_paging_parameter_that_changes_nothing_is_found() {
    let bench = Bench::relay_with(|block| block.replace(NEXT, "next: { page: { query: seite } }")).await;
    let failure = bench.provider.list().await.expect_err("the first page for ever");
    assert!(failure.to_string().contains("each page is the same"), "{failure}");
}

#[tokio::test]
async fn an_answer_that_the_block_does_not_fit_is_unknown_not_empty() {
    for (from, to) in [("items: /keys", "items: /data"), ("  id: /id", "  id: /uuid")] {
        let bench = Bench::relay_with(|block| block.replace(from, to)).await;
        let failure = bench.provider.list().await.expect_err("no list");
        assert!(failure.hint.is_some_and(|hint| hint.contains("list")));
    }
    for (from, to) in [("secret: /key", "secret: /value"), (", id: /id,", ", id: /uuid,")] {
        let bench = Bench::relay_with(|block| block.replace(from, to)).await;
        let created = bench.provider.create(&Wanted::named("unread", "t")).await;
        let failure = created.err().expect("an unreadable answer");
        assert!(matches!(failure.fate, keyroll::ports::Fate::Unknown { .. }), "the key was made: {failure}");
        assert!(bench.server.keys().iter().any(|key| key.name == "unread"));
    }
}

#[tokio::test]
async fn names_and_ids_stay_in_their_place() {
    let bench = Bench::relay().await;
    let name = "{id}/../{token}?x=1&ä \"quoted\"";
    let minted = bench.provider.create(&Wanted::named(name, "t")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let listed = bench.provider.list().await.expect("a listing");
    let found = listed.iter().find(|key| key.id == minted.id).expect("listed");
    assert_eq!(found.name.as_deref(), Some(name));
    let deletes = || bench.server.requests().into_iter().filter(|(method, _)| method == "DELETE").map(|(_, path)| path).collect::<Vec<_>>();
    for id in ["..", ".", ""] {
        let failure = bench.provider.delete(&tombstone_for(&KeyId::new(id))).await.expect_err("no id");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid));
    }
    assert!(deletes().is_empty(), "an id that would name the collection is never sent");
    let failure = bench.provider.delete(&tombstone_for(&KeyId::new("a/../b?c#d%2e"))).await.expect_err("no such key");
    assert_eq!(failure.refusal(), Some(Refusal::Gone));
    assert_eq!(deletes(), ["/relay/keys/a%2F..%2Fb%3Fc%23d%252e"]);
}

#[tokio::test]
async fn a_full_quota_is_found_before_anything_begins() {
    let bench = Bench::relay_with(|block| format!("{block}quota: 5\nprincipal: team-a\n")).await;
    let problems = bench.provider.check().await.expect_err("five keys of five");
    assert!(problems[0].what.contains('5') && !problems[0].unreachable);
    assert!(bench.provider.principal().is_some_and(|principal| principal.as_str().contains("team-a")));
}

/// What a person types where the create tells neither id nor value.
#[tokio::test]
async fn by_hand_the_new_key_is_found_by_its_name() {
    let told = |block: &str| block.replace("id: /id, secret", "then: { method: POST, path: \"/keys/{id}/value\" }, secret");
    let bench = Bench::relay_with(|block| format!("{}value_prefix: sk-\n", told(block))).await;
    let create = bench.provider.by_hand(None).create;
    assert!(create[1].contains(r#"jq -r 'first(.keys[] | select(.name == "by-hand") | .id)'"#), "{create:?}");
    assert!(create[2].contains(r#"/keys/"$NEW_KEY_ID"/value"#) && create[2].contains("-X POST"), "{create:?}");
    assert!(create[3].starts_with("export NEW_KEY=$("), "{create:?}");
    for told in ["abc", "sk-abc"] {
        let script = format!("NEW_KEY={told}\n{}\nprintf %s \"$NEW_KEY\"", create[4]);
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "sk-abc", "{create:?}");
    }
}

#[tokio::test]
async fn without_a_proof_a_value_is_nobodys() {
    let bench = Bench::relay_with(|block| block.replace("  redacted: /redacted\n", "")).await;
    let (id, secret) = bench.server.seed_key("known");
    let listed = bench.provider.list().await.expect("a listing");
    assert_eq!(bench.provider.identify(&Credential { id: Some(id), secret }, &listed).await, Ok(None), "a claim is no proof");
}

#[test]
fn a_block_that_cannot_be_safe_is_refused() {
    let good = format!("base_url: https://relay.internal\n{RELAY}probe: {{ path: /v1/models }}\n");
    let admin = Secret::new("unused");
    assert!(build("http", &good, &admin).is_ok());
    for (from, to, says) in [
        ("{ bearer: env:ADMIN }", "{ bearer: sk-literal-1 }", "a secret must not stand"),
        ("{ bearer: env:ADMIN }", "{ text: Bearer sk-literal-1 }", "carries a credential"),
        ("{ bearer: env:ADMIN }", "Bearer sk-literal-1", "a header is"),
        ("{ bearer: env:ADMIN }", "{ sk-literal-1: x }", "a header is"),
        ("{ bearer: env:ADMIN }", "[sk-literal-1]", "a header is"),
        ("X-Tenant", "X Tenant", "header"),
        ("https://relay.internal", "https://me:sk-literal-1@relay.internal", "base_url"),
        ("  name: /name\n", "", "could not be settled"),
        ("name: \"{name}\"", "name: fixed", "could not be settled"),
        ("\"{token}\"", "\"{rotation}\"", "no placeholder"),
        ("path: \"/keys/{id}\" }", "path: /keys }", "names no key"),
        ("path: \"/keys/{id}\" }", "path: \"keys/{id}\" }", "begins with"),
        ("id: /id,", "id: id,", "JSON pointer"),
        ("id: /id,", "then: { path: /keys/value },", "names no key"),
        ("id: /id,", "then: { path: \"/keys/{name}\" },", "no placeholder"),
        ("enable: { method: PATCH, path: \"/keys/{id}\", body: { disabled: false } }\n", "", "go together"),
        ("{ path: /v1/models }", "{ path: /v1/models, url: \"https://relay.internal/x\" }", "either"),
        ("{ path: /v1/models }", "{ path: /v1/models, alive: [200, 401] }", "both"),
        ("{ path: /v1/models }", "{ path: /v1/models, dead: [401, 503] }", "4xx"),
        ("items: /keys", "itens: /keys", "items"),
    ] {
        let block = good.replacen(from, to, 1);
        assert_ne!(block, good, "{from} stands in the block");
        let Err(fault) = build("http", &block, &admin) else { panic!("{to}: built") };
        let text = format!("{fault:?}");
        assert!(text.contains(says), "{to}: {text}");
        assert!(!text.contains("sk-literal-1"), "{text}");
    }
}
