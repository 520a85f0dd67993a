//! Azure OpenAI: the two keys of one account (a Cognitive Services or Foundry resource).
//! <https://learn.microsoft.com/en-us/rest/api/aiservices/accountmanagement/accounts/regenerate-key>
//!
//! Keys stand in two fixed slots that are never empty. Azure tells their values and nothing else: a key's id is its slot and a digest of its value,
//! so that an id names one value, as ids do elsewhere. A create regenerates the slot that the key in use does not stand in, and a delete regenerates
//! the deleted key's own. Both are said to take effect at once.
//!
//! A create that is repeated regenerates the same slot once more: what a lost one made is dead then, and nobody had it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    kit::{Api, Dead, Entra, Manner, address, in_header, life},
    speech,
};
use crate::{
    adapters::{
        Ctx,
        kind::{Facts, Kind, Vendor},
        wire::{self, Reply, before_effect},
    },
    ids::{Identity, KeyId},
    playbook::{Fault, quoted},
    ports::{
        Ambiguity, ByHand, Credential, Failure, Got, Life, Like, Listed, Minted, Problem, Prompt, Provider, Question, Spoken, Traits,
        Wanted,
    },
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};

/// The two keys of an Azure OpenAI account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The subscription's id.
    pub subscription: String,
    /// The resource group's name.
    pub resource_group: String,
    /// The account's name: that of the Azure OpenAI, Foundry or other Cognitive Services resource.
    pub account: String,
    /// How keyroll logs in.
    pub login: Entra,
    /// The address that services call: `https://acme.openai.azure.com`.
    pub endpoint: String,
    /// `unused`: nobody but the readers of this playbook's stores uses either of the account's two keys. Each rotation regenerates both, and Azure does
    /// not tell whether somebody uses one.
    pub spare: Spare,
    /// The slot that nobody uses when there is no key in use yet: only `--install` and `--replace` look at it.
    pub install_into: Option<Slot>,
    /// The path and query of a call that costs nothing and needs the key.
    #[serde(default = "models")]
    pub probe: String,
    /// The address of Azure Resource Manager; another one in Azure's national clouds.
    #[serde(default = "official")]
    pub base_url: String,
}

/// What must be so.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spare {
    /// Nobody uses the other key.
    Unused,
}

/// One of the two places.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Slot {
    /// The first.
    Key1,
    /// The second.
    Key2,
}

const SLOTS: [Slot; 2] = [Slot::Key1, Slot::Key2];

impl Slot {
    /// As Azure's API writes it.
    fn name(self) -> &'static str {
        match self {
            Self::Key1 => "Key1",
            Self::Key2 => "Key2",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Key1 => Self::Key2,
            Self::Key2 => Self::Key1,
        }
    }
}

fn models() -> String {
    "/openai/models?api-version=2024-10-21".into()
}

fn official() -> String {
    "https://management.azure.com".into()
}

/// The constructor, and what is known.
pub const VENDOR: Vendor = Vendor {
    kind: Kind {
        name: "azure_openai",
        about: "the two keys of an Azure OpenAI (Cognitive Services) account",
        schema: |generator| Config::json_schema(generator),
        build: |block, ctx| Ok(Arc::new(AzureOpenAi::new(block.read()?, ctx)?)),
    },
    facts: Facts {
        needs: &[
            "on the account: Microsoft.CognitiveServices/accounts/listKeys/action and …/regenerateKey/action (a role of its own, or Cognitive Services Contributor)",
            "both keys for itself (`spare: unused`): each rotation regenerates both, one to begin with and one at its end",
        ],
        unconfirmed: &[
            "that nobody else uses the spare key: Azure does not tell, and whoever does is cut off when a rotation begins",
            "that no regenerate lands late: Azure takes no condition with it, so one that lies on the way longer than a call lasts (20 s) would replace a key that is in use by then",
            "how long a regenerated key's old value works (5 minutes are assumed; Microsoft says that it stops at once) and a new one may be refused (2 minutes)",
            "that a value that is no key is answered 401 with `invalid subscription key` by every kind of account; where it is not, a key is never called dead",
            "prompts go to …/openai/v1/chat/completions, with the deployment's name as the model",
            "tokens come from a reference or a client secret: managed and federated identities only through something that writes the token",
        ],
        source: "https://learn.microsoft.com/en-us/rest/api/aiservices/accountmanagement/accounts/regenerate-key",
        sample: include_str!("../../../playbooks/azure-openai.yaml"),
    },
};

const MANNER: Manner = Manner {
    who: "Azure",
    wants: "good for a token of Azure Resource Manager that is not over",
    needs: "it needs Microsoft.CognitiveServices/accounts/listKeys/action and …/regenerateKey/action on the account",
    headers: &[],
};

