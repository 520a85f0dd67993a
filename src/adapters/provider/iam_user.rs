//! An IAM user whose credentials are rotated, whichever kind they are.

use aws_sdk_iam::Client;

use crate::{
    adapters::{
        Ctx,
        aws::{Account, Keys, failure},
    },
    playbook::Fault,
    ports::{Failure, Got, Problem},
    protocol::Refusal,
};

/// Of each kind: both the quota's default and its maximum; it cannot be raised. Inactive ones count.
pub const QUOTA: usize = 2;
/// A listing that does not end by then never ends.
pub const MOST_PAGES: usize = 100;

/// The user, and how AWS is reached.
pub struct IamUser {
    /// Without its path.
    pub name: String,
    number: Option<String>,
    /// keyroll's own credentials, and where calls go.
    pub account: Account,
}

impl IamUser {
    /// Calls nobody.
    ///
    /// # Errors
    /// Where `user` is no user's name, or `account` no account's number.
    pub fn new(
        (user, number): (String, Option<String>),
        (credentials, region, endpoint): (Option<Keys>, Option<String>, Option<String>),
        ctx: &Ctx,
    ) -> Result<Self, Fault> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if user.is_empty() || user.len() > 64 || !user.chars().all(legal) {
            return Err(Fault::new("user is no IAM user name").instead("the name alone, without its path or ARN: user: app-production"));
        }
        if number.as_ref().is_some_and(|number| number.len() != 12 || !number.chars().all(|c| c.is_ascii_digit())) {
            return Err(Fault::new("account is no account number").instead("twelve digits in quotes: account: \"123456789012\""));
        }
        let account = Account::new(credentials, region, endpoint, ctx).or_region("us-east-1");
        Ok(Self { name: user, number, account })
    }

    /// An action and what it is done to, as a policy names both.
    pub fn asked(&self, action: &str) -> String {
        format!("iam:{action} on user {}", self.name)
    }

    /// A client for one call.
    ///
    /// # Errors
    /// Those of [`Account::settings`].
    pub async fn iam(&self) -> Got<Client> {
        Ok(Client::new(&self.account.settings().await?))
    }

    /// The partition, the account and the user.
    pub fn place(&self) -> String {
        let number = self.number.as_ref().map(|number| format!(" {number}")).unwrap_or_default();
        format!("{}{number} user/{}", self.account.partition(), self.name)
    }

    /// The problem of credentials that belong to another account than the playbook says.
    ///
    /// # Errors
    /// Where nobody tells whose they are.
    pub async fn elsewhere(&self) -> Got<Option<Problem>> {
        let Some(number) = &self.number else { return Ok(None) };
        let sts = aws_sdk_sts::Client::new(&self.account.settings().await?);
        let answer = sts.get_caller_identity().send().await.map_err(|error| failure("sts:GetCallerIdentity", &error))?;
        let here = answer.account().unwrap_or("unknown");
        let what = || format!("keyroll's credentials belong to account {here}, and the playbook says {number}");
        Ok((here != number).then(|| Problem::new(what(), "use credentials of that account, or put `account` right")))
    }

    /// The problem of a listing that failed.
    pub fn unlisted(&self, failure: Failure) -> Problem {
        let gone = failure.refusal() == Some(Refusal::Gone);
        let mut problem = Problem::from(failure);
        if gone {
            problem.what = format!("there is no IAM user {}", self.name);
            problem.hint = format!("check `user`, or: aws iam create-user --user-name {}", self.name);
        }
        problem
    }
}
