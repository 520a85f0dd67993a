//! Tree to playbook. Every section is read by itself, so that a mistake in one hides none in another.

use std::{collections::BTreeMap, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    Block, Consumer, EmergencySpec, Fault, HealthSpec, Instances, Job, Limits, Notify, Occasion, Playbook, Probe, RevokeSpec, RolloutSpec,
    Seg, Source, Span, Store, VerifySpec, Window, WriteSource, check, read, tree,
    tree::{Key, Node, Place, Value},
    words,
};

const FIELDS: [&str; 16] = [
    "keyroll",
    "name",
    "labels",
    "every",
    "window",
    "provider",
    "key_name",
    "probe",
    "limits",
    "stores",
    "consumers",
    "verify",
    "revoke",
    "emergency",
    "notify",
    "require_approval",
];
const STORE: [&str; 2] = ["write", "stale_for"];
const NOTIFY: [&str; 2] = ["on", "repeat"];
const CONSUMER: [&str; 7] = ["name", "instances", "expect", "health", "job", "rollout", "max_request"];

pub(super) fn key_name() -> String {
    "{name}-{yyyy}-{mm}".into()
}
pub(super) fn one() -> u32 {
    1
}
pub(super) fn max_request() -> Span {
    Span::secs(900)
}
/// Beginnings are left out: with a timer they are routine, and the end follows.
pub(super) fn occasions() -> Vec<Occasion> {
    vec![Occasion::Held, Occasion::RolledBack, Occasion::Done, Occasion::Overdue]
}
pub(super) fn repeat() -> Span {
    Span::secs(3600)
}

impl Playbook {
    /// Reads a playbook's text. Adapters' blocks stay unread: `adapters::build` finds what is wrong in them.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text.
    pub fn parse(source: Arc<Source>) -> Result<Self, Vec<Fault>> {
        let root = tree::of(&source).map_err(|fault| vec![fault])?;
        let mut reader = Reader { source, faults: Vec::new() };
        let playbook = reader.playbook(&root);
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| fault.at);
        faults.dedup();
        match playbook {
            Some(playbook) if faults.is_empty() => Ok(playbook),
            _ => Err(faults),
        }
    }
}

impl Playbook {
    /// Line and column of a field's value, by its way: `["revoke", "watch"]`; a list's place as a number. Of the nearest
    /// thing above it where the field is not written.
    pub fn place(&self, way: &[&str]) -> Option<(usize, usize)> {
        let root = tree::of(&self.source).ok()?;
        let (mut node, mut at) = (&*root, None);
        for step in way {
            node = match (&node.value, step.parse::<usize>()) {
                (Value::List(items), Ok(place)) => items.get(place)?,
                _ => match node.get(step) {
                    Some(below) => below,
                    None => break,
                },
            };
            at = Some(node.at.pair());
        }
        at
    }
}

/// Reads sections and collects faults.
pub(super) struct Reader {
    source: Arc<Source>,
    pub faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn fault(&mut self, at: Place, what: impl Into<String>, instead: impl Into<String>) {
        self.faults.push(Fault::new(what).at(at.line, at.column).instead(instead));
    }

    fn value<T: DeserializeOwned>(&mut self, key: &Key, node: &Node) -> Option<T> {
        read::read(node, Some(key.at)).map_err(|faults| self.faults.extend(faults)).ok()
    }

    /// A field that must be there.
    fn must<T: DeserializeOwned>(&mut self, holder: &Node, owner: Place, name: &str, instead: &str) -> Option<T> {
        match holder.entry(name) {
            Some((key, node)) => self.value(key, node),
            None => {
                self.fault(owner, format!("`{name}` is missing"), instead);
                None
            }
        }
    }

    /// A field with a default. `None`: it is there, and wrong.
    fn may<T: DeserializeOwned>(&mut self, holder: &Node, name: &str, default: T) -> Option<T> {
        match holder.entry(name) {
            Some((key, node)) => self.value(key, node),
            None => Some(default),
        }
    }

    fn twice(&mut self, holder: &Node) {
        let mut seen = std::collections::HashSet::new();
        for (key, _) in holder.entries() {
            if !seen.insert(key.text.as_str()) {
                self.fault(key.at, "the same field twice", "keep one of them");
            }
        }
    }

    fn known(&mut self, holder: &Node, fields: &[&str]) {
        self.twice(holder);
        for (key, _) in holder.entries() {
            if !fields.contains(&key.text.as_str()) {
                self.fault(key.at, "unknown field", words::instead(&key.text, fields));
            }
        }
    }