/// `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. …"}}`; the code is `Unauthorized` at some
/// gateways. An account that takes no keys at all (`disableLocalAuth`) answers 403.
const DEAD: &[Dead] = &[Dead::saying(401, "/error/message", "invalid subscription key")];

const VERSION: &str = "?api-version=2025-09-01";

/// How much of a value's digest is in its id: enough that no two values have the same.
const DIGITS: usize = 16;

/// The keys of one account.
pub struct AzureOpenAi {
    api: Api,
    /// The account's path.
    path: String,
    config: Config,
    endpoint: String,
}

/// Both keys; Azure's reference lets each be missing, and then nothing is known.
#[derive(Deserialize)]
struct Told {
    key1: String,
    key2: String,
}

struct Pair {
    key1: Secret,
    key2: Secret,
}

impl Pair {
    fn of(reply: &Reply) -> Got<Self> {
        let told: Told = reply.json()?;
        if told.key1.is_empty() || told.key2.is_empty() {
            return Err(reply.unlike("an empty key"));
        }
        Ok(Self { key1: Secret::new(told.key1), key2: Secret::new(told.key2) })
    }

    fn value(&self, slot: Slot) -> &Secret {
        match slot {
            Slot::Key1 => &self.key1,
            Slot::Key2 => &self.key2,
        }
    }

    fn id(&self, slot: Slot) -> KeyId {
        let digest: String = self.value(slot).sha256().chars().take(DIGITS).collect();
        KeyId::new(format!("{}-{digest}", slot.name()))
    }

    /// The slot that holds this very value.
    fn holding(&self, id: &KeyId) -> Option<Slot> {
        SLOTS.into_iter().find(|slot| self.id(*slot) == *id)
    }
}

impl AzureOpenAi {
    /// From its block. Calls nobody.
    ///
    /// # Errors
    /// Where an address is none, or a name cannot stand in one.
    pub fn new(config: Config, ctx: &Ctx) -> Result<Self, Fault> {
        let Spare::Unused = config.spare;
        let name = |field: &str, name: &str| {
            wire::segment(name)
                .map_err(|_| Fault::new(format!("`{field}` is no name")).instead("as `az cognitiveservices account list` shows it"))
        };
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.CognitiveServices/accounts/{}",
            name("subscription", &config.subscription)?,
            name("resource_group", &config.resource_group)?,
            name("account", &config.account)?,
        );
        if !config.probe.starts_with('/') {
            return Err(Fault::new("`probe` is not a path").instead(format!("a path below `endpoint`: `{}`", models())));
        }
        let api = Api::with(ctx, &config.base_url, config.login.clone().login()?, MANNER)?;
        let endpoint = address("endpoint", &config.endpoint)?;
        Ok(Self { api, path, config, endpoint })
    }

    async fn pair(&self) -> Got<Pair> {
        Pair::of(&self.api.ask(Method::POST, &format!("{}/listKeys{VERSION}", self.path), None).await?)
    }

    /// The value in this slot is another one from then on. An answer that still shows the old value is unknown.
    async fn regenerate(&self, slot: Slot, before: &Pair) -> Got<Pair> {
        let path = format!("{}/regenerateKey{VERSION}", self.path);
        let reply = self.api.ask(Method::POST, &path, Some(json!({ "keyName": slot.name() }))).await?;
        let after = Pair::of(&reply)?;
        if after.value(slot).same(before.value(slot)) { Err(reply.unlike("the key that was to be replaced")) } else { Ok(after) }
    }

    /// The slot that a new key goes into: never one whose key somebody may use.
    fn spare(&self, now: &Pair, wanted: &Wanted<'_>) -> Got<Slot> {
        let refused = |why, what: String, hint: &str| Err(Failure::refused(why, None, what).hint(hint));
        let kept = |slot: &Slot| wanted.keep.contains(&now.id(*slot));
        if let Some(Like::Key(like)) = wanted.like {
            let hint = "find out who regenerated it, and put key1 or key2 into the stores; then rotate that";
            let Some(used) = now.holding(like) else {
                return refused(Refusal::Conflict, format!("the key in use ({like}) is in neither slot any more"), hint);
            };
            if kept(&used.other()) {
                return refused(Refusal::Quota, "both slots hold keys that are in use".into(), "one of them must go first");
            }
            return Ok(used.other());
        }
        // What was regenerated since the rotation began was regenerated by it: nobody has that.
        let since = |slot: &Slot| !wanted.listed.is_empty() && !wanted.listed.contains(&now.id(*slot));
        match SLOTS.into_iter().find(since).or(self.config.install_into).filter(|slot| !kept(slot)) {
            Some(slot) => Ok(slot),
            None => refused(
                Refusal::Invalid,
                "there is no key in use, so nothing tells which of the two slots may be regenerated".into(),
                "say which one nobody uses: `install_into: Key1` or `Key2`; or put the other one's value into the stores by hand, and rotate that",
            ),
        }
    }

    /// A request with the key itself.
    fn work(&self, method: Method, path: &str, key: &Secret) -> Got<RequestBuilder> {
        Ok(self.api.work(method, &format!("{}{path}", self.endpoint)).header("api-key", in_header(key)?))
    }

    /// Azure's own command line.
    fn az(&self, verb: &str) -> String {
        let Config { subscription, resource_group, account, .. } = &self.config;
        let (subscription, group, account) = (quoted(subscription), quoted(resource_group), quoted(account));
        format!("az cognitiveservices account keys {verb} --subscription {subscription} -g {group} -n {account}")
    }
}

