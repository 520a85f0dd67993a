//! What OpenAI may answer and the stand-in never does: `openai` and `openai_admin` take it for no more than it says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use keyroll::{
    ids::KeyId,
    playbook::{Limits, SecretRef},
    ports::{Credential, Failure, Fate, Got, Life, Like, Listed, PROMPT_TOKENS, Provider, Question, Secrets, Wanted},
    protocol::{Bound, Refusal},
    sandbox::{
        provider::SandboxProvider,
        server::{Answer, Call, Fault, Server, Standin, fits},
    },
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    common::tombstone_for,
    provider_bench::{OWN, build, build_with},
};

/// Answers to a method and a path, which may name a parameter that must be there: `/keys?all=true`.
struct Told(Vec<(&'static str, &'static str, Value)>);

impl Standin for Told {
    fn answer(&mut self, call: &Call) -> Answer {
        let asked = |place: &str| {
            let (path, parameter) = place.split_once('?').unwrap_or((place, ""));
            let given = |(name, value): (&str, &str)| call.query.get(name).is_some_and(|given| given == value);
            fits(path, &call.path) && parameter.split_once('=').is_none_or(given)
        };
        match self.0.iter().find(|(method, place, _)| call.method == *method && asked(place)) {
            Some((.., body)) => (StatusCode::OK, body.clone()).into(),
            None => (StatusCode::NOT_FOUND, json!({ "error": { "message": "no such thing", "code": "not_found" } })).into(),
        }
    }
}

const ACCOUNTS: &str = "/v1/organization/projects/proj_1/service_accounts";
const KEYS: &str = "/v1/organization/projects/proj_1/api_keys";
const ADMINS: &str = "/v1/organization/admin_api_keys";
const ADMIN: &str = "/v1/organization/admin_api_keys/*";

async fn told(kind: &str, more: &str, answers: Vec<(&'static str, &'static str, Value)>) -> (Server<Told>, Arc<dyn Provider>) {
    let server = Server::start(Told(answers)).await.expect("a port");
    let block = match kind {
        "openai" => format!("project: proj_1\nadmin_key: env:ADMIN\nbase_url: {}/v1\n{more}", server.url()),
        _ => format!("admin_key: {OWN}\nbase_url: {}/v1\n{more}", server.url()),
    };
    let provider = build(kind, &block, &Secret::new("sk-admin-of-nobody")).unwrap_or_else(|fault| panic!("{}", fault.what));
    (server, provider)
}

fn page(data: Value) -> Value {
    json!({ "object": "list", "data": data, "first_id": null, "last_id": null, "has_more": false })
}

fn account(id: &str) -> Value {
    json!({ "object": "organization.project.service_account", "id": id, "name": id, "role": "member", "created_at": 1 })
}

fn account_key(id: &str, account: &str, redacted: &str, used: Value) -> Value {
    json!({
        "object": "organization.project.api_key", "id": id, "name": "Secret Key", "redacted_value": redacted, "created_at": 1,
        "last_used_at": used, "owner_project_access": "active",
        "owner": { "type": "service_account", "service_account": { "id": account, "name": account, "created_at": 1, "role": "member" } },
    })
}

fn admin_key(id: &str, redacted: &str, made: DateTime<Utc>, ends: Option<DateTime<Utc>>, used: Option<DateTime<Utc>>) -> Value {
    json!({
        "object": "organization.admin_api_key", "id": id, "name": id, "redacted_value": redacted, "created_at": made.timestamp(),
        "expires_at": ends.map(|at| at.timestamp()), "last_used_at": used.map(|at| at.timestamp()), "owner": {},
    })
}

fn listed(id: &str) -> Listed {
    Listed { id: KeyId::new(id), name: None, created_at: None, expires_at: None, last_used: None, enabled: true }
}

fn credential() -> Credential {
    Credential { id: None, secret: Secret::new("sk-svcacct-4f7d0c1be29a58603b") }
}

async fn identified(provider: &dyn Provider, listed: &[Listed]) -> Option<String> {
    provider.identify(&credential(), listed).await.expect("an answer").map(|(id, _)| id.as_str().to_owned())
}

#[track_caller]
fn unknown(failure: &Failure) {
    assert!(matches!(failure.fate, Fate::Unknown { .. }), "{failure}");
}

