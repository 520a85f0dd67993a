//! AWS by moto: the contracts of the IAM provider and the Secrets Manager store, and what they do when others act in between.

mod gateway;
mod iam;
mod secretsmanager;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::Credentials;
use keyroll::{
    adapters::{Ctx, wire::Wire},
    playbook::{Block, SecretRef, Seg, Source},
    ports::{Failure, Got, Secrets},
    secret::Secret,
};
use tokio::sync::OnceCell;

use crate::server;

/// An access key that may do everything.
#[derive(Clone)]
pub struct Admin {
    user: String,
    id: String,
    secret: String,
}

impl Admin {
    pub fn id(&self) -> &str {
        &self.id
    }
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// The administrator of this run; moto checks signatures and policies from here on.
pub async fn admin() -> &'static Admin {
    static ADMIN: OnceCell<Admin> = OnceCell::const_new();
    ADMIN.get_or_init(make_admin).await
}

async fn make_admin() -> Admin {
    let authenticate = async |after: &'static str| {
        let url = format!("{}/moto-api/reset-auth", server("KEYROLL_TEST_MOTO"));
        let answer = reqwest::Client::new().post(url).header("content-type", "text/plain").body(after).send().await.expect("moto answers");
        assert!(answer.status().is_success());
    };
    authenticate("inf").await;
    let iam =
        aws_sdk_iam::Client::new(&settings("http-unused", "x", "x").await.to_builder().endpoint_url(server("KEYROLL_TEST_MOTO")).build());
    let name = unique("admin");
    iam.create_user().user_name(&name).send().await.unwrap_or_else(|_| panic!("no user"));
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let put = iam.put_user_policy().user_name(&name).policy_name("all").policy_document(policy).send().await;
    assert!(put.is_ok());
    let key = iam.create_access_key().user_name(&name).send().await.unwrap_or_else(|_| panic!("no key"));
    let key = key.access_key().expect("a key");
    authenticate("0").await;
    Admin { user: name, id: key.access_key_id().into(), secret: key.secret_access_key().into() }
}

/// Settings of the test itself, past the adapter.
async fn settings(endpoint: &str, id: &str, secret: &str) -> SdkConfig {
    let key = Credentials::new(id, secret, None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("us-east-1"));
    loader.credentials_provider(key).endpoint_url(endpoint).load().await
}

/// The test's own way to moto.
pub async fn direct() -> SdkConfig {
    let admin = admin().await;
    settings(&server("KEYROLL_TEST_MOTO"), &admin.id, &admin.secret).await
}

/// Whether AWS lets in who signs with this key.
pub async fn caller(id: &str, secret: &str) -> bool {
    let sts = aws_sdk_sts::Client::new(&settings(&server("KEYROLL_TEST_MOTO"), id, secret).await);
    sts.get_caller_identity().send().await.is_ok()
}

fn unique(what: &str) -> String {
    let nanos = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default();
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("{what}-{nanos}-{}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// `env:ID` and `env:SECRET` are the administrator's; nothing else is known.
struct Known(Admin);

#[async_trait]
impl Secrets for Known {
    async fn read(&self, reference: &SecretRef) -> Got<Secret> {
        match reference {
            SecretRef::Env(name) if name == "ID" => Ok(Secret::new(&*self.0.id)),
            SecretRef::Env(name) if name == "SECRET" => Ok(Secret::new(&*self.0.secret)),
            other => Err(Failure::not_sent(format!("{other} is not known here"))),
        }
    }
}

async fn ctx() -> Ctx {
    Ctx { secrets: Arc::new(Known(admin().await.clone())), wire: Wire::new().expect("TLS") }
}

/// A block of a playbook: our credentials, the endpoint, and more lines.
fn block(kind: &str, endpoint: &str, more: &[(&str, &str)]) -> Block {
    let keys = "  credentials: { access_key_id: \"env:ID\", secret_access_key: \"env:SECRET\" }";
    let mut text = format!("{kind}:\n  endpoint: {endpoint}\n  region: us-east-1\n{keys}\n");
    for (name, value) in more {
        text.push_str(&format!("  {name}: {value}\n"));
    }
    Block { kind: kind.into(), path: vec![Seg::Key(kind.into())], source: Arc::new(Source { name: "test".into(), text }) }
}
