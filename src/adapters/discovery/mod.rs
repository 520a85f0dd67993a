//! How a consumer's instances are found. Each pass asks again: nothing is remembered between two.

use std::{borrow::Cow, collections::HashSet, fmt, net::SocketAddr, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::kind::Kind;
use crate::{
    ids::InstanceId,
    ports::{Discovery, Failure, Found, Got, Instance},
    protocol::Refusal,
};

mod dns;
mod file_sd;
mod fixed;
mod http_sd;

/// All of them.
pub fn all() -> Vec<Kind<dyn Discovery>> {
    vec![fixed::KIND, dns::KIND, http_sd::KIND, file_sd::KIND]
}

/// A name or an address, with a port: `api.internal:8080`, `10.0.0.7:80`, `[::1]:80`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct HostPort {
    /// Without brackets, in lower case.
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "not host:port: write for example `api.internal:8080`";
        let (host, port) = text.rsplit_once(':').ok_or(NOT)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NOT)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()).ok_or(NOT)?,
            None if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) => return Err(NOT),
            None => host,
        };
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HostPort {
    fn schema_name() -> Cow<'static, str> {
        "HostPort".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]+$",
            "description": "A name or an address, with a port: `api.internal:8080`.",
        })
    }
}

/// What a target that is one instance by definition resolves to.
///
/// # Errors
/// No address, or several of one family: then the name stands for several copies, and all but one would go unasked.
/// One IPv4 and one IPv6 address are taken for one machine, reached by IPv4.
async fn one_instance(names: &dns::Names, target: &HostPort) -> Got<Instance> {
    let found = names.addresses(&target.host).await?;
    let (v4, v6): (Vec<std::net::IpAddr>, Vec<_>) = found.iter().copied().partition(std::net::IpAddr::is_ipv4);
    if v4.len() > 1 || v6.len() > 1 {
        let what = format!("{target} has {} addresses, but is listed as one instance", found.len());
        return Err(Failure::refused(Refusal::Invalid, None, what)
            .hint(format!("write `dns: \"{target}\"` to ask every address, or list each address by itself")));
    }
    let Some(ip) = v4.first().or(v6.first()) else {
        return Err(Failure::not_sent(format!("{target} has no address")).hint("check the name, or take the instance out of the list"));
    };
    Ok(instance(target.to_string(), &target.host, SocketAddr::new(*ip, target.port)))
}

fn instance(id: String, host: &str, address: SocketAddr) -> Instance {
    Instance { id: InstanceId::new(id), host: host.to_owned(), address, started: None, leaving: false }
}

/// All of a list's targets, each one instance.
async fn all_instances(targets: &[HostPort]) -> Got<Found> {
    let names = dns::Names::new(None)?;
    let mut instances = Vec::with_capacity(targets.len());
    for target in targets {
        instances.push(one_instance(&names, target).await?);
    }
    Ok(found(instances))
}

/// The instances, each id once.
fn found(mut instances: Vec<Instance>) -> Found {
    let mut seen = HashSet::new();
    instances.retain(|instance| seen.insert(instance.id.clone()));
    Found { instances, expected: None }
}

/// Prometheus' service discovery format: what `http_sd` and `file_sd` share.
mod targets {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::HostPort;
    use crate::{
        ports::{Failure, Got},
        protocol::Refusal,
    };

    #[derive(Deserialize)]
    struct Group {
        targets: Vec<String>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }

    /// The targets of all groups that carry every one of the `wanted` labels.
    pub(super) fn read(from: &str, body: &[u8], wanted: &BTreeMap<String, String>) -> Got<Vec<HostPort>> {
        let groups: Vec<Group> = serde_json::from_slice(body).map_err(|_| {
            Failure::refused(Refusal::Invalid, None, format!("{from} is not a list of targets"))
                .hint("it must hold Prometheus' JSON: [{\"targets\": [\"host:port\"], \"labels\": {}}]")
        })?;
        let matching = groups.into_iter().filter(|group| wanted.iter().all(|(name, value)| group.labels.get(name) == Some(value)));
        matching
            .flat_map(|group| group.targets)
            .map(|target| {
                target.parse().map_err(|_| {
                    Failure::refused(Refusal::Invalid, None, format!("{from} lists a target that is not host:port"))
                        .hint("every target needs a port and no scheme: \"10.0.0.7:8080\"")
                })
            })
            .collect()
    }
}
