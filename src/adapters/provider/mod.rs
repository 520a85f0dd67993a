//! Who issues and revokes keys: one file a provider.

pub mod aws_iam;
pub mod datadog;
pub mod gemini;
pub mod http;
pub mod kit;
pub mod openai;
pub mod openai_admin;
mod openai_api;
mod openai_usage;
pub mod openrouter;
pub mod sendgrid;
pub mod speech;
pub mod twilio;
pub mod vault_approle;

use super::kind::Vendor;

/// All of them.
pub fn all() -> Vec<Vendor> {
    vec![
        openai::VENDOR,
        openai_admin::VENDOR,
        openrouter::VENDOR,
        aws_iam::VENDOR,
        vault_approle::VENDOR,
        http::VENDOR,
        datadog::VENDOR,
        gemini::VENDOR,
        sendgrid::VENDOR,
        twilio::VENDOR,
    ]
}