/// Two accounts whose keys are shown alike: the value may be either's, and the deletion of the wrong one could not be taken back.
#[tokio::test]
async fn a_value_that_two_accounts_may_have_is_nobodys() {
    let one = account_key("key_1", "svc_1", "sk-svcacct-4...603b", Value::Null);
    let two = account_key("key_2", "svc_2", "sk-svcacct-4...603b", Value::Null);
    let all = [listed("svc_1"), listed("svc_2")];
    let (_server, provider) = told("openai", "", vec![("GET", KEYS, page(json!([one])))]).await;
    assert_eq!(identified(&*provider, &all).await.as_deref(), Some("svc_1"));
    assert_eq!(identified(&*provider, &all[1..]).await, None, "it is not among those that are asked for");
    let (_server, provider) = told("openai", "", vec![("GET", KEYS, page(json!([one, two])))]).await;
    assert_eq!(identified(&*provider, &all).await, None);
}

/// Unless it is asked for any, OpenAI leaves keys out whose owner may not use the project now: their accounts would look like ones without
/// a key.
#[tokio::test]
async fn all_keys_of_a_project_are_asked_for() {
    const ANY: &str = "/v1/organization/projects/proj_1/api_keys?owner_project_access=any";
    let key = account_key("key_1", "svc_1", "sk-svcacct-4...603b", Value::Null);
    let answers =
        vec![("GET", ANY, page(json!([key]))), ("GET", KEYS, page(json!([]))), ("GET", ACCOUNTS, page(json!([account("svc_1")])))];
    let (_server, provider) = told("openai", "", answers).await;
    let all = provider.list().await.expect("a listing");
    assert_eq!(all.iter().map(|key| key.enabled).collect::<Vec<_>>(), [true]);
    assert_eq!(identified(&*provider, &all).await.as_deref(), Some("svc_1"));
}

/// A value is an admin key's only if that one is among those that are asked for.
#[tokio::test]
async fn an_admin_key_that_is_not_asked_for_is_not_taken() {
    let key = admin_key("key_1", "sk-svcacct-4...603b", Utc::now(), None, None);
    let (_server, provider) = told("openai_admin", "", vec![("GET", ADMINS, page(json!([key])))]).await;
    assert_eq!(identified(&*provider, &[listed("key_1")]).await.as_deref(), Some("key_1"));
    assert_eq!(identified(&*provider, &[listed("key_2")]).await, None);
}

/// An account without a key cannot be used; one with several was used when the last of them was.
#[tokio::test]
async fn an_account_is_what_its_keys_are() {
    let keys = [
        account_key("key_1", "svc_1", "sk-svcacct-1...0001", 2_000_000_000.into()),
        account_key("key_2", "svc_1", "sk-svcacct-2...0002", 1_900_000_000.into()),
        account_key("key_3", "svc_1", "sk-svcacct-3...0003", Value::Null),
    ];
    let answers = vec![("GET", KEYS, page(json!(keys))), ("GET", ACCOUNTS, page(json!([account("svc_1"), account("svc_2")])))];
    let (_server, provider) = told("openai", "", answers).await;
    let used = DateTime::from_timestamp(2_000_000_000, 0);
    let all = provider.list().await.expect("a listing");
    assert_eq!(all.iter().map(|key| (key.enabled, key.last_used)).collect::<Vec<_>>(), [(true, used), (false, None)]);
    let usage = provider.usage().expect("OpenAI tells");
    assert_eq!(usage.last_used(&KeyId::new("svc_1")).await, Ok(used));
    assert!(usage.last_used(&KeyId::new("svc_2")).await.is_err(), "a key that is gone is not an unused one");
}

/// More pages, and nothing that leads to them: what was read is no listing and no sum.
#[tokio::test]
async fn a_page_without_a_way_to_the_next_is_no_last_one() {
    let more = |mut page: Value| {
        page["has_more"] = true.into();
        page
    };
    let key = account_key("key_1", "svc_1", "sk-svcacct-4...603b", Value::Null);
    let answers = vec![("GET", KEYS, page(json!([key]))), ("GET", ACCOUNTS, more(page(json!([account("svc_1")]))))];
    let (_server, provider) = told("openai", "", answers).await;
    unknown(&provider.list().await.expect_err("there are more"));

    let report = more(json!({ "object": "page", "data": [], "next_page": null }));
    let answers = vec![("GET", KEYS, page(json!([key]))), ("GET", "/v1/organization/usage/completions", report)];
    let (_server, provider) = told("openai", "", answers).await;
    let spend = provider.spend().expect("OpenAI tells");
    unknown(&spend.since(&KeyId::new("svc_1"), Utc::now()).await.expect_err("there is more"));

    let (_server, provider) = told("openai_admin", "", vec![("GET", ADMINS, more(page(json!([]))))]).await;
    unknown(&provider.list().await.expect_err("there are more"));
}