#[async_trait]
impl Provider for AzureOpenAi {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Replayed,
            listed_within: Duration::from_secs(30),
            ready_within: Duration::from_secs(2 * 60),
            dead_within: Duration::from_secs(5 * 60),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    /// Two rotations of one account would regenerate each other's keys. Azure does not tell upper from lower case in these names.
    fn principal(&self) -> Option<Identity> {
        Some(Identity::new(self.describe().to_lowercase()))
    }

    fn describe(&self) -> String {
        format!("azure_openai {} at {}", self.path, self.api.base)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        self.pair().await.map(drop).map_err(|failure| vec![failure.into()])
    }

    /// Always two.
    async fn list(&self) -> Got<Vec<Listed>> {
        let pair = self.pair().await?;
        let listed = |slot| Listed { id: pair.id(slot), name: None, created_at: None, expires_at: None, last_used: None, enabled: true };
        Ok(SLOTS.into_iter().map(listed).collect())
    }

    /// The value itself is told. One that is in neither slot is nobody's: it was regenerated, or is another account's.
    async fn identify(&self, credential: &Credential, listed: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let pair = self.pair().await?;
        let found = SLOTS.into_iter().find(|slot| pair.value(*slot).same(&credential.secret));
        let found = found.map(|slot| (pair.id(slot), format!("Azure tells this value as the account's {}", slot.name())));
        Ok(found.filter(|(id, _)| listed.iter().any(|known| known.id == *id)))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let before = self.pair().await.map_err(before_effect)?;
        let slot = self.spare(&before, wanted)?;
        let after = self.regenerate(slot, &before).await?;
        Ok(Minted { id: after.id(slot), secret: after.value(slot).duplicate(), created_at: None, expires_at: None })
    }

    /// Only where the slot still holds that very value.
    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let before = self.pair().await.map_err(before_effect)?;
        let Some(slot) = before.holding(tombstone.key()) else {
            return Err(Failure::refused(Refusal::Gone, None, format!("neither slot holds {} any more", tombstone.key())));
        };
        self.regenerate(slot, &before).await.map(drop)
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let request = self.work(Method::GET, &self.config.probe, &credential.secret)?;
        Ok(life(&wire::send(request).await?, DEAD))
    }

    /// The new key goes into the other slot; `$LEAKED_KEY_ID` begins with the name of its own.
    fn by_hand(&self, key: Option<&KeyId>) -> ByHand {
        let slot = key.and_then(|key| SLOTS.into_iter().find(|slot| key.as_str().starts_with(slot.name())));
        let regenerate = self.az("regenerate");
        let mut create = Vec::new();
        let spare = slot.map_or("\"$SPARE\"", |slot| slot.other().name());
        if slot.is_none() {
            create.push(format!("{} # then: export SPARE=Key1 or Key2, the one that is not in use", self.az("list")));
        }
        create.push(format!(
            "export NEW_KEY=$({regenerate} --key-name {spare} -o json | jq -r --arg slot {spare} '.[$slot | ascii_downcase]')"
        ));
        create.push(format!("export NEW_KEY_ID={spare}-$(printf %s \"$NEW_KEY\" | sha256sum | cut -c1-{DIGITS})"));
        let leaked = slot.map_or("\"${LEAKED_KEY_ID%%-*}\"", Slot::name);
        ByHand { create, revoke: vec![format!("{regenerate} --key-name {leaked} -o none")] }
    }

    fn slots(&self) -> bool {
        true
    }

    fn prompt(&self) -> Option<&dyn Prompt> {
        Some(self)
    }
}

#[async_trait]
impl Prompt for AzureOpenAi {
    /// The API without dated versions: <https://learn.microsoft.com/en-us/rest/api/microsoft-foundry/azureopenai/chat>.
    async fn prompt(&self, credential: &Credential, question: &Question<'_>) -> Got<Spoken> {
        let request = self.work(Method::POST, "/openai/v1/chat/completions", &credential.secret)?;
        speech::openai(request, "max_completion_tokens", question, DEAD).await
    }
}