    fn playbook(&mut self, root: &Node) -> Option<Playbook> {
        let top = match root.entries().first() {
            Some((key, _)) => key.at,
            None => Place { line: 1, column: 1, ..Place::default() },
        };
        match &root.value {
            Value::Map(_) => {}
            Value::Nothing => {
                self.fault(top, "the file is empty", "start from `keyroll init`");
                return None;
            }
            _ => {
                self.fault(root.at, "a playbook is a mapping", "begin with `keyroll: 1` and `name: …`");
                return None;
            }
        }
        match root.entry("keyroll") {
            None => self.fault(top, "the schema version is missing", "begin with `keyroll: 1`"),
            Some((_, Node { value: Value::Plain(text), .. })) if text == "1" => {}
            Some((_, node)) => {
                // A newer schema may mean anything by its fields: more faults would mislead.
                self.fault(node.at, "an unknown schema version", "write `keyroll: 1`, or use a keyroll that knows this version");
                return None;
            }
        }
        self.twice(root);
        for (key, _) in root.entries() {
            let name = key.text.as_str();
            if !FIELDS.contains(&name) {
                self.fault(key.at, "unknown field", words::instead(name, &FIELDS));
            }
        }
        let name = self.must::<String>(root, top, "name", "add `name: openai-production`").filter(|name| check::name(self, root, name));
        let labels = self.labels(root);
        let every = self.may::<Option<Span>>(root, "every", None).filter(|every| check::every(self, root, *every));
        let window = self.window(root);
        let provider = self.provider(root, top);
        let key_name = self.may(root, "key_name", key_name()).filter(|text| check::key_name(self, root, text));
        let probe = self.may(root, "probe", Probe::default()).filter(|probe| check::probe(self, root, probe));
        let limits = self.may(root, "limits", Limits::default()).filter(|limits| check::limits(self, root, limits));
        let stores = self.stores(root, top);
        let consumers = self.consumers(root, top);
        let verify = self.may(root, "verify", VerifySpec::default()).filter(|verify| check::verify(self, root, verify));
        let revoke = self.may(root, "revoke", RevokeSpec::default()).filter(|revoke| check::revoke(self, root, revoke));
        let emergency = self.may(root, "emergency", EmergencySpec::default());
        let notify = self.notifications(root);
        let require_approval = self.may(root, "require_approval", false);
        Some(Playbook {
            source: Arc::clone(&self.source),
            name: name?,
            labels: labels?,
            every: every?,
            window: window?,
            provider: provider?,
            key_name: key_name?,
            probe: probe?,
            limits: limits?,
            stores: stores?,
            consumers: consumers?,
            emergency: emergency?,
            verify: verify?,
            revoke: revoke?,
            notify: notify?,
            require_approval: require_approval?,
        })
    }

    fn labels(&mut self, root: &Node) -> Option<BTreeMap<String, Vec<String>>> {
        let Some((key, node)) = root.entry("labels") else { return Some(BTreeMap::new()) };
        if !matches!(node.value, Value::Map(_)) {
            self.fault(key.at, "labels are a mapping", "write `labels: { env: production }`");
            return None;
        }
        self.twice(node);
        let mut labels = BTreeMap::new();
        for (key, node) in node.entries() {
            let texts = match (&node.value, node.text()) {
                (_, Some(text)) => Some(vec![text.to_owned()]),
                (Value::List(items), _) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
                _ => None,
            };
            match texts {
                Some(texts) => drop(labels.insert(key.text.clone(), texts)),
                None => {
                    self.fault(node.at, "a label is a text or a list of texts", "write for example `env: production` or `access: [a, b]`")
                }
            }
        }
        Some(labels)
    }

    /// `None`: it is there, and wrong.
    fn window(&mut self, root: &Node) -> Option<Option<Window>> {
        let Some((key, node)) = root.entry("window") else { return Some(None) };
        let one = std::slice::from_ref(node);
        let nodes = if let Value::List(items) = &node.value { items } else { one };
        let texts: Option<Vec<&str>> = nodes.iter().map(Node::text).collect();
        let Some(texts) = texts else {
            self.fault(key.at, "a window is a text or a list of texts", "write for example `Mon-Thu 09:00-16:00 Europe/Berlin`");
            return None;
        };
        match Window::any(texts) {
            Ok(window) => Some(Some(window)),
            Err((place, fault)) => {
                let at = nodes.get(place).map_or(key.at, |node| node.at);
                self.faults.push(fault.at(at.line, at.column));
                None
            }
        }
    }

    fn provider(&mut self, root: &Node, top: Place) -> Option<Block> {
        let Some((key, node)) = root.entry("provider") else {
            self.fault(top, "`provider` is missing", "add `provider:` with one provider below it, for example `openai:`");
            return None;
        };
        self.part(key.at, node, vec![Seg::Key("provider".into())])
    }

