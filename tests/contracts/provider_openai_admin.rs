//! `openai_admin` on the stand-in.

use std::{sync::Arc, time::Duration};

use keyroll::{
    adapters::{Ctx, build::build as build_all, registry::Registry, secrets, wire::Wire},
    ids::KeyId,
    playbook::{Playbook, Source},
    ports::{Credential, Like, Wanted},
    protocol::Refusal,
    sandbox::provider::SandboxProvider,
    secret::Secret,
};

use crate::{
    common::tombstone_for,
    openai_spec::Witness,
    provider::{clean, suite},
    provider_bench::{Bench, OWN, build},
};

#[tokio::test]
async fn keeps_the_contract() {
    suite(&Bench::openai_admin().await).await;
}

#[tokio::test]
async fn keeps_the_contract_where_deletes_take_time() {
    let mut bench = Bench::openai_admin().await;
    bench.server.dies_after(Duration::from_millis(300));
    bench.at_once = false;
    suite(&bench).await;
}

/// The whole contract and a lifetime: each request and each answer as OpenAI's specification has them.
#[tokio::test]
async fn speaks_as_the_specification_says() {
    let server = SandboxProvider::start().await.expect("a port");
    let witness = Witness::before(server.base_url()).await;
    let bench = Bench::openai_admin_at(server, &witness.url);
    suite(&bench).await;
    let (ends, _) = bench.server.seed_admin_key("ends", Some(Duration::from_secs(7 * 86_400)));
    let wanted = Wanted { like: Some(Like::Key(&ends)), ..Wanted::named("new", "t") };
    bench.provider.create(&wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
    witness.all_right(|(_, path)| path.contains("admin_api_keys"));
}

#[tokio::test]
async fn the_key_that_is_called_with_is_never_deleted() {
    let bench = Bench::openai_admin().await;
    let own = bench.server.admin_keys()[0].id.clone();
    let failure = bench.provider.delete(&tombstone_for(&own)).await.expect_err("its own key");
    assert_eq!(failure.refusal(), Some(Refusal::Invalid));
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains(OWN)), "{failure:?}");
    clean(&bench, &failure, bench.server.admin_key());
    assert_eq!(bench.server.count("DELETE", bench.delete), 0, "it was not even asked for");
    assert!(bench.server.admin_keys()[0].live);
}

#[tokio::test]
async fn a_key_of_which_nothing_is_shown_is_not_deleted() {
    let bench = Bench::openai_admin().await;
    let (id, _) = bench.seed("hidden");
    for redacted in ["sk-admin", "sk-admin...", "...yz", ""] {
        bench.server.show_admin_key_as(&id, redacted);
        let failure = bench.provider.delete(&tombstone_for(&id)).await.expect_err("it may be our own");
        assert_eq!(failure.refusal(), Some(Refusal::Invalid), "{redacted}");
    }
    assert_eq!(bench.server.count("DELETE", bench.delete), 0);
}

#[tokio::test]
async fn a_look_that_fails_deletes_and_creates_nothing() {
    use keyroll::{ports::Fate, sandbox::provider::Fault};
    let bench = Bench::openai_admin().await;
    let (id, _) = bench.seed("looked at");
    bench.server.inject("GET", bench.delete, 1, Fault::DropAfter);
    let failure = bench.provider.delete(&tombstone_for(&id)).await.expect_err("the look failed");
    assert!(matches!(failure.fate, Fate::NotSent { .. }), "nothing was changed: {failure:?}");
    bench.server.inject("GET", bench.delete, 1, Fault::DropAfter);
    let created = bench.provider.create(&Wanted { like: Some(Like::Key(&id)), ..Wanted::named("new", "t") }).await;
    assert!(matches!(created.err().expect("the look failed").fate, Fate::NotSent { .. }));
    assert_eq!((bench.server.count("DELETE", bench.delete), bench.server.count("POST", bench.create)), (0, 0));
}

#[tokio::test]
async fn a_new_key_lives_as_long_as_the_one_it_is_like() {
    let bench = Bench::openai_admin().await;
    let week = Duration::from_secs(7 * 86_400);
    let (ends, _) = bench.server.seed_admin_key("ends", Some(week));
    let like = |like| Wanted { like, ..Wanted::named("new", "t") };
    let forever = bench.provider.create(&like(Some(Like::Key(&bench.seeded[1])))).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(forever.expires_at, None);
    let made = bench.provider.create(&like(Some(Like::Key(&ends)))).await.unwrap_or_else(|failure| panic!("{failure}"));
    let lives = made.expires_at.zip(made.created_at).map(|(end, begin)| end - begin);
    assert_eq!(lives.and_then(|lives| lives.to_std().ok()), Some(week));
    let gone = KeyId::new("key_none");
    let failure = bench.provider.create(&like(Some(Like::Key(&gone)))).await.err().expect("what it was like is not known");
    assert_eq!(failure.refusal(), Some(Refusal::Gone));
}

