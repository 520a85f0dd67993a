//! A file on this machine: dotenv, JSON or plain text.
//!
//! A version is `N-hash`: how many writes of ours came before, and a hash of the content, the inode and the time. So a foreign edit is
//! seen, and a value that moved there and back is not taken for the one that was read. Old contents lie in the folder `.NAME.keyroll` beside the file (0700).

mod place;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use self::place::{Content, Place};
use super::form::Form;
use crate::{
    adapters::{Ctx, kind::Kind},
    ids::Version,
    playbook::{Block, Fault},
    ports::{Change, Failure, Got, Mark, Problem, Snapshot, Store},
    protocol::Refusal,
};

/// A file that services on this machine read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file's absolute path. It is replaced by a rename, so a container must mount its folder, not the file alone.
    path: PathBuf,
    /// How it holds fields: `dotenv`, `json`, or `raw` (the whole text is the field `value`).
    format: Form,
    /// The widest permissions it may have, in octal; the default lets only its owner read it.
    #[serde(default = "owner_only")]
    #[schemars(regex(pattern = r"^0?[0-7]{3}$"))]
    mode: String,
}

fn owner_only() -> String {
    "0600".into()
}

/// The adapter.
pub const KIND: Kind<dyn Store> =
    Kind { name: "file", about: "a file: dotenv, JSON or plain text", schema: |g| Config::json_schema(g), build };

struct Files {
    place: Arc<Place>,
    form: Form,
}

fn build(block: &Block, _: &Ctx) -> Result<Arc<dyn Store>, Fault> {
    let config: Config = block.read()?;
    let mode = u32::from_str_radix(&config.mode, 8).ok().filter(|mode| *mode <= 0o777 && mode & 0o600 == 0o600);
    let mode = mode.ok_or_else(|| Fault::new("mode is not one that lets the owner read and write").instead("mode: \"0600\""))?;
    let path = config.path;
    let (Some(name), Some(folder), true) = (path.file_name(), path.parent(), path.is_absolute()) else {
        return Err(Fault::new("path must be a file's absolute path").instead("path: /etc/app/secrets/.env"));
    };
    let beside = folder.join(format!(".{}.keyroll", name.to_string_lossy()));
    Ok(Arc::new(Files { place: Arc::new(Place { folder: folder.to_owned(), beside, mode, path: path.clone() }), form: config.format }))
}

impl Files {
    /// Runs blocking work on its own thread.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&Place) -> Got<T> + Send + 'static) -> Got<T> {
        let place = Arc::clone(&self.place);
        let done = tokio::task::spawn_blocking(move || work(&place)).await;
        done.unwrap_or_else(|_| Err(Failure::unknown("the work on the file broke off")))
    }

    fn snapshot(&self, content: &Content) -> Got<Snapshot> {
        let fields = self.form.fields(content.text.reveal()).map_err(|why| self.place.unusable(&why))?;
        Ok(Snapshot { version: content.version.clone(), fields })
    }
}

#[async_trait]
impl Store for Files {
    fn locator(&self) -> String {
        format!("file {}", self.place.path.display())
    }

    async fn check(&self) -> Result<(), Vec<Problem>> {
        let problems = self.on_disk(|place| Ok(place.problems())).await.map_err(|failure| vec![failure.into()])?;
        if !problems.is_empty() {
            return Err(problems);
        }
        self.read().await.map(|_| ()).map_err(|failure| vec![failure.into()])
    }

    async fn read(&self) -> Got<Option<Snapshot>> {
        let content = self.on_disk(Place::current).await?;
        content.map(|content| self.snapshot(&content)).transpose()
    }

    async fn read_at(&self, version: &Version) -> Got<Option<Snapshot>> {
        let version = version.clone();
        let content = self.on_disk(move |place| place.at(&version)).await?;
        content.map(|content| self.snapshot(&content)).transpose()
    }

    async fn versions(&self) -> Got<Option<Vec<Version>>> {
        self.on_disk(Place::versions).await.map(Some)
    }

    async fn write(&self, change: &Change<'_>) -> Got<Version> {
        let (form, base, token, mark) = (self.form, change.base.cloned(), change.token.to_owned(), change.mark.clone());
        let fields: BTreeMap<_, _> = change.fields.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect();
        self.on_disk(move |place| {
            place.replace(base.as_ref(), &token, &mark, |text| form.with(text, &fields).map_err(|why| place.unusable(&why)))
        })
        .await
    }

    async fn endpoints(&self) -> Got<Vec<(String, Option<Version>)>> {
        let content = self.on_disk(Place::current).await?;
        Ok(vec![("file".into(), content.map(|content| content.version))])
    }

    async fn mark(&self) -> Got<Option<Mark>> {
        self.on_disk(Place::mark).await
    }
}

impl Place {
    /// What the format says against the file's content.
    fn unusable(&self, why: &str) -> Failure {
        Failure::refused(Refusal::Invalid, None, format!("{}: {why}", self.path.display()))
            .hint("put the file right by hand, or change the store's format in the playbook")
    }
}