    /// A mapping with exactly one key: an adapter's name.
    fn part(&mut self, owner: Place, node: &Node, mut path: Vec<Seg>) -> Option<Block> {
        match &node.value {
            Value::Map(entries) => match entries.as_slice() {
                [(key, _)] => {
                    path.push(Seg::Key(key.text.clone()));
                    Some(Block { kind: key.text.clone(), path, source: Arc::clone(&self.source) })
                }
                _ => {
                    self.fault(owner, "exactly one kind is needed here", "keep one, with its settings below it");
                    None
                }
            },
            _ => {
                self.fault(owner, "a kind with its settings is needed here", "write `kind: { … }`");
                None
            }
        }
    }

    fn list<'n>(&mut self, root: &'n Node, top: Place, name: &str, empty: &str, instead: &str) -> Option<&'n [Node]> {
        match root.entry(name) {
            None => self.fault(top, format!("`{name}` is missing"), instead),
            Some((_, Node { value: Value::List(items), .. })) if !items.is_empty() => return Some(items),
            Some((key, Node { value: Value::List(_) | Value::Nothing, .. })) => self.fault(key.at, empty, instead),
            Some((key, _)) => self.fault(key.at, format!("`{name}` is a list"), instead),
        }
        None
    }

    fn stores(&mut self, root: &Node, top: Place) -> Option<Vec<Store>> {
        let instead = "add each place the key lives: `- vault_kv2: { … }`, with `write` and `stale_for`";
        let items = self.list(root, top, "stores", "no store: a new key would have nowhere to go", instead)?;
        let stores: Vec<_> = items.iter().enumerate().map(|(place, node)| self.store(place, node)).collect();
        stores.into_iter().collect()
    }

    fn store(&mut self, place: usize, node: &Node) -> Option<Store> {
        if !matches!(node.value, Value::Map(_)) {
            self.fault(node.at, "a store is a mapping", "write its kind, `write` and `stale_for`");
            return None;
        }
        let block = self.item(node, "stores", place, &STORE, ("store", "add for example `vault_kv2:` with its settings"));
        let owner = node.at;
        let write = self.must::<BTreeMap<String, WriteSource>>(node, owner, "write", "add `write: { api_key: secret }`");
        let write = write.filter(|write| check::write(self, node, write));
        let stale_for = self.must::<Span>(
            node,
            owner,
            "stale_for",
            "add the longest a reader may still get the old value: `stale_for: 5m` (`0s` if there are no caches)",
        );
        Some(Store { block: block?, write: write?, stale_for: stale_for? })
    }

    /// An item of a list that has one kind beside `fields` of its own.
    fn item(&mut self, node: &Node, list: &str, place: usize, fields: &[&str], (what, add): (&str, &str)) -> Option<Block> {
        self.twice(node);
        let others: Vec<&(Key, Node)> = node.entries().iter().filter(|(key, _)| !fields.contains(&key.text.as_str())).collect();
        // Where more than one key could be the kind, those that look like a field are a slip of it.
        let (slips, kinds): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(key, _)| node.entries().len() > 1 && words::meant(&key.text, fields.iter().copied()).is_some());
        for (key, _) in &slips {
            self.fault(key.at, "unknown field", words::instead(&key.text, fields));
        }
        match kinds.as_slice() {
            [(key, _)] => {
                let path = vec![Seg::Key(list.into()), Seg::At(place), Seg::Key(key.text.clone())];
                Some(Block { kind: key.text.clone(), path, source: Arc::clone(&self.source) })
            }
            [] => {
                self.fault(node.at, format!("this {what} has no kind"), add);
                None
            }
            [_, others @ ..] => {
                for (key, _) in others {
                    let instead = "begin a new list item with `-`, or put a setting below the kind";
                    self.fault(key.at, format!("a second kind in one {what}"), instead);
                }
                None
            }
        }
    }

    fn notifications(&mut self, root: &Node) -> Option<Vec<Notify>> {
        let Some((key, node)) = root.entry("notify") else { return Some(Vec::new()) };
        let Value::List(items) = &node.value else {
            self.fault(key.at, "`notify` is a list", "write for example `- slack: env:SLACK_HOOK` below it");
            return None;
        };
        let all: Vec<_> = items.iter().enumerate().map(|(place, node)| self.notification(place, node)).collect();
        all.into_iter().collect()
    }

    fn notification(&mut self, place: usize, node: &Node) -> Option<Notify> {
        let example = "write for example `slack: env:SLACK_HOOK`";
        if !matches!(node.value, Value::Map(_)) {
            self.fault(node.at, "a notification is a mapping", example);
            return None;
        }
        let block = self.item(node, "notify", place, &NOTIFY, ("notification", example));
        let on = self.may(node, "on", occasions()).filter(|on| check::occasions(self, node, on));
        let repeat = self.may(node, "repeat", repeat()).filter(|repeat| check::repeat(self, node, *repeat));
        Some(Notify { block: block?, on: on?, repeat: repeat? })
    }

    fn consumers(&mut self, root: &Node, top: Place) -> Option<Vec<Consumer>> {
        let instead = "add each service that reads the key: `- name: …`, with `instances` and `health`, or `job`";
        let items = self.list(root, top, "consumers", "no consumer: nobody could prove that the new key is in use", instead)?;
        let stores = match root.get("stores").map(|node| &node.value) {
            Some(Value::List(stores)) => stores.len(),
            _ => usize::MAX,
        };
        let consumers: Vec<_> = items.iter().enumerate().map(|(place, node)| self.consumer(place, node, stores)).collect();
        check::names(self, items);
        consumers.into_iter().collect()
    }

    fn consumer(&mut self, place: usize, node: &Node, stores: usize) -> Option<Consumer> {
        if !matches!(node.value, Value::Map(_)) {
            self.fault(node.at, "a consumer is a mapping", "write `name`, and `instances` with `health`, or `job`");
            return None;
        }
        self.known(node, &CONSUMER);
        let path = |name: &str| vec![Seg::Key("consumers".into()), Seg::At(place), Seg::Key(name.into())];
        let name = self.must::<String>(node, node.at, "name", "add `name: …`");
        let instances = match (node.entry("instances"), node.entry("job")) {
            (Some(_), Some((job, _))) => {
                self.fault(job.at, "both `instances` and `job`", "keep `job` only for a reader that is not running all the time");
                None
            }
            (None, Some((key, job))) => {
                for name in ["health", "expect"] {
                    if let Some((key, _)) = node.entry(name) {
                        self.fault(key.at, format!("a job has no `{name}`"), "take it out");
                    }
                }
                self.value::<Job>(key, job).filter(|job| check::job(self, key, job)).map(Instances::Job)
            }
            (None, None) => {
                match node.entry("health") {
                    Some((key, _)) => self.fault(
                        key.at,
                        "a health path without an instance list",
                        "add `instances:`, for example `instances: { fixed: [\"host:8080\"] }`",
                    ),
                    None => self.fault(node.at, "nothing tells whether it uses the new key", "add `instances` and `health`, or `job`"),
                }
                if let Some((key, health)) = node.entry("health") {
                    self.health(key, health, stores);
                }
                None
            }
            (Some((key, found)), None) => {
                let found = self.part(key.at, found, path("instances"));
                let expect = self.may::<u32>(node, "expect", one()).filter(|expect| check::expect(self, node, *expect));
                let health = match node.entry("health") {
                    Some((key, health)) => self.health(key, health, stores),
                    None => {
                        self.fault(
                            node.at,
                            "`health` is missing: no copy could prove which key it uses",
                            "add for example `health: { path: /healthz, version: { json: /openai/version } }`",
                        );
                        None
                    }
                };
                match (found, expect, health) {
                    (Some(found), Some(expect), Some(health)) => Some(Instances::Running { found, expect: expect as usize, health }),
                    _ => None,
                }
            }
        };
        let rollout = match node.entry("rollout") {
            None => Some(RolloutSpec::None),
            Some((_, value)) if value.text() == Some("none") => Some(RolloutSpec::None),
            Some((key, value)) if value.text().is_some() => {
                self.fault(key.at, "an unknown word", "use `none`, or a kind with its settings");
                None
            }
            Some((key, value)) => self.part(key.at, value, path("rollout")).map(RolloutSpec::By),
        };
        let max_request = self.may(node, "max_request", max_request());
        Some(Consumer { name: name?, instances: instances?, rollout: rollout?, max_request: max_request? })
    }

    fn health(&mut self, key: &Key, node: &Node, stores: usize) -> Option<HealthSpec> {
        let before = self.faults.len();
        check::claims(self, key, node);
        let health = self.value::<HealthSpec>(key, node)?;
        check::health(self, node, &health, stores);
        (self.faults.len() == before).then_some(health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::form::{ConsumerForm, NotifyForm, PlaybookForm, StoreForm};

    #[test]
    fn the_schema_names_the_fields_that_are_read() {
        fn fields<T: schemars::JsonSchema>() -> Vec<String> {
            let schema = schemars::schema_for!(T).to_value();
            let mut names: Vec<String> = schema["properties"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
            names.sort();
            names
        }
        fn sorted(names: &[&str]) -> Vec<String> {
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        }
        assert_eq!(fields::<PlaybookForm>(), sorted(&FIELDS));
        assert_eq!(fields::<StoreForm>(), sorted(&STORE));
        assert_eq!(fields::<NotifyForm>(), sorted(&NOTIFY));
        assert_eq!(fields::<ConsumerForm>(), sorted(&CONSUMER));
    }
}
