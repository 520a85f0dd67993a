//! Vendors whose keys only a person can make, in the console. keyroll does the rest: it sees that the handed-over key is new and works, stores it, waits
//! for every instance's proof, and sees that the old one is dead once a person, or the vendor's revocation by value, has revoked it.
//!
//! These vendors list no keys: a key's id is a digest of its value.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    kit::{self, Dead, by_a_person},
    mistral, speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire,
    },
    ids::{Identity, KeyId},
    playbook::{Block, Fault, quoted},
    ports::{
        Ambiguity, ByHand, ByPerson, ByValue, Credential, Got, Life, Listed, Minted, Problem, Prompt, Provider, Question, Spoken, Traits,
        Wanted,
    },
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// A vendor: where a person goes, and how a key is tried.
struct Place {
    name: &'static str,
    /// Where keys are made and revoked.
    page: &'static str,
    /// The API's address.
    base: &'static str,
    /// A call that costs nothing and needs the key.
    probe: &'static str,
    /// The vendor's own words for "no such key".
    dead: &'static [Dead],
    /// Where chat completions are, as OpenAI defines them.
    chat: Option<&'static str>,
    /// Where keys are revoked by their value: `POST {"credentials": […]}`, without a login.
    revoke: Option<&'static str>,
}

macro_rules! vendor {
    ($about:literal, $source:literal, $sample:literal, $place:expr) => {{
        const PLACE: &Place = &$place;
        Vendor {
            kind: Kind {
                name: PLACE.name,
                about: $about,
                schema: |generator| Config::json_schema(generator),
                build: |block, ctx| Ok(Arc::new(Console::new(PLACE, block, ctx)?)),
            },
            facts: Facts {
                needs: &["nothing: keyroll calls with the key itself; a person needs a seat in the console"],
                unconfirmed: &[
                    "how long a revoked key works (1 minute is assumed)",
                    "that the words of its refusal stay as they are; where they change, a key is never called dead",
                ],
                source: $source,
                sample: include_str!(concat!("../../../playbooks/", $sample, ".yaml")),
            },
        }
    }};
}
/// <https://console.groq.com/docs/errors>
pub const GROQ: Vendor = vendor!(
    "API keys of a Groq account, made by a person",
    "https://console.groq.com/docs/api-reference",
    "groq",
    Place {
        name: "groq",
        page: "https://console.groq.com/keys",
        base: "https://api.groq.com/openai/v1",
        probe: "/models",
        dead: &[Dead::saying(401, "/error/code", "invalid_api_key")],
        chat: Some("/chat/completions"),
        revoke: None,
    }
);

/// <https://docs.cohere.com/reference/errors>; chat completions: <https://docs.cohere.com/docs/compatibility-api>
pub const COHERE: Vendor = vendor!(
    "API keys of a Cohere account, made by a person",
    "https://docs.cohere.com/reference/errors",
    "cohere",
    Place {
        name: "cohere",
        page: "https://dashboard.cohere.com/api-keys",
        base: "https://api.cohere.ai",
        probe: "/v1/models",
        dead: &[Dead::saying(401, "/message", "invalid api token")],
        chat: Some("/compatibility/v1/chat/completions"),
        revoke: None,
    }
);

/// <https://docs.together.ai/docs/error-codes>
pub const TOGETHER: Vendor = vendor!(
    "API keys of a Together AI account, made by a person",
    "https://docs.together.ai/docs/error-codes",
    "together",
    Place {
        name: "together",
        page: "https://api.together.ai/settings/api-keys",
        base: "https://api.together.xyz/v1",
        probe: "/models",
        dead: &[Dead::saying(401, "/error/code", "invalid_api_key")],
        chat: Some("/chat/completions"),
        revoke: None,
    }
);

/// <https://api-docs.deepseek.com/quick_start/error_codes>
pub const DEEPSEEK: Vendor = vendor!(
    "API keys of a DeepSeek account, made by a person",
    "https://api-docs.deepseek.com/quick_start/error_codes",
    "deepseek",
    Place {
        name: "deepseek",
        page: "https://platform.deepseek.com/api_keys",
        base: "https://api.deepseek.com",
        probe: "/models",
        dead: &[Dead::saying(401, "/error/type", "authentication_error")],
        chat: Some("/chat/completions"),
        revoke: None,
    }
);

/// <https://docs.stripe.com/api/errors>, <https://docs.stripe.com/keys#rolling-keys>
pub const STRIPE: Vendor = vendor!(
    "secret and restricted keys of a Stripe account, made by a person",
    "https://docs.stripe.com/keys",
    "stripe",
    Place {
        name: "stripe",
        page: "https://dashboard.stripe.com/apikeys",
        base: "https://api.stripe.com",
        probe: "/v1/balance",
        dead: &[Dead::saying(401, "/error/message", "Invalid API Key provided"), Dead::saying(401, "/error/code", "api_key_expired"),],
        chat: None,
        revoke: None,
    }
);

/// <https://docs.github.com/en/rest/credentials/revoke>
pub const GITHUB: Vendor = vendor!(
    "personal access tokens of a GitHub user, made by a person and revoked by keyroll",
    "https://docs.github.com/en/rest/credentials/revoke",
    "github_pat",
    Place {
        name: "github_pat",
        page: "https://github.com/settings/tokens",
        base: "https://api.github.com",
        probe: "/rate_limit",
        dead: &[Dead::saying(401, "/message", "Bad credentials")],
        chat: None,
        revoke: Some("/credentials/revoke"),
    }
);

