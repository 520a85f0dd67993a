//! What OpenAI's administration has in common, whatever kind of key is rotated: <https://platform.openai.com/docs/api-reference/administration>,
//! in the shapes of openai-openapi, `openapi.json`.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::kit::{self, Api, Dead, Manner, Sent};
use crate::{
    adapters::{Ctx, wire},
    playbook::{Fault, SecretRef},
    ports::{Ambiguity, Failure, Got, Life, Traits},
    secret::Secret,
};

/// OpenAI's own address.
pub(super) fn official() -> String {
    "https://api.openai.com/v1".into()
}

const MANNER: Manner =
    Manner { who: "OpenAI", wants: "an admin key (sk-admin-…)", needs: "a restricted one needs api.management.write", headers: &[] };

/// The admin API, called with the key at `admin_key`.
///
/// # Errors
/// Where `base_url` is no address.
pub(super) fn api(ctx: &Ctx, admin_key: SecretRef, base_url: &str) -> Result<Api, Fault> {
    Api::new(ctx, base_url, Sent::bearer(admin_key), MANNER)
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
}

/// All pages of the listing at `path`; `more` is added to its query.
pub(super) async fn listing<T: DeserializeOwned>(api: &Api, path: &str, more: &str) -> Got<Vec<T>> {
    let page = |after: Option<String>| async move {
        let after = after.as_deref().map(wire::segment).transpose()?.map(|id| format!("&after={id}")).unwrap_or_default();
        let page: Page<T> = api.get(&format!("{path}?limit=100{more}{after}")).await?;
        match page.last_id.filter(|_| page.has_more) {
            None if page.has_more => Err(Failure::unknown(format!("GET {}{path}: more pages, and no way to the next one", api.base))),
            next => Ok((page.data, next)),
        }
    };
    kit::pages(&format!("GET {}{path}", api.base), page).await
}

/// Dead only on 401 with `invalid_api_key`: other 401s tell of the caller's address or organization.
pub(super) const DEAD: &[Dead] = &[Dead::saying(401, "/error/code", "invalid_api_key")];

/// One cheap GET with the key itself. 403 is a living key outside its scope; 429 and 5xx are failures.
pub(super) async fn life(api: &Api, url: &str, key: &Secret) -> Got<Life> {
    Ok(kit::life(&wire::send(api.work(Method::GET, url).bearer_auth(key.reveal())).await?, DEAD))
}

/// `dead_within`: people report minutes, now and then hours; a playbook can set more. `usage_lag`: OpenAI documents none for
/// `last_used_at`; a quarter of an hour is our guess on the safe side.
pub(super) fn traits() -> Traits {
    Traits {
        ambiguity: Ambiguity::Listable,
        listed_within: Duration::from_secs(30),
        ready_within: Duration::from_secs(2 * 60),
        dead_within: Duration::from_secs(15 * 60),
        usage_lag: Duration::from_secs(15 * 60),
        quota: None,
    }
}
