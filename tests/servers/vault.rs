//! Vault itself: the contract suites, and what goes wrong with a real one.

use crate::vault_bench::World;

/// The address and the root token: `KEYROLL_TEST_VAULT` is the line that the server prints, or an address beside
/// `KEYROLL_TEST_VAULT_TOKEN`. `KEYROLL_TEST_VAULT_CA` names the authority's file where it serves HTTPS.
pub fn world() -> World {
    told("KEYROLL_TEST_VAULT")
}

/// A second Vault (`KEYROLL_TEST_VAULT_SPARE`, in the same form), which no other test needs.
fn spare() -> World {
    told("KEYROLL_TEST_VAULT_SPARE")
}

pub fn told(variable: &str) -> World {
    let told = crate::server(variable);
    let world = match serde_json::from_str::<serde_json::Value>(&told) {
        Ok(line) => {
            let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("{variable} has no {name}")).to_owned();
            World::new(&text("address"), &text("root_token"))
        }
        Err(_) => World::new(&told, &crate::server(&format!("{variable}_TOKEN"))),
    };
    match std::env::var(format!("{variable}_CA")) {
        Ok(ca) => world.trusting(&ca),
        Err(_) => world,
    }
}

/// The address and the root token, for tests of other files.
pub fn server() -> (String, String) {
    let world = world();
    (world.address.clone(), world.token.clone())
}

mod store {
    async fn fresh() -> crate::vault_bench::VaultBench {
        super::world().bench()
    }

    crate::store::store_suite!(fresh);
}

mod approle {
    use keyroll::{
        ports::{Credential, Life, Like, Provider, Wanted},
        secret::Secret,
    };
    use serde_json::json;

    use super::world;
    use crate::{common::tombstone_for, provider::ProviderBench, vault_bench::a_copy_keeps_its_limits};

    #[tokio::test]
    async fn keeps_the_contract_of_a_provider() {
        let bench = world().approle_bench(json!({ "token_policies": "default" })).await;
        crate::provider::suite(&bench).await;
        a_copy_keeps_its_limits(&bench).await;
    }

    /// Five failed logins would lock the role for everybody.
    #[tokio::test]
    async fn proof_of_death_locks_nobody_out() {
        let bench = world().approle_bench(json!({ "token_policies": "default" })).await;
        let provider = bench.provider();
        let make = async |name: &str| provider.create(&Wanted::named(name, name)).await.expect("made");
        let (live, dead) = (make("live").await, make("dead").await);
        provider.delete(&tombstone_for(&dead.id)).await.expect("deleted");
        let dead = Credential { id: None, secret: dead.secret };
        for _ in 0..12 {
            assert_eq!(provider.probe(&dead).await.expect("told"), Life::Dead);
        }
        let live = Credential { id: None, secret: live.secret };
        assert_eq!(provider.probe(&live).await.expect("told"), Life::Alive);
    }

    #[tokio::test]
    async fn a_secret_id_of_few_uses_is_refused() {
        let bench = world().approle_bench(json!({ "secret_id_num_uses": 5 })).await;
        let problems = bench.provider().check().await.expect_err("a problem");
        assert!(problems.iter().any(|problem| problem.what.contains("5 times")), "{problems:?}");
    }

    /// A role or a mount that is not there must never look like a deleted key.
    #[tokio::test]
    async fn a_missing_role_is_no_proof_of_death() {
        let bench = world().approle_bench(json!({})).await;
        bench.world.must("DELETE", &format!("auth/approle/role/{}", bench.role), serde_json::Value::Null).await;
        let provider = bench.provider();
        let any = Credential { id: None, secret: Secret::new("any") };
        assert!(provider.probe(&any).await.is_err());
        assert!(provider.list().await.is_err());
        assert!(provider.check().await.is_err());
        assert!(provider.create(&Wanted::named("x", "x")).await.is_err());
    }

    /// A secret id that Vault keeps, used from an address it may not be used from, is not dead.
    #[tokio::test]
    async fn a_refused_address_is_no_proof_of_death() {
        let bench = world().approle_bench(json!({})).await;
        let path = format!("auth/approle/role/{}/secret-id", bench.role);
        let made = bench.world.must("POST", &path, json!({ "cidr_list": ["192.0.2.0/24"] })).await;
        let secret = Secret::new(made["data"]["secret_id"].as_str().expect("a secret id"));
        assert_eq!(bench.provider().probe(&Credential { id: None, secret }).await.expect("told"), Life::Unclear);
    }

