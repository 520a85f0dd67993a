//! Who issues and revokes keys: one file a provider.

pub mod anthropic;
pub mod aws_iam;
pub mod azure_openai;
pub mod bedrock;
pub mod by_person;
pub mod cloudflare;
pub mod datadog;
pub mod deepgram;
pub mod fireworks;
pub mod gemini;
pub mod http;
mod iam_user;
pub mod kit;
pub mod litellm;
mod litellm_spend;
mod litellm_terms;
pub mod mistral;
pub mod openai;
pub mod openai_admin;
mod openai_api;
mod openai_project;
mod openai_usage;
pub mod openai_user;
pub mod openrouter;
pub mod sendgrid;
pub mod speech;
pub mod twilio;
pub mod vault_approle;
mod vault_approle_terms;
pub mod xai;

use super::kind::Vendor;

/// All of them.
pub fn all() -> Vec<Vendor> {
    vec![
        openai::VENDOR,
        openai_user::VENDOR,
        openai_admin::VENDOR,
        anthropic::VENDOR,
        gemini::VENDOR,
        azure_openai::VENDOR,
        openrouter::VENDOR,
        litellm::VENDOR,
        xai::VENDOR,
        fireworks::VENDOR,
        deepgram::VENDOR,
        mistral::VENDOR,
        by_person::MISTRAL,
        by_person::GROQ,
        by_person::COHERE,
        by_person::TOGETHER,
        by_person::DEEPSEEK,
        by_person::HUGGING_FACE,
        by_person::GITHUB,
        by_person::STRIPE,
        cloudflare::VENDOR,
        datadog::VENDOR,
        sendgrid::VENDOR,
        twilio::VENDOR,
        aws_iam::VENDOR,
        bedrock::VENDOR,
        vault_approle::VENDOR,
        http::VENDOR,
    ]
}
