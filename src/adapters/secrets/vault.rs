//! `vault:mount/path#field`, read as the `vault` command would: `VAULT_ADDR`, `VAULT_NAMESPACE`, `VAULT_CACERT`, and the token
//! of `VAULT_TOKEN` or `~/.vault-token`.

use std::{collections::HashMap, env, sync::Arc};

use serde::Deserialize;
use vaultrs::api::kv2::requests::ReadSecretRequest;

use super::Local;
use crate::{
    adapters::{
        Ctx,
        vault::{Access, Auth, Data, LoginRef, Raw, Vault, path},
        wire::Wire,
    },
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

#[derive(Deserialize)]
struct Read {
    data: HashMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Mount {
    path: String,
}

pub(super) async fn read(wire: &Wire, place: &str, field: &str) -> Got<Secret> {
    let wrong = |why, what: String| Failure::refused(why, None, what);
    let address = env::var("VAULT_ADDR").map_err(|_| {
        wrong(Refusal::Gone, format!("vault:{place}#{field}: VAULT_ADDR is not set")).hint("export VAULT_ADDR=https://vault.internal:8200")
    })?;
    let token = match env::var_os("VAULT_TOKEN") {
        Some(_) => LoginRef::env("VAULT_TOKEN"),
        None => LoginRef::file(format!("{}/.vault-token", env::var("HOME").unwrap_or_default())),
    };
    let access = Access {
        address,
        namespace: env::var("VAULT_NAMESPACE").ok().filter(|text| !text.is_empty()),
        auth: Auth::Token(token),
        ca: env::var_os("VAULT_CACERT").map(Into::into),
    };
    let ctx = Ctx { secrets: Arc::new(Local), wire: wire.clone() };
    let vault =
        Vault::new(&ctx, access).map_err(|fault| wrong(Refusal::Invalid, format!("VAULT_ADDR or VAULT_NAMESPACE: {}", fault.what)))?;
    let place = path("vault:", place).map_err(|fault| wrong(Refusal::Invalid, fault.what))?;
    let mount = mount(&vault, &place).await?;
    let rest = place.strip_prefix(&mount).unwrap_or_default().trim_start_matches('/').to_owned();
    let reply = vault.call(&ReadSecretRequest { mount, path: rest, version: None }).await?;
    let missing =
        |what: &str| wrong(Refusal::Gone, format!("vault:{place}#{field}: {what}")).hint("write it there, or correct the reference");
    if reply.status.as_u16() == 404 {
        return Err(missing("nothing is stored there"));
    }
    match reply.ok()?.json::<Data<Read>>()?.data.data.remove(field) {
        Some(serde_json::Value::String(text)) => Ok(Secret::new(text)),
        Some(_) => Err(missing("the field is no text")),
        None => Err(missing("there is no such field")),
    }
}

/// A mount's name may have slashes of its own, so Vault is asked; where it does not tell, the first part is taken.
async fn mount(vault: &Vault, place: &str) -> Got<String> {
    let first = || place.split('/').next().unwrap_or_default().to_owned();
    let reply = match vault.call(&Raw::get(format!("sys/internal/ui/mounts/{place}"))).await {
        Err(failure) if failure.refusal() == Some(Refusal::Denied) => return Ok(first()),
        reply => reply?,
    };
    match reply.ok() {
        Ok(reply) => Ok(reply.json::<Data<Mount>>()?.data.path.trim_end_matches('/').to_owned()),
        Err(_) => Ok(first()),
    }
}
