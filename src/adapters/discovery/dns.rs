//! Instances behind a DNS name: every address, or every SRV record, is one.
//!
//! The search list is walked here and not in the resolver: that one goes on to the next name after *any* error, and would
//! answer a server failure with another domain's addresses.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RData, RecordType},
    },
    system_conf::read_system_conf,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{HostPort, found, instance};
use crate::{
    adapters::kind::Kind,
    playbook::Fault,
    ports::{Discovery, Failure, Found, Got},
    protocol::Refusal,
};

/// The longest one pass may take; a name server that is down must not stop a rotation for minutes.
const LONGEST: Duration = Duration::from_secs(10);

/// `dns: "name:port"`, or a mapping.
struct Config(Detailed);

/// Exactly one of `name` and `srv`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Detailed {
    /// `name:port`: every IPv4 and IPv6 address of the name is one instance.
    #[serde(default)]
    name: Option<HostPort>,
    /// The name of SRV records: `_api._tcp.inference.internal`. Every address of every record's target is one instance,
    /// at the record's port; TLS is verified against the target's name.
    #[serde(default)]
    srv: Option<String>,
    /// Ask this name server (`address:port`) and not the system's; then search list and hosts file are not used.
    #[serde(default)]
    server: Option<SocketAddr>,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Config;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"name:port\" or a mapping with `name` or `srv`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Config, E> {
                let name = text.parse().map_err(E::custom)?;
                Ok(Config(Detailed { name: Some(name), srv: None, server: None }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Config, A::Error> {
                Detailed::deserialize(MapAccessDeserializer::new(map)).map(Config)
            }
        }
        from.deserialize_any(Either)
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "Dns".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<HostPort>(), Detailed::json_schema(generator));
        json_schema!({ "oneOf": [short, long] })
    }
}

pub(super) const KIND: Kind<dyn Discovery> = Kind {
    name: "dns",
    about: "every address of a DNS name, or every SRV record",
    schema: |generator| Config::json_schema(generator),
    build: |block, _| {
        let Config(Detailed { name, srv, server }) = block.read()?;
        let what = match (name, srv) {
            (Some(name), None) => What::Name(name),
            (None, Some(srv)) if Name::from_ascii(&srv).is_ok() => What::Srv(srv),
            (None, Some(_)) => {
                return Err(Fault::new("`srv` is not a DNS name").instead("write for example `_api._tcp.inference.internal`"));
            }
            _ => return Err(Fault::new("`dns` needs exactly one of `name` and `srv`").instead("write `dns: \"name:port\"`")),
        };
        Ok(Arc::new(Dns { what, server }))
    },
};

enum What {
    Name(HostPort),
    Srv(String),
}

struct Dns {
    what: What,
    server: Option<SocketAddr>,
}

#[async_trait]
impl Discovery for Dns {
    async fn instances(&self) -> Got<Found> {
        let names = Names::new(self.server)?;
        let mut instances = Vec::new();
        let mut add = |host: &str, ip, port| {
            let address = SocketAddr::new(ip, port);
            instances.push(instance(address.to_string(), host, address));
        };
        let look = async {
            match &self.what {
                What::Name(at) => names.addresses(&at.host).await?.into_iter().for_each(|ip| add(&at.host, ip, at.port)),
                What::Srv(name) => {
                    for (target, port) in names.services(name).await? {
                        let addresses = names.addresses(&target).await?;
                        if addresses.is_empty() {
                            let what = format!("{name} names {target}, which has no address");
                            return Err(Failure::not_sent(what).hint("an instance that cannot be asked cannot prove anything: check DNS"));
                        }
                        let host = target.trim_end_matches('.');
                        addresses.into_iter().for_each(|ip| add(host, ip, port));
                    }
                }
            }
            Ok(())
        };
        match tokio::time::timeout(LONGEST, look).await {
            Ok(done) => done?,
            Err(_) => return Err(Failure::not_sent("DNS gave no answer within 10s").hint("check the name server")),
        }
        Ok(found(instances))
    }
}