    #[tokio::test]
    async fn the_policy_that_check_asks_for_is_enough() {
        let bench = world().approle_bench(json!({})).await;
        let weak = bench.with_policy(r#"path "nothing" { capabilities = ["read"] }"#).await;
        let problems = weak.check().await.expect_err("no rights");
        let lines: Vec<_> = problems.iter().flat_map(|problem| problem.hint.lines()).filter(|line| line.starts_with("path ")).collect();
        assert_eq!(lines.len(), 6, "{problems:?}");
        let fit = bench.with_policy(&lines.join("\n")).await;
        assert_eq!(fit.check().await, Ok(()));
        let made = fit.create(&Wanted { like: Some(Like::Key(&bench.seeded()[0])), ..Wanted::named("mine", "mine") }).await.expect("made");
        let listed = fit.list().await.expect("listed");
        assert!(listed.iter().any(|key| key.id == made.id && key.name.as_deref() == Some("mine")));
        fit.delete(&tombstone_for(&made.id)).await.expect("deleted");
    }
}

mod bad_luck {
    use std::collections::BTreeMap;

    use keyroll::{
        adapters::store::vault_kv2::VaultKv2,
        ids::{RotationId, Version},
        ports::{Change, Failure, Fate, Got, Mark, Problem, Store},
        protocol::Refusal,
        secret::Secret,
    };
    use serde_json::{Value, json};

    use super::{spare, world};
    use crate::vault_bench::{World, name};

    async fn put(store: &VaultKv2, base: Option<&Version>, value: &str) -> Got<Version> {
        let fields = BTreeMap::from([("api_key".to_owned(), Secret::new(value))]);
        let mark = Mark { journal: "journal".into(), rotation: RotationId::new("rotation") };
        store.write(&Change { base, fields: &fields, token: "token", mark: &mark }).await
    }

    fn hint(failure: &Failure) -> &str {
        failure.hint.as_deref().unwrap_or_default()
    }

    async fn problems(store: &VaultKv2) -> Vec<Problem> {
        store.check().await.expect_err("a problem")
    }

    fn tells(problems: &[Problem], hint: &str) {
        assert!(problems.iter().any(|problem| problem.hint.contains(hint)), "{problems:?}");
    }

    fn with_token(world: &World, token: &str, path: &str) -> VaultKv2 {
        world.store_with(json!({ "token": world.keep(token) }), "secret", path)
    }

    #[tokio::test]
    async fn a_wrong_token() {
        let world = world();
        let store = with_token(&world, "hvs.wrong", "a");
        let failure = store.read().await.err().expect("denied");
        assert_eq!(failure.refusal(), Some(Refusal::Denied));
        assert!(hint(&failure).starts_with("permission denied: check the token at file:"), "{failure:?}");
        tells(&problems(&store).await, "check the token at file:");
        let broken = with_token(&world, "two\nlines", "a");
        assert_eq!(broken.read().await.err().and_then(|failure| failure.refusal()), Some(Refusal::Denied));
    }

