//! Google's API Keys API v2, for keys of the Gemini API: <https://cloud.google.com/api-keys/docs/reference/rest>,
//! <https://ai.google.dev/gemini-api/docs/api-key>.
//!
//! A create is a long-running operation, and a value can be read again: that is the proof of a key. Standard keys (`AIza…`) and keys bound to a
//! service account (`AQ.…`) are made alike; restrictions, annotations and the service account are taken over. Google keeps a deleted key for 30
//! days, and a person may bring it back; that is no switch, for nothing tells it from a key that is deleted for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    kit::{Api, Dead, Manner, Sent, Termed, address, in_header, life, pages, rfc3339, sorted},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, after_effect, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, SecretRef, quoted},
    ports::{
        Ambiguity, Attributes, ByHand, Credential, Failure, Got, Life, Listed, Minted, Problem, Prompt, Provider, Question, Spoken, Traits,
        Wanted,
    },
    protocol::{Bound, Bounds, Refusal},
    rotation::Tombstone,
    secret::Secret,
};

/// The API keys of a Google Cloud project, for the Gemini API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The project's id or number.
    pub project: String,
    /// Where an OAuth access token stands. It is read anew at each call and lives for an hour: have something renew the file that it is in.
    pub token: SecretRef,
    /// The services that a key may call that is made like none other; one that is rotated passes its own restrictions on.
    #[serde(default = "gemini_alone")]
    pub services: Vec<String>,
    /// The service account that such a key is bound to: its value begins with `AQ.` then.
    pub service_account: Option<String>,
    /// Whether Google is to refuse the old key's deletion where it was used within the last 7 days (`checkExistingUsage`). `grace` must be longer than that, or
    /// every rotation is held. A leaked key is deleted all the same.
    #[serde(default)]
    pub check_existing_usage: bool,
    /// The address of the API Keys API, with its version.
    #[serde(default = "official")]
    pub base_url: String,
    /// The address of the Gemini API, with its version: what services call, and where keys are tried.
    #[serde(default = "official_gemini")]
    pub gemini_url: String,
}

fn gemini_alone() -> Vec<String> {
    vec!["generativelanguage.googleapis.com".into()]
}

fn official() -> String {
    "https://apikeys.googleapis.com/v2".into()
}

fn official_gemini() -> String {
    "https://generativelanguage.googleapis.com/v1beta".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "gemini",
        about: "Google API keys of a project, for the Gemini API",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(Gemini::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &["roles/serviceusage.apiKeysAdmin on the project: apikeys.keys.list, get, getKeyString, create and delete"],
        unconfirmed: &[
            "that 401 UNAUTHENTICATED at GET models is said of a deleted AQ. key alone (a deleted AIza key is told by 400 and its text)",
            "how long a deleted key works (30 minutes are assumed; 8 to 23 were seen with AIza keys)",
            "only a token that something else gets is supported: keyroll signs no service account's JWT itself",
            "a project that had no key for 30 days is not listed: make the first key by hand",
            "that a deletion with checkExistingUsage=CHECK is refused with 400, or by its operation with code 9, only where the key was used",
        ],
        source: "https://cloud.google.com/api-keys/docs/reference/rest",
        sample: include_str!("../../../playbooks/gemini.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Google",
    wants: "an OAuth access token that is not over: gcloud auth print-access-token",
    needs: "it needs roles/serviceusage.apiKeysAdmin on the project, and apikeys.googleapis.com enabled there",
    headers: &[],
};

/// What is said of a standard key that is none.
const DEAD_STANDARD: &[Dead] =
    &[Dead::saying(400, "/error/details/0/reason", "API_KEY_INVALID"), Dead::saying(400, "/error/message", "API key not valid")];
/// What is said of a bound key that is none.
const DEAD_BOUND: &[Dead] = &[Dead::saying(401, "/error/status", "UNAUTHENTICATED")];

/// The most characters of a display name; a longer name stands in an annotation.
const LONGEST: usize = 63;
const NAME: &str = "keyroll-name";

/// How long an operation is waited for: with the calls around it, shorter than a lease that is renewed every third of its time.
const OPERATION: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(200);

/// The keys of one project.
pub struct Gemini {
    api: Api,
    gemini: String,
    keys: String,
    project: String,
    fresh: Terms,
    checks_usage: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    keys: Vec<Key>,
    #[serde(default)]
    next_page_token: Option<String>,
}

/// What is empty is not sent at all.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    create_time: Option<String>,
    #[serde(default)]
    delete_time: Option<String>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(flatten)]
    terms: Terms,
}

