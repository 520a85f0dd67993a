//! Vault's policies, on a real one. Tokens are made without the `default` policy: what it gives is in the files too.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::{everything_works, run_without, scene, shipped};
use crate::network::scene::{Kind, Manner, Scene, World};

/// One capability at one path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Grant {
    path: String,
    right: String,
}

/// What a shipped file grants, for this scene's role and secret.
fn grants(file: &str, scene: &Scene) -> Vec<Grant> {
    let text = shipped(&format!("vault/{file}")).replace("role/app", &format!("role/{}", scene.name)).replace("ai/openai", &scene.name);
    let lines = text.lines().filter_map(|line| line.strip_prefix("path \"")).map(|line| {
        let (path, rights) = line.split_once("\" { capabilities = [").expect("one path a line");
        let rights = rights.strip_suffix("] }").expect("one path a line");
        rights.split(", ").map(|right| Grant { path: path.into(), right: right.trim_matches('"').into() }).collect::<Vec<_>>()
    });
    lines.flatten().collect()
}

/// A token that may do this and nothing else.
async fn token(scene: &Scene, grants: &[Grant]) -> String {
    let World::Vault(vault) = &*scene.world else { panic!("a Vault") };
    let paths: BTreeSet<&str> = grants.iter().map(|grant| grant.path.as_str()).collect();
    let line = |path: &&str| {
        let rights: BTreeSet<_> = grants.iter().filter(|grant| grant.path == **path).map(|grant| format!("\"{}\"", grant.right)).collect();
        format!("path \"{path}\" {{ capabilities = [{}] }}", rights.into_iter().collect::<Vec<_>>().join(", "))
    };
    let policy: Vec<String> = paths.iter().map(line).collect();
    let name = crate::name("least");
    vault.must("POST", &format!("sys/policies/acl/{name}"), json!({ "policy": policy.join("\n") })).await;
    let wanted = json!({ "policies": [name], "no_default_policy": true, "ttl": "10m" });
    vault.must("POST", "auth/token/create", wanted).await["auth"]["client_token"].as_str().expect("a token").to_owned()
}

/// The provider's token is creator and revoker, the store's is promoter; without one of their capabilities, if one is named.
async fn equip(scene: &mut Scene, without: Option<&Grant>) {
    let fits = |grant: &Grant| Some(grant) != without;
    let provider: Vec<_> = [grants("creator.hcl", scene), grants("revoker.hcl", scene)].concat().into_iter().filter(fits).collect();
    let store: Vec<_> = grants("promoter.hcl", scene).into_iter().filter(fits).collect();
    let (role, vault) = (token(scene, &provider).await, token(scene, &store).await);
    scene.env = vec![("ROLE", role), ("VAULT", vault)];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_shipped_policies_everything_works() {
    let (mut forth, mut back) = (scene(Kind::Vault, Manner::Follows).await, scene(Kind::Vault, Manner::Stays).await);
    equip(&mut forth, None).await;
    equip(&mut back, None).await;
    everything_works(forth, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_capability_it_is_named_and_nothing_is_changed() {
    let sample = scene(Kind::Vault, Manner::Follows).await;
    let all: BTreeSet<Grant> = ["creator.hcl", "promoter.hcl", "revoker.hcl"].iter().flat_map(|file| grants(file, &sample)).collect();
    let (count, sample) = (all.len(), sample.name.as_str());
    stream::iter(all)
        .for_each_concurrent(8, |grant| async move {
            let mut scene = scene(Kind::Vault, Manner::Follows).await;
            let grant = Grant { path: grant.path.replace(sample, &scene.name), ..grant };
            equip(&mut scene, Some(&grant)).await;
            // `create` is asked for where there is nothing yet, `update` everywhere else.
            let install = grant.right == "create";
            if install {
                let World::Vault(vault) = &*scene.world else { panic!("a Vault") };
                vault.must("DELETE", &format!("secret/metadata/{}", scene.name), serde_json::Value::Null).await;
                vault.must("POST", &format!("auth/approle/role/{}", scene.name), json!({})).await;
                let playbook = scene.playbook().display().to_string();
                let ran = scene.keyroll(&["run", "--install", &playbook]).await;
                assert!(ran.code == 2 && names(&ran.said, &grant), "{grant:?}: {}: {}", ran.code, ran.said);
                return;
            }
            let without = run_without(&scene, &["run"]).await;
            assert_eq!(without.ran.code, 2, "{grant:?}: preflight finds it: {}", without.ran.said);
            assert!(names(&without.ran.said, &grant), "{grant:?} is not named: {}", without.ran.said);
            assert!(without.untouched, "{grant:?}: {}", without.ran.said);
        })
        .await;
    println!("{count} capabilities, each named when it is missing");
}

/// The line that gives it stands in what was said.
fn names(said: &str, grant: &Grant) -> bool {
    let line = said.lines().find(|line| line.contains(&format!("path \"{}\"", grant.path)));
    line.is_some_and(|line| line.contains(&format!("\"{}\"", grant.right)))
}

/// Who only looks can look at everything, and is told what a rotation would need besides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_token_reads_everything_and_changes_nothing() {
    let mut scene = scene(Kind::Vault, Manner::Follows).await;
    let only = token(&scene, &grants("doctor.hcl", &scene)).await;
    scene.env = vec![("ROLE", only.clone()), ("VAULT", only)];
    let mut needed: BTreeSet<Grant> = ["creator.hcl", "promoter.hcl", "revoker.hcl"].iter().flat_map(|file| grants(file, &scene)).collect();
    for grant in grants("doctor.hcl", &scene) {
        needed.remove(&grant);
    }
    for verb in ["plan", "doctor", "run"] {
        let without = run_without(&scene, &[verb]).await;
        assert!(without.ran.code == 2 && without.untouched, "{verb}: {}", without.ran.said);
        for grant in needed.iter().filter(|grant| grant.right != "create") {
            assert!(names(&without.ran.said, grant), "{verb}: {grant:?} is not named: {}", without.ran.said);
        }
    }
    for verb in ["reconcile", "status"] {
        let without = run_without(&scene, &[verb]).await;
        assert!(without.ran.code == 0 && without.untouched, "{verb}: {}", without.ran.said);
    }
}
