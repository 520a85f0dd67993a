//! AWS's policies, on moto with authentication on.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{everything_works, run_without, scene, shipped};
use crate::{
    aws,
    network::scene::{Kind, Manner, Scene},
};

/// A shipped policy. moto knows no resources of IAM and Secrets Manager, so that part of each statement is looked at, and not tried.
fn policy(file: &str) -> Value {
    let mut policy: Value = serde_json::from_str(&shipped(&format!("aws/{file}"))).expect("a policy");
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        let service = statement["Action"][0].as_str().and_then(|action| action.split(':').next()).expect("a service").to_owned();
        let resource = statement["Resource"].as_str().expect("one resource");
        let one = if service == "iam" { ":user/app" } else { ":secret:prod/openai-??????" };
        assert!(resource.starts_with(&format!("arn:aws:{service}:")) && resource.ends_with(one), "{file}: {resource}");
        statement["Resource"] = json!("*");
    }
    policy
}

fn actions(policy: &Value) -> Vec<String> {
    let all = policy["Statement"].as_array().expect("statements").iter().flat_map(|one| one["Action"].as_array().expect("actions"));
    all.map(|action| action.as_str().expect("a text").to_owned()).collect()
}

/// The same without one action.
fn less(mut policy: Value, action: Option<&str>) -> Value {
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        statement["Action"].as_array_mut().expect("actions").retain(|one| one.as_str() != action);
    }
    policy
}

/// Who calls AWS for keyroll.
struct Caller {
    name: String,
}

impl Caller {
    async fn new(scene: &mut Scene) -> Self {
        let caller = Self { name: crate::name("keyroll") };
        let iam = aws_sdk_iam::Client::new(&aws::direct().await);
        iam.create_user().user_name(&caller.name).send().await.unwrap_or_else(|_| panic!("no user"));
        let made = iam.create_access_key().user_name(&caller.name).send().await.unwrap_or_else(|_| panic!("no key"));
        let key = made.access_key().expect("a key");
        for (name, value) in [("AWS_ACCESS_KEY_ID", key.access_key_id()), ("AWS_SECRET_ACCESS_KEY", key.secret_access_key())] {
            let own = scene.env.iter_mut().find(|(known, _)| *known == name).expect("set");
            own.1 = value.to_owned();
        }
        // AWS lets everybody ask who they are; moto wants a policy for it.
        caller.may("moto", &json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": ["sts:GetCallerIdentity"], "Resource": "*" }] })).await;
        caller
    }

    async fn may(&self, name: &str, policy: &Value) {
        let iam = aws_sdk_iam::Client::new(&aws::direct().await);
        let put = iam.put_user_policy().user_name(&self.name).policy_name(name).policy_document(policy.to_string()).send().await;
        assert!(put.is_ok(), "{name} is no policy");
    }

    /// Creator, promoter and revoker; without one action, if one is named.
    async fn equip(&self, without: Option<&str>) {
        for file in ["creator.json", "promoter.json", "revoker.json"] {
            self.may(file, &less(policy(file), without)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_shipped_policies_everything_works() {
    let (mut forth, mut back) = (scene(Kind::Aws, Manner::Follows).await, scene(Kind::Aws, Manner::Stays).await);
    Caller::new(&mut forth).await.equip(None).await;
    Caller::new(&mut back).await.equip(None).await;
    everything_works(forth, back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_action_it_is_named_and_nothing_is_left_half_done() {
    let all: Vec<String> = ["creator.json", "promoter.json", "revoker.json"].iter().flat_map(|file| actions(&policy(file))).collect();
    let rows: Vec<String> = stream::iter(all)
        .map(|action| async move {
            let mut scene = scene(Kind::Aws, Manner::Follows).await;
            let caller = Caller::new(&mut scene).await;
            caller.equip(Some(&action)).await;
            let without = run_without(&scene, &["run"]).await;
            let (code, said) = (without.ran.code, without.ran.said);
            let on = if action.starts_with("iam:") { "user" } else { "secret" };
            assert!(said.contains(&format!("{action} on {on} {}", scene.name)), "{action} is not named: {code}: {said}");
            match code {
                2 => assert!(without.untouched, "{action}: {said}"),
                // Gone back: the old key is in use, and no other one is left.
                1 => scene.assert_sound(false, &action).await,
                // Stopped for a person: services have a key that works, and once the permission is there it goes on.
                3 => {
                    scene.assert_sound(true, &action).await;
                    caller.equip(None).await;
                    let ran = scene.keyroll(&["resume", "--reason", "the permission is there"]).await;
                    assert_eq!(ran.code, 0, "{action}: {}", ran.said);
                    scene.assert_sound(false, &action).await;
                }
                other => panic!("{action}: {other}: {said}"),
            }
            let how = match code {
                2 => "found before anything is changed",
                1 => "gone back",
                _ => "held, and done once it is allowed",
            };
            format!("{action:<42} {how}")
        })
        .buffered(8)
        .collect()
        .await;
    println!("{}", rows.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_caller_plans_and_examines() {
    let mut scene = scene(Kind::Aws, Manner::Follows).await;
    let caller = Caller::new(&mut scene).await;
    caller.may("doctor.json", &policy("doctor.json")).await;
    for verb in ["plan", "doctor", "reconcile", "status"] {
        let without = run_without(&scene, &[verb]).await;
        assert!(without.ran.code == 0 && without.untouched, "{verb}: {}", without.ran.said);
    }
    let run = run_without(&scene, &["run"]).await;
    assert!(run.untouched && run.ran.said.contains("iam:CreateAccessKey on user"), "{}: {}", run.ran.code, run.ran.said);
}