/// What a key is made with, as Google writes it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    #[serde(default)]
    restrictions: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    service_account_email: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Operation {
    name: String,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    error: Option<Status>,
    #[serde(default)]
    response: Option<Value>,
}

#[derive(Deserialize)]
struct Status {
    code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyString {
    key_string: String,
}

impl Key {
    /// `projects/123/locations/global/keys/ID`.
    fn id(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

impl Gemini {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address or the project is none.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        if config.services.is_empty() {
            return Err(Fault::new("`services` is empty, and a key without services may call every one")
                .instead("services: [generativelanguage.googleapis.com]"));
        }
        let project = wire::segment(&config.project).map_err(|_| Fault::new("`project` is no id").instead("the project's id or number"))?;
        let targets: Vec<Value> = config.services.iter().map(|service| json!({ "service": service })).collect();
        let restrictions = Some(BTreeMap::from([("apiTargets".into(), targets.into())]));
        Ok(Self {
            api: Api::new(ctx, &config.base_url, Sent::bearer(config.token), MANNER)?,
            gemini: address("gemini_url", &config.gemini_url)?,
            keys: format!("/projects/{project}/locations/global/keys"),
            project: config.project,
            checks_usage: config.check_existing_usage,
            fresh: Terms { restrictions, service_account_email: config.service_account, annotations: BTreeMap::new() },
        })
    }

    /// Google leaves an empty list out: the deleted keys are listed too, so that an answer without a list is no empty project.
    async fn all(&self) -> Got<Vec<Key>> {
        let page = |token: Option<String>| async move {
            let token = token.as_deref().map(wire::segment).transpose()?.map(|token| format!("&pageToken={token}"));
            let page: Page = self.api.get(&format!("{}?pageSize=300&showDeleted=true{}", self.keys, token.unwrap_or_default())).await?;
            let kept = page.keys.into_iter().filter(|key| key.delete_time.is_none()).collect();
            Ok((kept, page.next_page_token.filter(|token| !token.is_empty())))
        };
        pages("GET keys of Google", page).await
    }

    fn path(&self, key: &KeyId) -> Got<String> {
        Ok(format!("{}/{}", self.keys, wire::segment(key.as_str())?))
    }

    async fn value(&self, key: &KeyId) -> Got<Secret> {
        Ok(Secret::new(self.api.get::<KeyString>(&format!("{}/keyString", self.path(key)?)).await?.key_string))
    }

    /// Waits for an operation's end. What was asked for is under way: whatever keeps us from seeing its end leaves it unknown.
    async fn ended(&self, begun: &Reply) -> Got<Value> {
        let whole = async {
            let mut operation: Operation = begun.json()?;
            let mut wait = POLL;
            while !operation.done {
                tokio::time::sleep(wait).await;
                wait *= 2;
                let id = operation.name.rsplit('/').next().unwrap_or_default();
                let path = format!("/operations/{}", wire::segment(id).map_err(after_effect)?);
                operation = self.api.get(&path).await.map_err(after_effect)?;
            }
            match (operation.error, operation.response) {
                (Some(Status { code }), _) => Err(failed(code)),
                (None, Some(response)) => Ok(response),
                (None, None) => Err(begun.unlike("an operation that ended without a result")),
            }
        };
        let late = |_| Failure::unknown(format!("an operation of Google did not end within {} seconds", OPERATION.as_secs()));
        tokio::time::timeout(OPERATION, whole).await.map_err(late)?
    }

    fn work(&self, method: Method, path: &str, credential: &Credential) -> Got<reqwest::RequestBuilder> {
        Ok(self.api.work(method, &format!("{}{path}", self.gemini)).header("x-goog-api-key", in_header(&credential.secret)?))
    }
}

/// What an operation that failed did: nothing, where its code (google.rpc.Code) refuses what was asked for.
fn failed(code: i64) -> Failure {
    let what = format!("an operation of Google failed with code {code}");
    let why = match code {
        3 | 8 | 9 | 11 | 12 => Refusal::Invalid,
        5 => Refusal::Gone,
        6 | 10 => Refusal::Conflict,
        7 | 16 => Refusal::Denied,
        _ => return Failure::unknown(what),
    };
    Failure::refused(why, None, what)
}

/// What Google says by FAILED_PRECONDITION.
fn used(id: &KeyId) -> Failure {
    let what = format!("Google does not delete key {id}: it was used within the last 7 days (check_existing_usage)");
    Failure::refused(Refusal::Invalid, None, what)
        .hint("find who uses it in Google's console (APIs & Services, Credentials, the key's usage), and go on 7 days after the last call")
}

fn dead(credential: &Credential) -> &'static [Dead] {
    if credential.secret.reveal().starts_with("AQ.") { DEAD_BOUND } else { DEAD_STANDARD }
}

impl Terms {
    /// Each restriction is a list of what is allowed, bare or in an object.
    fn bounds(self) -> Bounds {
        fn allowed(value: &Value, into: &mut BTreeSet<String>) {
            match value {
                Value::Array(items) => {
                    into.extend(items.iter().map(|item| item.as_str().map_or_else(|| sorted(item).to_string(), str::to_owned)));
                }
                Value::Object(fields) => fields.values().for_each(|value| allowed(value, into)),
                other => drop(into.insert(other.to_string())),
            }
        }
        let mut bounds =
            Bounds::from([("service account".into(), Bound::Only(self.service_account_email.map(|one| BTreeSet::from([one]))))]);
        for (name, value) in self.restrictions.unwrap_or_default() {
            let mut all = BTreeSet::new();
            allowed(&value, &mut all);
            // No service in the list is no restriction.
            bounds.insert(name, Bound::Only((!all.is_empty()).then_some(all)));
        }
        bounds
    }