/// Usage of nobody's may be this key's: it is no sum. What it cost in another currency is not told.
#[tokio::test]
async fn usage_that_is_not_told_by_key_is_unknown() {
    let report = |results: Value| json!({ "object": "page", "data": [{ "results": results }], "has_more": false, "next_page": null });
    let completions = |key: Value| report(json!([{ "input_tokens": 1, "output_tokens": 1, "num_model_requests": 1, "api_key_id": key }]));
    let costs = |currency: &str| report(json!([{ "amount": { "value": 1.0, "currency": currency }, "api_key_id": "key_1" }]));
    let key = account_key("key_1", "svc_1", "sk-svcacct-4...603b", Value::Null);
    let answers = |key_id: Value, currency: &str| {
        vec![
            ("GET", KEYS, page(json!([key]))),
            ("GET", "/v1/organization/usage/completions", completions(key_id)),
            ("GET", "/v1/organization/costs", costs(currency)),
        ]
    };
    for (key, currency, requests, cost) in
        [(json!("key_1"), "usd", Some(1), Some(1_000_000)), (json!("key_1"), "eur", Some(1), None), (Value::Null, "usd", None, None)]
    {
        let (_server, provider) = told("openai", "", answers(key, currency)).await;
        let told = provider.spend().expect("OpenAI tells").since(&KeyId::new("svc_1"), Utc::now()).await;
        match requests {
            Some(_) => {
                let used = told.expect("an answer");
                assert_eq!((used.requests, used.micro_usd), (requests, cost), "{currency}");
            }
            None => unknown(&told.expect_err("whose is it?")),
        }
    }
}

/// A limit of another time or currency is not one of US dollars in a month, and one that cannot be read is not none.
#[tokio::test]
async fn a_limit_of_another_kind_is_no_monthly_one() {
    const LIMIT: &str = "/v1/organization/projects/proj_1/spend_limit";
    for (currency, interval, told_so) in [("usd", "month", true), ("USD", "month", true), ("eur", "month", false), ("usd", "day", false)] {
        let limit = json!({ "threshold_amount": 20_000, "currency": currency, "interval": interval });
        let answers = vec![("GET", LIMIT, limit), ("GET", "/v1/organization/projects/proj_1/spend_alerts", page(json!([])))];
        let (server, provider) = told("openai", "", answers).await;
        let guard = provider.guard().expect("a project may have a limit");
        match guard.monthly().await {
            Ok(told) => assert!(told_so && told == (Some(200.0), vec![]), "{currency} in a {interval}: {told:?}"),
            Err(failure) => assert!(!told_so, "{currency} in a {interval}: {failure}"),
        }
        for code in [403, 500] {
            server.inject("GET", LIMIT, 1, Fault::Status { code, retry_after: None });
            assert!(guard.monthly().await.is_err(), "{code}");
        }
    }
}

/// Services may call through a gateway: keys are tried and asked there, and nothing goes to the administration's address.
#[tokio::test]
async fn keys_are_tried_where_services_call() {
    let answer = json!({ "choices": [{ "message": { "content": "ok" } }] });
    let gateway = vec![("GET", "/gateway/v1/models", json!({ "data": [] })), ("POST", "/gateway/v1/chat/completions", answer)];
    let gateway = Server::start(Told(gateway)).await.expect("a port");
    let (server, provider) = told("openai", &format!("probe_url: {}/gateway/v1/models", gateway.url()), vec![]).await;
    assert_eq!(provider.probe(&credential()).await, Ok(Life::Alive));
    let prompt = provider.prompt().expect("it can be asked");
    for stream in [false, true] {
        prompt.prompt(&credential(), &Question { model: "gpt-5-mini", stream }).await.expect("an answer");
    }
    assert_eq!(server.requests(), []);
    let told = gateway.bodies("POST", "/gateway/v1/chat/completions");
    let told: Vec<_> =
        told.iter().map(|body| (body["model"].as_str(), body["max_completion_tokens"].as_u64(), body["stream"] == true)).collect();
    let most = Some(u64::from(PROMPT_TOKENS));
    assert_eq!(told, [(Some("gpt-5-mini"), most, false), (Some("gpt-5-mini"), most, true)]);
}

