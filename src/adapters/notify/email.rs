//! E-mail by SMTP (RFC 5321), always over TLS but to this very machine.
//!
//! `smtps://` speaks TLS from the first byte (RFC 8314); `smtp://` begins in the clear and must switch to TLS (STARTTLS, RFC 3207) before
//! it says anything else: a server that offers no STARTTLS gets neither the message nor the password.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use crate::{
    adapters::{Ctx, kind::Kind},
    playbook::{Fault, SecretRef},
    ports::{Failure, Got, Notice, Notifier},
    protocol::Refusal,
};

/// Sends plain text, one message to all of `to`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The mail server: `smtps://host:465` (TLS from the start) or `smtp://host:587` (STARTTLS, without which nothing is sent; only to
    /// `localhost` or a loopback address messages go in the clear).
    #[schemars(extend("pattern" = "^smtps?://"))]
    smtp: String,
    /// Who logs in. Not set: nobody.
    #[serde(default)]
    user: Option<String>,
    /// Where the password stands; it belongs to `user`.
    #[serde(default)]
    password: Option<SecretRef>,
    /// The sender: `keyroll@example.com`, or `Keyroll <keyroll@example.com>`.
    from: String,
    /// The receivers.
    #[schemars(length(min = 1))]
    to: Vec<String>,
}

pub(super) const KIND: Kind<dyn Notifier> = Kind {
    name: "email",
    about: "an e-mail, by SMTP with TLS",
    schema: |generator| Config::json_schema(generator),
    build: |block, ctx| {
        let config: Config = block.read()?;
        let mut faults = Vec::new();
        let mut at = |field: &str, what: &str, instead: &str| faults.push(block.fault(&[field], what).instead(instead));
        let server = Server::parse(&config.smtp).map_err(|what| at("smtp", what, "write `smtps://host:465` or `smtp://host:587`")).ok();
        let login = match (config.user, config.password) {
            (Some(user), Some(password)) => Some(Some((user, password))),
            (None, None) => Some(None),
            _ => {
                at("user", "`user` and `password` belong together", "write both, or neither");
                None
            }
        };
        let address = "write for example `keyroll@example.com`";
        let from = config.from.parse::<Mailbox>().map_err(|_| at("from", "not an e-mail address", address)).ok();
        let to: Option<Vec<Mailbox>> = config.to.iter().map(|one| one.parse().ok()).collect();
        match &to {
            None => at("to", "not an e-mail address", address),
            Some(to) if to.is_empty() => at("to", "nobody to write to", "name at least one address"),
            Some(_) => {}
        }
        match (server, login, from, to) {
            (Some(server), Some(login), Some(from), Some(to)) if faults.is_empty() => {
                Ok(Arc::new(Email { server, login, from, to, ctx: ctx.clone() }))
            }
            _ => {
                let mut all = faults.into_iter();
                let mut first = all.next().unwrap_or_else(|| Fault::new("it cannot be read"));
                first.also.extend(all);
                Err(first)
            }
        }
    },
};

/// A mail server, and how it is spoken to.
struct Server {
    host: String,
    port: u16,
    speaks: Speaks,
}

enum Speaks {
    /// TLS from the first byte.
    Tls,
    /// In the clear until STARTTLS.
    StartTls,
    /// In the clear: this machine.
    Clear,
}

impl Server {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "not a mail server's address")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address must hold no user or password: they have fields of their own");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("a mail server's address ends with its port");
        }
        let (host, loopback) = match url.host() {
            // The port's scheme is none that the URL standard knows, so an address comes as a name.
            Some(Host::Domain(name)) => {
                let address = name.parse::<std::net::IpAddr>();
                (name.to_owned(), name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
            }
            Some(Host::Ipv4(address)) => (address.to_string(), address.is_loopback()),
            Some(Host::Ipv6(address)) => (address.to_string(), address.is_loopback()),
            None => return Err("not a mail server's address"),
        };
        let (speaks, port) = match url.scheme() {
            "smtps" => (Speaks::Tls, 465),
            "smtp" if loopback => (Speaks::Clear, 587),
            "smtp" => (Speaks::StartTls, 587),
            _ => return Err("not a mail server's address"),
        };
        Ok(Self { host, port: url.port().unwrap_or(port), speaks })
    }
}

struct Email {
    server: Server,
    login: Option<(String, SecretRef)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    ctx: Ctx,
}

/// No message is worth waiting longer for one answer of the server.
const PATIENCE: Duration = Duration::from_secs(10);

impl Email {
    fn message(&self, notice: &Notice) -> Got<Message> {
        let mut message = Message::builder().from(self.from.clone()).subject(format!("[keyroll] {}", notice.title));
        for receiver in &self.to {
            message = message.to(receiver.clone());
        }
        message
            .header(ContentType::TEXT_PLAIN)
            .body(notice.text() + "\n")
            .map_err(|_| Failure::refused(Refusal::Invalid, None, format!("{}: the message cannot be written", self.describe())))
    }

    async fn transport(&self) -> Got<AsyncSmtpTransport<Tokio1Executor>> {
        let tls = || TlsParameters::new_rustls(self.server.host.clone()).map_err(|error| self.failed(&error));
        let tls = match self.server.speaks {
            Speaks::Tls => Tls::Wrapper(tls()?),
            Speaks::StartTls => Tls::Required(tls()?),
            Speaks::Clear => Tls::None,
        };
        let me = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.server.host)
            .port(self.server.port)
            .tls(tls)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(me));
        if let Some((user, reference)) = &self.login {
            let password = self.ctx.secrets.read(reference).await?;
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(builder.build())
    }

    /// The server's code, never its words: they may quote what we sent.
    fn failed(&self, error: &Error) -> Failure {
        let who = self.describe();
        match error.status() {
            Some(code) if code.to_string().starts_with("53") => {
                Failure::refused(Refusal::Denied, None, format!("{who} answered {code}: not logged in")).hint("check `user` and `password`")
            }
            Some(code) => Failure::refused(Refusal::Invalid, None, format!("{who} answered {code}")),
            None if error.is_timeout() => Failure::unknown(format!("{who}: no answer in time")),
            None if error.is_tls() => Failure::not_sent(format!("{who}: no TLS connection could be made")),
            None if error.is_client() => {
                Failure::not_sent(format!("{who}: the server offers no STARTTLS, or no login that keyroll knows; nothing was sent"))
            }
            None => Failure::unknown(format!("{who}: no connection, or it broke")),
        }
    }
}

#[async_trait]
impl Notifier for Email {
    fn describe(&self) -> String {
        format!("email {}:{}", self.server.host, self.server.port)
    }

    async fn tell(&self, notice: &Notice) -> Got<()> {
        let message = self.message(notice)?;
        self.transport().await?.send(message).await.map(drop).map_err(|error| self.failed(&error))
    }
}