    fn body(&self, name: &str) -> Value {
        let mut annotations = self.annotations.clone();
        annotations.remove(NAME);
        let over = name.chars().count().saturating_sub(LONGEST);
        if over > 0 {
            annotations.insert(NAME.into(), name.into());
        }
        let shown: String = name.chars().skip(over).collect();
        let mut body = json!({ "displayName": shown, "annotations": annotations });
        if let Some(restrictions) = &self.restrictions {
            body["restrictions"] = json!(restrictions);
        }
        if let Some(account) = &self.service_account_email {
            body["serviceAccountEmail"] = account.as_str().into();
        }
        body
    }
}

#[async_trait]
impl Provider for Gemini {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(5 * 60),
            dead_within: Duration::from_secs(30 * 60),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("gemini project {} at {}", self.project, self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let page = self.api.ask(Method::GET, &format!("{}?pageSize=1", self.keys), None).await;
        page.map(drop).map_err(|failure| vec![failure.into()])
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let listed = |key: Key| Listed {
            id: KeyId::new(key.id()),
            created_at: key.create_time.as_deref().and_then(rfc3339),
            expires_at: None,
            last_used: None,
            enabled: true,
            name: key.terms.annotations.get(NAME).and_then(Value::as_str).map(str::to_owned).or(key.display_name),
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// By reading values again: that of the id that is stored, else all of them.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let claimed = |key: &&Listed| Some(&key.id) == credential.id.as_ref();
        let (first, rest): (Vec<_>, Vec<_>) = listed.iter().partition(claimed);
        for key in first.into_iter().chain(rest) {
            match self.value(&key.id).await {
                Ok(value) if value.reveal() == credential.secret.reveal() => {
                    return Ok(Some((key.id.clone(), "Google shows this value for it".to_owned())));
                }
                // Deleted since it was listed.
                Err(failure) if failure.refusal() != Some(Refusal::Gone) => return Err(failure),
                _ => {}
            }
        }
        Ok(None)
    }

    /// One request makes the key; then its operation is waited for, and its value read.
    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let terms = self.terms(wanted.like, wanted.limits).await.map_err(before_effect)?;
        let begun = self.api.ask(Method::POST, &self.keys, Some(terms.body(wanted.name))).await?;
        let key: Key = serde_json::from_value(self.ended(&begun).await?).map_err(|_| begun.unlike("no key"))?;
        let id = KeyId::new(key.id());
        let secret = self.value(&id).await.map_err(after_effect)?;
        Ok(Minted { id, secret, created_at: key.create_time.as_deref().and_then(rfc3339), expires_at: None })
    }

