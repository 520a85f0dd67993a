//! A provider from outside the crate: an in-house gateway whose keys live in a map.
//!
//! `cargo run --example custom_provider` registers it, reads a playbook that names it, and prints the plan's first step.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use keyroll::{
    adapters::{
        Ctx, build,
        registry::{Kind, Registry},
        secrets,
        wire::Wire,
    },
    ids::{Identity, KeyId},
    playbook::{Playbook, Source, render},
    ports::{Ambiguity, Credential, Failure, Got, Life, Listed, Minted, Problem, Provider, Traits, Wanted},
    protocol::Refusal,
    rotation::Tombstone,
    secret::Secret,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What stands in the playbook's block.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The team whose keys are rotated.
    team: String,
}

struct Gateway {
    config: Config,
    keys: Mutex<BTreeMap<KeyId, (String, Secret)>>,
}

const GATEWAY: Kind<dyn Provider> = Kind {
    name: "gateway",
    about: "the in-house gateway",
    schema: |generator| generator.subschema_for::<Config>(),
    build: |block, _ctx: &Ctx| Ok(Arc::new(Gateway { config: block.read()?, keys: Mutex::default() })),
};

#[async_trait]
impl Provider for Gateway {
    fn traits(&self) -> Traits {
        Traits {
            ambiguity: Ambiguity::Listable,
            listed_within: Duration::ZERO,
            ready_within: Duration::from_secs(5),
            dead_within: Duration::from_secs(5),
            usage_lag: Duration::ZERO,
            quota: None,
        }
    }

    fn principal(&self) -> Option<Identity> {
        None
    }

    fn describe(&self) -> String {
        format!("gateway team {}", self.config.team)
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    async fn list(&self) -> Got<Vec<Listed>> {
        let keys = self.keys.lock().map_err(|_| Failure::unknown("the gateway's map is poisoned"))?;
        let listed = |(id, (name, _)): (&KeyId, &(String, Secret))| Listed {
            id: id.clone(),
            name: Some(name.clone()),
            created_at: None,
            expires_at: None,
            last_used: None,
            enabled: true,
        };
        Ok(keys.iter().map(listed).collect())
    }

    async fn identify(&self, credential: &Credential, _: &[Listed]) -> Got<Option<(KeyId, String)>> {
        let keys = self.keys.lock().map_err(|_| Failure::unknown("the gateway's map is poisoned"))?;
        let found = keys.iter().find(|(_, (_, value))| value.same(&credential.secret));
        Ok(found.map(|(id, _)| (id.clone(), "the gateway knows the value".to_owned())))
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Got<Minted> {
        let mut keys = self.keys.lock().map_err(|_| Failure::unknown("the gateway's map is poisoned"))?;
        let id = KeyId::new(format!("gw-{}", keys.len() + 1));
        let value = format!("gateway-{:032x}", fastrand::u128(..));
        keys.insert(id.clone(), (wanted.name.to_owned(), Secret::new(value.as_str())));
        Ok(Minted { id, secret: Secret::new(value), created_at: Some(Utc::now()), expires_at: None })
    }

    async fn delete(&self, tombstone: &Tombstone) -> Got<()> {
        let mut keys = self.keys.lock().map_err(|_| Failure::unknown("the gateway's map is poisoned"))?;
        match keys.remove(tombstone.key()) {
            Some(_) => Ok(()),
            None => Err(Failure::refused(Refusal::Gone, None, "the gateway has no such key")),
        }
    }

    async fn probe(&self, credential: &Credential) -> Got<Life> {
        let known = self.identify(credential, &[]).await?;
        Ok(if known.is_some() { Life::Alive } else { Life::Dead })
    }
}

const PLAYBOOK: &str = r#"
keyroll: 1
name: gateway-production
provider:
  gateway: { team: search }
stores:
  - file: { path: /run/secrets/gateway.env, format: dotenv }
    write: { GATEWAY_KEY: secret }
    stale_for: 1m
consumers:
  - name: search
    instances: { fixed: ["127.0.0.1:8080"] }
    health: { path: /healthz, fingerprint: { json: /key } }
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::builtin().with_provider(GATEWAY);
    let wire = Wire::new()?;
    let ctx = Ctx { secrets: secrets::resolver(&wire), wire };
    let source = Arc::new(Source { name: "gateway.yaml".into(), text: PLAYBOOK.into() });
    let built = Playbook::parse(source.clone()).and_then(|book| build::build(&book, &registry, &ctx).map(|world| (book, world)));
    let (book, world) = built.map_err(|faults| render(&faults, &source))?;
    println!("`{}` rotates keys of {}", book.name, world.provider.describe());

    let minted = world.provider.create(&Wanted::named("gateway-production-1", "1")).await?;
    let works = world.provider.probe(&Credential { id: Some(minted.id.clone()), secret: minted.secret }).await?;
    println!("key {} was made and is {works:?}", minted.id);
    Ok(())
}