    #[tokio::test]
    async fn no_right_to_the_path() {
        let world = world();
        let path = name("closed");
        let weak = world.limited(&format!(r#"path "secret/data/{path}" {{ capabilities = ["read"] }}"#), 60).await;
        let store = with_token(&world, &weak, &path);
        let found = problems(&store).await;
        tells(&found, &format!(r#"path "secret/data/{path}" {{ capabilities = ["create", "read", "update"] }}"#));
        tells(&found, &format!(r#"path "secret/metadata/{path}" {{ capabilities = ["read", "patch"] }}"#));
        let failure = put(&store, None, "sk-canary").await.expect_err("denied");
        assert_eq!(failure.refusal(), Some(Refusal::Denied));
        assert!(hint(&failure).contains(&format!(r#"path "secret/data/{path}" {{ capabilities = ["create", "update"] }}"#)), "{failure:?}");

        let lines: Vec<_> =
            found.iter().filter_map(|problem| problem.hint.split_once("path ")).map(|(_, line)| format!("path {line}")).collect();
        let fit = with_token(&world, &world.limited(&lines.join("\n"), 60).await, &path);
        assert_eq!(fit.check().await, Ok(()), "what check asks for is enough");
        put(&fit, None, "sk-canary").await.expect("written");
        assert!(fit.mark().await.expect("readable").is_some());
    }

    /// Without the right to patch, the mark is merged by us.
    #[tokio::test]
    async fn marks_without_patch() {
        let world = world();
        let path = name("marks");
        world
            .must("POST", &format!("secret/metadata/{path}"), json!({ "custom_metadata": { "owner": "team-a" }, "max_versions": 7 }))
            .await;
        let policy = format!(
            r#"path "secret/data/{path}" {{ capabilities = ["create", "read", "update"] }}
               path "secret/metadata/{path}" {{ capabilities = ["read", "update"] }}"#
        );
        let store = with_token(&world, &world.limited(&policy, 60).await, &path);
        assert_eq!(store.check().await, Ok(()));
        put(&store, None, "sk-canary").await.expect("written");
        let after = world.must("GET", &format!("secret/metadata/{path}"), Value::Null).await;
        let marks = json!({ "owner": "team-a", "keyroll_journal": "journal", "keyroll_rotation": "rotation" });
        assert_eq!(after["data"]["custom_metadata"], marks);
        assert_eq!(after["data"]["max_versions"], 7);
    }

    #[tokio::test]
    async fn the_wrong_kind_of_mount() {
        let world = world();
        let old = name("kv1");
        world.must("POST", &format!("sys/mounts/{old}"), json!({ "type": "kv", "options": { "version": "1" } })).await;
        let auth = || json!({ "token": world.keep(&world.token) });
        tells(&problems(&world.store_with(auth(), &old, "a")).await, &format!("vault kv enable-versioning {old}"));
        tells(&problems(&world.store_with(auth(), "cubbyhole", "a")).await, "correct `mount`");
        let missing = world.store_with(auth(), "missing", "a");
        tells(&problems(&missing).await, "vault secrets enable -path=missing kv-v2");
        for failure in [missing.read().await.err(), put(&missing, None, "sk-canary").await.err()] {
            assert!(hint(&failure.expect("no mount")).contains("nothing is mounted at missing"));
        }
    }

    /// A mount's name may have slashes.
    #[tokio::test]
    async fn a_deep_mount() {
        let world = world();
        let mount = format!("team/{}", name("kv"));
        world.must("POST", &format!("sys/mounts/{mount}"), json!({ "type": "kv-v2" })).await;
        let store = world.store_with(json!({ "token": world.keep(&world.token) }), &mount, "über/a b");
        assert_eq!(store.check().await, Ok(()));
        let version = put(&store, None, "sk-canary").await.expect("written");
        assert_eq!(store.read().await.expect("readable").map(|found| found.version), Some(version));
    }

    #[tokio::test]
    async fn old_versions_that_would_be_lost() {
        let world = world();
        let hint = "-max-versions=10";
        for (settings, hint) in [
            (json!({ "max_versions": 1 }), Some(hint)),
            (json!({ "max_versions": 2 }), Some(hint)),
            (json!({ "max_versions": 3 }), None),
            (json!({ "delete_version_after": "36h" }), Some("-delete-version-after=0s")),
            (json!({ "delete_version_after": "2160h" }), None),
            (json!({ "cas_required": true }), None),
        ] {
            let path = name("kept");
            world.must("POST", &format!("secret/metadata/{path}"), settings).await;
            let store = world.store(&path);
            match hint {
                Some(hint) => tells(&problems(&store).await, hint),
                None => assert_eq!(store.check().await, Ok(())),
            }
        }
    }

    /// Nothing can be read, and yet Vault's `cas` must name the deleted version.
    #[tokio::test]
    async fn a_deleted_value_is_replaced() {
        let world = world();
        for destroyed in [false, true] {
            let path = name("deleted");
            let store = world.store(&path);
            let base = put(&store, None, "sk-canary-1").await.expect("written");
            world.must("DELETE", &format!("secret/data/{path}"), Value::Null).await;
            if destroyed {
                world.must("POST", &format!("secret/destroy/{path}"), json!({ "versions": [1] })).await;
            }
            assert!(store.read().await.expect("told").is_none());
            assert!(store.read_at(&base).await.expect("told").is_none());
            assert_eq!(store.endpoints().await.expect("told")[0].1, None);
            assert_eq!(store.check().await, Ok(()));
            let refused = put(&store, Some(&base), "sk-canary-2").await.expect_err("what it would replace is gone");
            assert_eq!(refused.refusal(), Some(Refusal::Conflict));
            assert_eq!(put(&store, None, "sk-canary-2").await.expect("written"), Version::new("2"));
        }
    }

    /// A token that ends in the middle of a rotation is replaced, without a person and without a failed call.
    #[tokio::test]
    async fn a_token_that_ends() {
        let world = world();
        let policy = name("open");
        world
            .must(
                "POST",
                &format!("sys/policies/acl/{policy}"),
                json!({ "policy": r#"path "secret/*" { capabilities = ["create", "read", "update", "patch"] }"# }),
            )
            .await;
        for settings in [json!({ "token_ttl": "1s" }), json!({ "token_num_uses": 1 }), json!({ "token_ttl": "2m", "token_max_ttl": "3m" })]
        {
            let mount = name("approle");
            world.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "approle" })).await;
            let role = format!("auth/{mount}/role/r");
            let mut with = settings.clone();
            with["token_policies"] = policy.clone().into();
            world.must("POST", &role, with).await;
            let id = world.must("GET", &format!("{role}/role-id"), Value::Null).await["data"]["role_id"].clone();
            let made = world.must("POST", &format!("{role}/secret-id"), json!({})).await;
            let secret_id = world.keep(made["data"]["secret_id"].as_str().expect("a secret id"));
            let auth = json!({ "approle": { "role_id": id, "secret_id": secret_id, "mount": mount } });
            let store = world.store_with(auth, "secret", &name("short"));
            let mut base = None;
            for round in 0..3 {
                base = Some(put(&store, base.as_ref(), &format!("sk-canary-{round}")).await.expect("written"));
                // As if its time were over; a token that ended by itself is refused in the same words.
                world.ask("POST", &format!("sys/leases/revoke-prefix/auth/{mount}/login"), Value::Null).await;
            }
            assert_eq!(base, Some(Version::new("3")), "{settings}");
            world.must("POST", &format!("{role}/secret-id/destroy"), json!({ "secret_id": made["data"]["secret_id"] })).await;
            world.ask("POST", &format!("sys/leases/revoke-prefix/auth/{mount}/login"), Value::Null).await;
            let failure = store.read().await.err().expect("no login is left");
            assert_eq!(failure.refusal(), Some(Refusal::Denied));
            assert!(hint(&failure).contains("check role_id and the secret id at file:"), "{failure:?}");
        }
    }

    /// The one login that the secret id allows is spent on the first call; renewals carry all others, past the token's first end.
    #[tokio::test]
    async fn a_token_that_is_renewed() {
        let world = world();
        let (mount, policy) = (name("approle"), name("open"));
        let rule = r#"path "secret/*" { capabilities = ["read"] }"#;
        world.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": rule })).await;
        world.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "approle" })).await;
        let role = format!("auth/{mount}/role/r");
        world.must("POST", &role, json!({ "token_policies": policy, "token_ttl": "2s", "secret_id_num_uses": 1 })).await;
        let id = world.must("GET", &format!("{role}/role-id"), Value::Null).await["data"]["role_id"].clone();
        let made = world.must("POST", &format!("{role}/secret-id"), json!({})).await;
        let secret_id = world.keep(made["data"]["secret_id"].as_str().expect("a secret id"));
        let auth = json!({ "approle": { "role_id": id, "secret_id": secret_id, "mount": mount } });
        let store = world.store_with(auth, "secret", "a");
        let begun = std::time::Instant::now();
        let mut beat = tokio::time::interval(std::time::Duration::from_millis(100));
        while begun.elapsed().as_secs_f32() < 4.5 {
            beat.tick().await;
            assert!(store.read().await.expect("still logged in").is_none());
        }
    }

    /// The spare Vault is sealed here for good.
    #[tokio::test]
    async fn a_sealed_vault() {
        let world = spare();
        let store = world.store("a");
        world.ask("PUT", "sys/seal", Value::Null).await;
        let failure = store.read().await.err().expect("sealed");
        assert!(matches!(failure.fate, Fate::Unknown { .. }));
        assert!(hint(&failure).contains("vault operator unseal"), "{failure:?}");
        let found = problems(&store).await;
        tells(&found, "vault operator unseal");
        assert!(found[0].unreachable);
    }

    #[tokio::test]
    async fn the_clock_is_vaults_own() {
        let told = world().store("a").clock().await.expect("told").expect("a Date header");
        assert!((chrono::Utc::now() - told).num_seconds().abs() < 60);
    }
}

mod logins {
    use keyroll::{ports::Store, protocol::Refusal};
    use serde_json::{Value, json};

    use super::world;
    use crate::vault_bench::{World, name};

    /// Of the service account `keyroll` in `ops`, for the audience `vault`, until 2100. Signed with a key that was thrown away.
    const TOKEN: &str = concat!(
        "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.",
        "eyJpc3MiOiJrZXlyb2xsLXRlc3RzIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50Om9wczprZXlyb2xsIiwiYXVkIjpbInZhdWx0Il0sImlhdCI6MTcwMDAwMDAwMCwibmJmIjoxNzAwMDAwMDAwLCJleHAiOjQxMDI0NDQ4MDAsImt1YmVybmV0ZXMuaW8iOnsibmFtZXNwYWNlIjoib3BzIiwic2VydmljZWFjY291bnQiOnsibmFtZSI6ImtleXJvbGwiLCJ1aWQiOiJ1aWQtMSJ9fX0.",
        "NNIkFAq5ISZmYjk11sKz-Kc4yMVVN3v3qG_foIKyk_rWKYuJIpyhUOXjYq5KkaaZ-JCB8b-KxbQmLKxBF5TlDQ"
    );
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnUORcKI+EJ9XXGnHlA3PX1Cf/2Ii\npDjPfY4EvedXVdi1TBb7Tg3GCwNNyAPTPLHeN8/+fgubkaNgCUj7yD5vnw==\n-----END PUBLIC KEY-----";

    async fn open_policy(world: &World) -> String {
        let policy = name("open");
        let text = r#"path "secret/*" { capabilities = ["create", "read", "update", "patch"] }"#;
        world.must("POST", &format!("sys/policies/acl/{policy}"), json!({ "policy": text })).await;
        policy
    }

    /// It works with the right role, and the wrong one is told by name.
    async fn works(world: &World, auth: impl Fn(&str) -> Value) {
        let store = world.store_with(auth("keyroll"), "secret", &name("login"));
        assert_eq!(store.check().await, Ok(()));
        assert!(store.read().await.expect("readable").is_none());
        let failure = world.store_with(auth("stranger"), "secret", "a").read().await.err().expect("denied");
        assert_eq!(failure.refusal(), Some(Refusal::Denied));
        assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("role `stranger`")), "{failure:?}");
    }

    #[tokio::test]
    async fn by_jwt() {
        let world = world();
        let (mount, policy) = (name("jwt"), open_policy(&world).await);
        world.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "jwt" })).await;
        world.must("POST", &format!("auth/{mount}/config"), json!({ "jwt_validation_pubkeys": [PUBLIC] })).await;
        let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [policy] });
        world.must("POST", &format!("auth/{mount}/role/keyroll"), role).await;
        let jwt = world.keep(&format!("{TOKEN}\n"));
        works(&world, |role| json!({ "jwt": { "role": role, "jwt": jwt, "mount": mount } })).await;
    }

    /// Kubernetes' part is the review of the token; this answers as it does.
    #[tokio::test]
    async fn by_service_account() {
        let world = world();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let kubernetes = format!("http://{}", listener.local_addr().expect("an address"));
        let user = json!({ "username": "system:serviceaccount:ops:keyroll", "uid": "uid-1" });
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": { "authenticated": true, "user": user, "audiences": ["vault"] },
        });
        let app = axum::Router::new().fallback(move || std::future::ready((axum::http::StatusCode::CREATED, axum::Json(review.clone()))));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let (mount, policy) = (name("kubernetes"), open_policy(&world).await);
        world.must("POST", &format!("sys/auth/{mount}"), json!({ "type": "kubernetes" })).await;
        let config = json!({ "kubernetes_host": kubernetes, "token_reviewer_jwt": TOKEN, "disable_local_ca_jwt": true });
        world.must("POST", &format!("auth/{mount}/config"), config).await;
        let role = json!({
            "bound_service_account_names": ["keyroll"], "bound_service_account_namespaces": ["ops"], "audience": "vault",
            "token_policies": [policy],
        });
        world.must("POST", &format!("auth/{mount}/role/keyroll"), role).await;
        let jwt = world.keep(TOKEN);
        works(&world, |role| json!({ "kubernetes": { "role": role, "jwt": jwt, "mount": mount } })).await;
    }

    /// Vault answers 403 here, as it does for a wrong login.
    #[tokio::test]
    async fn at_a_missing_mount() {
        let world = world();
        let auth = json!({ "approle": { "role_id": "x", "secret_id": world.keep("y"), "mount": "nowhere" } });
        let failure = world.store_with(auth, "secret", "a").read().await.err().expect("denied");
        assert!(failure.what.contains("the login at auth/nowhere was refused"), "{failure:?}");
        assert!(failure.hint.as_deref().is_some_and(|hint| hint.ends_with("check `mount`")), "{failure:?}");
    }
}