    /// <https://cloud.google.com/api-keys/docs/reference/rest/v2/projects.locations.keys/undelete>
    fn undelete(&self) -> Option<Duration> {
        Some(Duration::from_secs(30 * 86_400))
    }

    /// Google goes on showing a deleted key to those who name it.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let id = tombstone.key();
        let path = self.path(id)?;
        let key: Key = self.api.get(&path).await.map_err(before_effect)?;
        if key.delete_time.is_some() {
            return Err(Failure::refused(Refusal::Gone, None, format!("key {id} is deleted already")));
        }
        let checks = self.checks_usage && tombstone.retires();
        let etag = key.etag.as_deref().map(wire::segment).transpose()?.map(|etag| format!("&etag={etag}"));
        let path = format!("{path}?checkExistingUsage={}{}", if checks { "CHECK" } else { "SKIP" }, etag.unwrap_or_default());
        let deleted = async {
            let begun = self.api.ask(Method::DELETE, &path, None).await?;
            self.ended(&begun).await.map(drop)
        };
        deleted.await.map_err(|failure| if checks && failure.refusal() == Some(Refusal::Invalid) { used(id) } else { failure })
    }

    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let gcloud = "gcloud services api-keys";
        let project = format!("--project={}", quoted(&self.project));
        let id = key.map_or("\"$LEAKED_KEY_ID\"".to_owned(), |key| quoted(key.as_str()));
        ByHand {
            create: vec![
                format!(
                    "answer=$({gcloud} create {project} --display-name=by-hand --api-target=service=generativelanguage.googleapis.com --format=json)"
                ),
                "export NEW_KEY=$(printf %s \"$answer\" | jq -r .response.keyString) NEW_KEY_ID=$(printf %s \"$answer\" | jq -r .response.uid)"
                    .to_owned(),
            ],
            revoke: vec![format!("{gcloud} delete {id} {project} # for 30 days, `undelete` in place of `delete` brings it back")],
        }
    }

    /// `GET /models`, one of them.
    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let reply = wire::send(self.work(Method::GET, "/models?pageSize=1", credential)?).await?;
        Ok(life(&reply, dead(credential)))
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }

    fn attributes(&self) -> Option<&dyn Attributes> {
        Some(self)
    }
}

#[async_trait]
impl Prompt for Gemini {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let model = wire::segment(question.model.trim_start_matches("models/"))?;
        let path = format!("/models/{model}{}", speech::verb(question));
        speech::gemini(self.work(Method::POST, &path, credential)?, question, dead(credential)).await
    }
}

#[async_trait]
impl Termed for Gemini {
    type Terms = Terms;

    async fn made_with(&self, key: &KeyId) -> Got<(Terms, Option<DateTime<Utc>>)> {
        Ok((self.api.get::<Key>(&self.path(key)?).await?.terms, None))
    }

    fn first(&self) -> Got<Terms> {
        Ok(self.fresh.clone())
    }

    fn bounds(&self, terms: Terms, _: DateTime<Utc>) -> Got<Bounds> {
        Ok(terms.bounds())
    }
}
