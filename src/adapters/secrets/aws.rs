//! `aws:id` and `aws:id#field`: a secret's current value, read with this machine's own credentials.

use aws_sdk_secretsmanager::Client;

use crate::{
    adapters::{
        aws::{failure, machine, region_of},
        store::form::Form,
    },
    ports::{Failure, Got},
    protocol::Refusal,
    secret::Secret,
};

/// The whole text, or one text member of its JSON. `AWS_ENDPOINT_URL` and the other variables of the AWS SDK apply.
///
/// # Errors
/// No credentials, no such secret or field, or a binary secret. The value never stands in one.
pub async fn read(id: &str, field: Option<&str>) -> Got<Secret> {
    let client = Client::new(&machine(region_of(id)).await?);
    let got = client.get_secret_value().secret_id(id).send().await;
    let got = got.map_err(|error| {
        let failure = failure(&format!("secretsmanager:GetSecretValue on secret {id}"), &error);
        Failure { what: format!("aws:{id}: {}", failure.what), ..failure }
    })?;
    let unusable = |why: &str, hint: &str| Failure::refused(Refusal::Invalid, None, format!("aws:{id}: {why}")).hint(hint);
    let text = got.secret_string().ok_or_else(|| unusable("the secret is binary", "store it as text"))?;
    let Some(field) = field else { return Ok(Secret::new(text)) };
    let mut fields = Form::Json.fields(text).map_err(|why| unusable(&why, "leave #field out to take the whole text"))?;
    fields.remove(field).ok_or_else(|| unusable(&format!("there is no text field `{field}`"), "check the name after #"))
}