/// Nothing is deleted that the answer does not call so.
#[tokio::test]
async fn a_delete_is_done_only_when_it_is_said() {
    let no = json!({ "id": "key_1", "deleted": false });
    let key = admin_key("key_1", "sk-admin-1...0001", Utc::now(), None, None);
    let admin = vec![("GET", ADMIN, key), ("DELETE", ADMIN, no.clone())];
    let account = vec![("DELETE", "/v1/organization/projects/proj_1/service_accounts/*", no)];
    for (kind, answers) in [("openai", account), ("openai_admin", admin)] {
        let (server, provider) = told(kind, "", answers).await;
        unknown(&provider.delete(&tombstone_for(&KeyId::new("key_1"))).await.expect_err("it is not said"));
        assert_eq!(server.requests().last().map(|(method, _)| method.as_str()), Some("DELETE"));
    }
}

/// An admin key lives as long as the old one was made for, whatever is left of that one's time, and as OpenAI allows; also when that one is
/// gone.
#[tokio::test]
async fn an_admin_key_lives_as_long_as_the_old_one_was_made_for() {
    const DAY: i64 = 86_400;
    for (age, left, days) in [(20, 10, 30), (700, 30, 365)] {
        let (now, old) = (Utc::now(), KeyId::new("key_1"));
        let key = admin_key("key_1", "sk-admin-1...0001", now - TimeDelta::days(age), Some(now + TimeDelta::days(left)), None);
        let made = json!({ "id": "key_2", "value": "sk-admin-2", "created_at": now.timestamp(), "expires_at": null });
        let (server, provider) = told("openai_admin", "", vec![("GET", ADMIN, key), ("POST", ADMINS, made)]).await;
        let attributes = provider.attributes().expect("an end");
        let end = now + TimeDelta::days(left);
        assert_eq!(attributes.of(&old).await.expect("told")["expires_at"], Bound::Until(Some(end.timestamp())));
        let kept = attributes.keep(&old).await.expect("kept");
        for like in [Like::Key(&old), Like::Gone(&kept)] {
            let planned = attributes.planned(Some(like), &Limits::NONE).await.expect("planned");
            let Bound::Until(Some(end)) = planned["expires_at"] else { panic!("{planned:?}") };
            assert_eq!((end - now.timestamp() + DAY / 24) / DAY, days);
            provider.create(&Wanted { like: Some(like), ..Wanted::named("new", "t") }).await.unwrap_or_else(|failure| panic!("{failure}"));
        }
        let told: Vec<_> = server.bodies("POST", ADMINS).iter().map(|body| body["expires_in_seconds"].as_i64()).collect();
        assert_eq!(told, [Some(days * DAY), Some(days * DAY)]);
    }
}

/// When an admin key ends and was last used is told as OpenAI tells it.
#[tokio::test]
async fn an_admin_keys_end_and_use_are_told() {
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).expect("a time");
    let key = admin_key("key_1", "sk-admin-1...0001", at(1), Some(at(2_000_000_000)), Some(at(1_900_000_000)));
    let (_server, provider) = told("openai_admin", "", vec![("GET", ADMINS, page(json!([key]))), ("GET", ADMIN, key.clone())]).await;
    let all = provider.list().await.expect("a listing");
    assert_eq!((all[0].created_at, all[0].expires_at, all[0].last_used), (Some(at(1)), Some(at(2_000_000_000)), Some(at(1_900_000_000))));
    let used = provider.usage().expect("OpenAI tells").last_used(&KeyId::new("key_1")).await;
    assert_eq!(used, Ok(Some(at(1_900_000_000))));
}

/// The admin key in the store, which another hand changes between two readings.
struct Changing(Mutex<VecDeque<Secret>>);

#[async_trait]
impl Secrets for Changing {
    async fn read(&self, _: &SecretRef) -> Got<Secret> {
        self.0.lock().expect("not poisoned").pop_front().ok_or_else(|| Failure::not_sent("read too often"))
    }
}

/// A store that changes back in the midst of a delete must not make the old key delete itself: whoever looked at it deletes it.
#[tokio::test]
async fn the_admin_key_is_read_once_for_a_whole_delete() {
    let server = SandboxProvider::start().await.expect("a port");
    let (old, value) = server.seed_admin_key("old", None);
    let now = Mutex::new(VecDeque::from([server.admin_key().duplicate(), value]));
    let block = format!("admin_key: {OWN}\nbase_url: {}\n", server.base_url());
    let provider = build_with("openai_admin", &block, Arc::new(Changing(now))).unwrap_or_else(|fault| panic!("{}", fault.what));
    provider.delete(&tombstone_for(&old)).await.unwrap_or_else(|failure| panic!("{failure}"));
    let own = server.admin_keys()[0].id.clone();
    assert_eq!(server.callers("DELETE", ADMIN), [Some(own)]);
}