#[tokio::test]
async fn two_keys_that_look_alike_are_nobodys() {
    let bench = Bench::openai_admin().await;
    let (id, secret) = bench.seed("shown");
    let credential = Credential { id: None, secret };
    let listed = bench.provider.list().await.expect("a listing");
    let found = bench.provider.identify(&credential, &listed).await.expect("an answer");
    assert_eq!(found.map(|(found, _)| found), Some(id));
    let like = format!("sk-admin...{}", &credential.secret.reveal()[credential.secret.reveal().len() - 4..]);
    bench.server.show_admin_key_as(&bench.seeded[2], &like);
    assert_eq!(bench.provider.identify(&credential, &listed).await, Ok(None));
}

#[tokio::test]
async fn by_hand_the_old_key_is_deleted_with_the_new_one() {
    let bench = Bench::openai_admin().await;
    let hands = bench.provider.by_hand(Some(&KeyId::new("key_old")));
    assert!(hands.create[0].contains("vault kv get -field=admin_key secret/ops/openai-admin"), "{:?}", hands.create);
    assert!(hands.create[1].contains("jq -r .value"), "{:?}", hands.create);
    assert!(hands.revoke[0].contains("${NEW_KEY:?") && !hands.revoke[0].contains("vault kv get"), "{:?}", hands.revoke);
    assert!(hands.revoke[0].ends_with("/organization/admin_api_keys/key_old"), "{:?}", hands.revoke);
}

#[test]
fn a_key_that_would_not_change_with_the_store_is_refused() {
    let admin = Secret::new("sk-admin-x");
    for (block, says) in [
        ("admin_key: env:ADMIN", "delete itself"),
        ("admin_key: file:/run/admin", "delete itself"),
        ("admin_key: sk-admin-literal", "a secret must not stand"),
        ("admin_key: vault:secret/a#b\nbase_url: api.openai.com", "base_url"),
        ("admin_key: vault:secret/a#b\nproject: proj_1", "unknown field"),
    ] {
        let Err(fault) = build("openai_admin", block, &admin) else { panic!("{block}: built") };
        let text = format!("{fault:?}");
        assert!(text.contains(says) && !text.contains("sk-admin-literal"), "{block}: {text}");
    }
}

#[test]
fn the_first_store_must_write_what_is_called_with() {
    let vault = "vault_kv2: { address: \"https://vault.internal\", auth: { token: env:T }, mount: kv, path: ops/openai }";
    let json = "aws_secretsmanager: { secret_id: ops/openai, region: eu-central-1 }";
    let text = "aws_secretsmanager: { secret_id: ops/openai, region: eu-central-1, format: text }";
    let file = "file: { path: /etc/openai, format: raw }";
    for (store, field, own, instead) in [
        (vault, "key", "vault:kv/ops/openai#key", None),
        (json, "key", "aws:ops/openai#key", None),
        (text, "value", "aws:ops/openai", None),
        (vault, "key", "vault:kv/ops/openai#other", Some("vault:mount/path#field")),
        (vault, "key", "vault:secret/ops/openai#key", Some("vault:mount/path#field")),
        (vault, "key", "aws:ops/openai#key", Some("vault:mount/path#field")),
        (json, "key", "aws:ops/openai", Some("aws:secret-id#field")),
        (file, "value", "vault:kv/ops/openai#key", Some("vault_kv2")),
    ] {
        let book = format!(
            "keyroll: 1\nname: admin\nprovider:\n  openai_admin: {{ admin_key: \"{own}\" }}\nstores:\n  - {store}\n    write: {{ {field}: secret }}\n    \
             stale_for: 0s\nconsumers:\n  - name: nightly\n    job: {{ runs_every: 24h, max_run: 1h }}\nverify: {{ within: 1m, stable_for: 0s, every: 1s }}\nrevoke: {{ grace: 1h }}\n"
        );
        let source = Arc::new(Source { name: "test.yaml".into(), text: book });
        let playbook = Playbook::parse(source).unwrap_or_else(|faults| panic!("{faults:?}"));
        let wire = Wire::new().expect("TLS");
        let built = build_all(&playbook, &Registry::builtin(), &Ctx { secrets: secrets::resolver(&wire), wire });
        match (built, instead) {
            (Ok(_), None) => {}
            (Err(faults), Some(instead)) => {
                assert_eq!(faults.len(), 1, "{faults:?}");
                assert!(faults[0].at.is_some() && format!("{faults:?}").contains(instead), "{own}: {faults:?}");
            }
            (built, _) => panic!("{own} at {store}: {built:?}"),
        }
    }
}
