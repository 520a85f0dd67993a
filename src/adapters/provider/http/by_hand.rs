//! What a person types where keyroll does not: the playbook's own calls, as commands.

use serde_json::Value;

use super::{Header, Http, Verb, method, template};
use crate::{ids::KeyId, playbook::quoted, ports::ByHand};

impl Http {
    /// Makes a key and deletes one, with curl and jq.
    pub(super) fn commands(&self, key: Option<&KeyId>) -> ByHand {
        let (create, delete) = (&self.config.create, &self.config.delete);
        let id = key.map_or("LEAKED_KEY_ID", KeyId::as_str);
        let fill = [("id", id), ("name", "by-hand"), ("token", "by-hand")];
        let call = |verb: Verb, path: &str, body: Option<&Value>| {
            let path = template::path(path, &fill).unwrap_or_else(|_| path.to_owned());
            let body =
                body.map(|body| format!(" -H 'Content-Type: application/json' -d {}", quoted(&template::body(body, &fill).to_string())));
            format!(
                "{}curl -fsS -X {} -H @-{} {}",
                self.login(),
                method(verb),
                body.unwrap_or_default(),
                quoted(&format!("{}{path}", self.base))
            )
        };
        let jq = |pointer: &str| pointer.replace('/', ".");
        let part = |pointer: &str| format!("$(printf %s \"$answer\" | jq -r {})", quoted(&jq(pointer)));
        let mut made = vec![format!("answer=$({})", call(create.method, &create.path, create.body.as_ref()))];
        let (list, name) = (&self.config.list, self.config.list.name.as_deref().unwrap_or_default());
        made.push(match &create.id {
            Some(at) => format!("export NEW_KEY_ID={}", part(at)),
            None => {
                let by_name = format!("first({}[] | select({} == \"by-hand\") | {})", jq(&list.items), jq(name), jq(&list.id));
                format!("export NEW_KEY_ID=$({} | jq -r {})", call(Verb::Get, &list.path, None), quoted(&by_name))
            }
        });
        if let Some(then) = &create.then {
            let (before, after) = then.path.split_once("{id}").unwrap_or((&then.path, ""));
            let url = format!("{}\"$NEW_KEY_ID\"{}", quoted(&format!("{}{before}", self.base)), quoted(after));
            made.push(format!("answer=$({}curl -fsS -X {} -H @- {url})", self.login(), method(then.method)));
        }
        made.push(format!("export NEW_KEY={}", part(&create.secret)));
        if !self.config.value_prefix.is_empty() {
            let prefix = quoted(&self.config.value_prefix);
            made.push(format!("NEW_KEY={prefix}\"${{NEW_KEY#{prefix}}}\""));
        }
        ByHand { create: made, revoke: vec![call(delete.method, &delete.path, delete.body.as_ref())] }
    }

    /// The headers on standard input for `curl -H @-`: nobody else on the machine reads them in a list of processes.
    fn login(&self) -> String {
        let (mut form, mut values) = (String::new(), String::new());
        for (name, value) in &self.config.headers {
            form += &match value {
                Header::Bearer(_) => format!("{name}: Bearer %s\\n"),
                _ => format!("{name}: %s\\n"),
            };
            values += &match value {
                Header::Bearer(at) | Header::Ref(at) => format!(" \"{}\"", at.shell()),
                Header::Text(text) => format!(" {}", quoted(text)),
            };
        }
        format!("printf '{form}'{values} | ")
    }
}