/// An id that leads out of its place names no other account and no other key.
#[tokio::test]
async fn an_id_with_a_slash_names_no_other_key() {
    const ONE: &str = "/v1/organization/admin_api_keys/key_1";
    let done = json!({ "id": "key_1", "deleted": true });
    let key = admin_key("key_1", "sk-admin-1...0001", Utc::now(), None, None);
    let admin = vec![("GET", ONE, key), ("DELETE", ONE, done.clone())];
    let account = vec![("DELETE", "/v1/organization/projects/proj_1/service_accounts/key_1", done)];
    for (kind, answers) in [("openai", account), ("openai_admin", admin)] {
        let (_server, provider) = told(kind, "", answers).await;
        provider.delete(&tombstone_for(&KeyId::new("key_1"))).await.unwrap_or_else(|failure| panic!("{kind}: {failure}"));
        for odd in ["none/../key_1", "key_1?all=true"] {
            let failure = provider.delete(&tombstone_for(&KeyId::new(odd))).await.expect_err("there is no such key");
            assert_eq!(failure.refusal(), Some(Refusal::Gone), "{kind}: {odd}: {failure}");
        }
    }
}

/// That another key is not the one that is called with says nothing of this one, and another key's end and use are not its own.
#[tokio::test]
async fn what_is_told_of_another_admin_key_is_not_this_keys() {
    let other = admin_key("key_2", "sk-admin-2...0002", Utc::now(), None, None);
    let done = json!({ "id": "key_1", "deleted": true });
    let (server, provider) = told("openai_admin", "", vec![("GET", ADMIN, other), ("DELETE", ADMIN, done)]).await;
    let key = KeyId::new("key_1");
    let failure = provider.delete(&tombstone_for(&key)).await.expect_err("the answer is another key's");
    assert!(matches!(failure.fate, Fate::NotSent { .. }), "{failure}");
    assert_eq!(server.count("DELETE", ADMIN), 0);
    unknown(&provider.usage().expect("OpenAI tells").last_used(&key).await.expect_err("the answer is another key's"));
    unknown(&provider.attributes().expect("an end").of(&key).await.expect_err("the answer is another key's"));
}

/// A key was made whose value or id did not come: that is unknown, for a refusal would leave it there.
#[tokio::test]
async fn a_create_without_its_key_is_unknown() {
    let account =
        json!({ "id": "svc_1", "name": "new", "created_at": 1, "api_key": { "id": "key_1", "value": "sk-svcacct-1", "created_at": 1 } });
    let admin = json!({ "id": "key_1", "name": "new", "value": "sk-admin-1", "created_at": 1, "expires_at": null });
    for (kind, path, whole, lacks) in [
        ("openai", ACCOUNTS, &account, "/api_key/value"),
        ("openai", ACCOUNTS, &account, "/api_key"),
        ("openai", ACCOUNTS, &account, "/id"),
        ("openai_admin", ADMINS, &admin, "/value"),
        ("openai_admin", ADMINS, &admin, "/id"),
    ] {
        let mut body = whole.clone();
        *body.pointer_mut(lacks).expect("it was there") = Value::Null;
        let (_server, provider) = told(kind, "", vec![("POST", path, body)]).await;
        let failure = provider.create(&Wanted::named("new", "t")).await.err().expect("it lacks its key");
        assert!(matches!(failure.fate, Fate::Unknown { .. }), "{kind} without {lacks}: {failure}");
    }
}

/// What a person types takes the value and the id from where OpenAI's answer has them, and deletes this very account.
#[tokio::test]
async fn by_hand_an_accounts_key_is_found_in_the_answer() {
    let made = json!({
        "object": "organization.project.service_account", "id": "svc_1", "name": "new", "role": "member", "created_at": 1,
        "api_key": {
            "object": "organization.project.service_account.api_key", "id": "key_1", "value": "sk-svcacct-1", "name": "Secret Key",
            "created_at": 1,
        },
    });
    let (_server, provider) = told("openai", "", vec![("POST", ACCOUNTS, made.clone())]).await;
    let minted = provider.create(&Wanted::named("new", "t")).await.unwrap_or_else(|failure| panic!("{failure}"));
    let hands = provider.by_hand(Some(&minted.id));
    let places = hands.create[1].split("jq -r ").skip(1).map(|rest| rest.split(')').next().unwrap_or_default().replace('.', "/"));
    let found: Vec<_> = places.map(|place| made.pointer(&place).and_then(Value::as_str)).collect();
    assert_eq!(found, [Some(minted.secret.reveal()), Some(minted.id.as_str())]);
    assert!(hands.revoke[0].ends_with("/organization/projects/proj_1/service_accounts/svc_1"), "{:?}", hands.revoke);
}