/// Resolves names afresh. Made for one pass: nothing is cached, and a changed `resolv.conf` counts at once.
pub(super) struct Names {
    resolver: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
}

impl Names {
    /// Asks the system's name servers, or only `server`.
    ///
    /// # Errors
    /// Where the system's configuration cannot be read.
    pub(super) fn new(server: Option<SocketAddr>) -> Got<Self> {
        let (config, mut options) = match server {
            None => read_system_conf().map_err(|error| {
                Failure::not_sent(format!("the system's DNS configuration cannot be read: {error}")).hint("check /etc/resolv.conf")
            })?,
            Some(server) => {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                (ResolverConfig::from_name_servers(vec![server]), Default::default())
            }
        };
        let mut search = config.search().to_vec();
        if search.is_empty() {
            search.extend(config.domain().cloned());
        }
        let ndots = options.ndots;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(|error| Failure::not_sent(format!("DNS cannot be set up: {error}")))?;
        let hosts = if server.is_none() { Hosts::from_system().unwrap_or_default() } else { Hosts::default() };
        Ok(Self { resolver, hosts, search, ndots })
    }

    /// All IPv4 and IPv6 addresses; none if there is no such name. An address stands for itself.
    ///
    /// # Errors
    /// Where a name server did not answer, or answered only for one family: half a list would pass for a whole one.
    pub(super) async fn addresses(&self, host: &str) -> Got<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        for name in self.candidates(host)? {
            let from_hosts = [RecordType::A, RecordType::AAAA].map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
            let mut found: Vec<IpAddr> =
                from_hosts.iter().flatten().flat_map(|lookup| lookup.answers()).filter_map(|record| record.data.ip_addr()).collect();
            if found.is_empty() {
                for kind in [RecordType::A, RecordType::AAAA] {
                    found.extend(self.ask(&name, kind).await?.iter().filter_map(RData::ip_addr));
                }
            }
            if !found.is_empty() {
                found.sort_unstable();
                found.dedup();
                return Ok(found);
            }
        }
        Ok(vec![])
    }

    /// Targets and ports of all SRV records; none if there is no such name, or its target is `.` (RFC 2782: no service).
    async fn services(&self, service: &str) -> Got<Vec<(String, u16)>> {
        for name in self.candidates(service)? {
            let records = self.ask(&name, RecordType::SRV).await?;
            if !records.is_empty() {
                let services = records.iter().filter_map(|data| match data {
                    RData::SRV(srv) if !srv.target.is_root() => Some((srv.target.to_ascii().to_ascii_lowercase(), srv.port)),
                    _ => None,
                });
                return Ok(services.collect());
            }
        }
        Ok(vec![])
    }

    /// The full names to try, in the order of resolv.conf(5).
    fn candidates(&self, text: &str) -> Got<Vec<Name>> {
        let broken = |_| Failure::refused(Refusal::Invalid, None, format!("{text} is not a DNS name"));
        let name = Name::from_str_relaxed(text).map_err(broken)?;
        if name.is_fqdn() {
            return Ok(vec![name]);
        }
        let mut names: Vec<Name> = self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
        let mut bare = name;
        bare.set_fqdn(true);
        // A name with enough dots is tried as it is first; `localhost` never belongs to a domain.
        let first = usize::from(bare.num_labels()) > self.ndots || bare.is_localhost();
        names.insert(if first { 0 } else { names.len() }, bare);
        Ok(names)
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Got<Vec<RData>> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                Ok(lookup.answers().iter().filter(|record| record.record_type() == kind).map(|record| record.data.clone()).collect())
            }
            Err(error) if error.is_no_records_found() => Ok(vec![]),
            Err(error) => Err(Failure::not_sent(format!("{kind} records of {name}: {}", brief(&error))).hint("check the name server")),
        }
    }
}

fn brief(error: &NetError) -> String {
    match error {
        NetError::Timeout => "the name server did not answer".into(),
        NetError::NoConnections => "no name server can be reached".into(),
        other => other.to_string(),
    }
}