/// <https://huggingface.co/docs/hub/security-tokens>
pub const HUGGING_FACE: Vendor = vendor!(
    "access tokens of a Hugging Face user, made by a person and revoked by keyroll",
    "https://huggingface.co/docs/hub/security-tokens",
    "hugging_face",
    Place {
        name: "hugging_face",
        page: "https://huggingface.co/settings/tokens",
        base: "https://huggingface.co",
        probe: "/api/whoami-v2",
        dead: &[Dead::saying(401, "/error", "Invalid")],
        chat: None,
        revoke: Some("/api/credentials/revoke"),
    }
);

/// Mistral without its Admin API (`mistral`), which is in beta. <https://docs.mistral.ai/api/>
pub const MISTRAL: Vendor = vendor!(
    "API keys of a Mistral workspace, made by a person",
    "https://docs.mistral.ai/api/",
    "mistral_console",
    Place {
        name: "mistral_console",
        page: "https://console.mistral.ai/api-keys",
        base: "https://api.mistral.ai/v1",
        probe: "/models",
        dead: mistral::DEAD,
        chat: Some("/chat/completions"),
        revoke: None,
    }
);

/// Keys that a person makes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The API's address; without it the vendor's own.
    pub base_url: Option<String>,
    /// The path of a call that costs nothing and that the key may make; without it one that every key may make, or most.
    pub probe: Option<String>,
    /// The page where a person makes and revokes keys; without it the vendor's own.
    pub page: Option<String>,
}

/// One vendor's keys.
struct Console {
    ctx: Ctx,
    place: &'static Place,
    base: String,
    probe: String,
    page: String,
}

impl Console {
    fn new(place: &'static Place, block: &Block, ctx: &Ctx) -> Result<Self, Fault> {
        let config: Config = block.read()?;
        let probe = config.probe.unwrap_or_else(|| place.probe.into());
        if !probe.starts_with('/') {
            return Err(Fault::new("`probe` is not a path").instead(format!("a path below `base_url`: `{}`", place.probe)));
        }
        Ok(Self {
            ctx: ctx.clone(),
            place,
            base: kit::address("base_url", config.base_url.as_deref().unwrap_or(place.base))?,
            probe,
            page: kit::address("page", config.page.as_deref().unwrap_or(place.page))?,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.ctx.wire.client().request(method, format!("{}{path}", self.base))
    }
}

#[async_trait]
impl Provider for Console {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Replayed,
            listed_within: Duration::ZERO,
            ready_within: Duration::from_secs(60),
            dead_within: Duration::from_secs(60),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("{} at {}", self.place.name, self.base)
    }

    /// There is no credential to check.
    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    /// The vendor tells nobody which keys there are.
    async fn list(&self) -> Got<Vec<Listed>> {
        Ok(Vec::new())
    }

    async fn identify(&self, credential: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        Ok(Some((kit::digest_id(&credential.secret), "its id is a digest of this value".into())))
    }

    async fn create(&self, _: &Wanted<'_>) -> Got<Minted> {
        Err(by_a_person(&self.page, "make"))
    }

    async fn delete(&self, _: &Tombstone) -> Got<()> {
        Err(by_a_person(&self.page, "revoke"))
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.request(Method::GET, &self.probe).bearer_auth(credential.secret.reveal());
        Ok(kit::life(&wire::send(request).await?, self.place.dead))
    }

    fn by_hand(&self, _: Option<&KeyId>) -> ByHand {
        let revoke = match self.place.revoke {
            Some(path) => {
                let url = quoted(&format!("{}{path}", self.base));
                let json = "-H 'Content-Type: application/json'";
                format!("printf '{{\"credentials\":[\"%s\"]}}' \"$LEAKED_KEY\" | curl -fsS {json} -d @- {url}")
            }
            None => format!("# revoke the leaked key at {}", self.page),
        };
        ByHand { create: vec![kit::made_by_hand(&self.page)], revoke: vec![revoke] }
    }

    fn by_person(&self) -> Option<&dyn ByPerson> {
        Some(self)
    }

    fn by_value(&self) -> Option<&dyn ByValue> {
        self.place.revoke.map(|_| self as &dyn ByValue)
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        self.place.chat.map(|_| self as &dyn Prompt)
    }
}

impl ByPerson for Console {
    fn page(&self) -> String {
        self.page.clone()
    }
}

#[async_trait]
impl ByValue for Console {
    /// Any 2xx: the vendor revokes it soon after, and says so of every value. What is not found is the call itself, never the key.
    async fn revoke(&self, value: &Secret) -> Got<()> {
        let path = self.place.revoke.unwrap_or_default();
        let request = self.request(Method::POST, path).json(&json!({ "credentials": [value.reveal()] }));
        let reply = wire::send(request).await?;
        match reply.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let hint = format!("no key can be revoked by its value there: check `base_url`, and revoke it at {}", self.page);
                Err(reply.refused(Refusal::Invalid).hint(hint))
            }
            _ => reply.ok().map(drop),
        }
    }
}

#[async_trait]
impl Prompt for Console {
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.request(Method::POST, self.place.chat.unwrap_or_default()).bearer_auth(credential.secret.reveal());
        speech::openai(request, "max_tokens", question, self.place.dead).await
    }
}
