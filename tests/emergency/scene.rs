//! A rotation in the state that an emergency meets.

use std::{process::Output, sync::Arc};

use keyroll::{
    adapters::{Ctx, build, clock::System, registry::Registry, secrets, wire::Wire},
    driver::{Overrides, Runner, drive, preflight},
    ids::RotationId,
    journal::SqliteJournal,
    playbook::{Playbook, Source},
    ports::{AlwaysOpen, Clock, Journal, Opening},
    protocol::{Effect, Event},
    record::Detail,
    retry::Patience,
    rotation::Rotation,
    sandbox::service::Behaviour,
    sight::{Sight, View},
};
use tokio_util::sync::CancellationToken;

use crate::{gateway::Gateway, stage::Stage};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Situation {
    Nothing,
    BeforePromote,
    Grace,
    Held,
    RollingBack,
}

pub struct Scene {
    pub stage: Stage,
    pub store: Gateway,
    /// The key in use when it all began.
    pub old: String,
    /// The key that the open rotation made.
    pub new: Option<String>,
}

/// Stops the driver once the new key is made.
struct UntilCreated(CancellationToken);

impl View for UntilCreated {
    fn see(&mut self, sight: &Sight<'_>) {
        if let Sight::Recorded(_, record) = sight
            && record.event == Event::Did(Effect::Create)
        {
            self.0.cancel();
        }
    }
}

impl Scene {
    pub async fn set(situation: Situation) -> Self {
        let stage = Stage::new().await;
        let store = Gateway::to(&stage.address()).await;
        stage.edit(&format!("vault_kv2: {{ address: \"{}\"", stage.address()), &format!("vault_kv2: {{ address: \"{}\"", store.address()));
        let old = stage.accessors().await.pop().unwrap();
        let mut scene = Self { stage, store, old, new: None };
        scene.play(situation).await;
        scene.new = scene.stage.accessors().await.into_iter().find(|accessor| *accessor != scene.old);
        assert_eq!(scene.new.is_some(), situation != Situation::Nothing, "{situation:?}");
        scene
    }

    async fn play(&self, situation: Situation) {
        let stage = &self.stage;
        let playbook = stage.playbook();
        let run = ["run", playbook.to_str().unwrap(), "--yes", "--wait", "0s"];
        match situation {
            Situation::Nothing => {}
            Situation::BeforePromote => self.create_only().await,
            Situation::Grace => {
                stage.edit("grace: 0s", "grace: 1h");
                expect(&stage.keyroll(&run).await, 6);
            }
            Situation::Held => {
                stage.edit("within: 20s,", "within: 300ms, on_timeout: hold,");
                stage.fleet.behave(2, Behaviour::Stuck);
                expect(&stage.keyroll(&run).await, 3);
                stage.fleet.behave(2, Behaviour::Normal);
            }
            Situation::RollingBack => {
                stage.edit("stale_for: 0s", "stale_for: 1h");
                expect(&stage.keyroll(&run).await, 6);
                expect(&stage.keyroll(&["rollback", "stage", "--wait", "0s"]).await, 6);
            }
        }
    }

    async fn create_only(&self) {
        let text = std::fs::read_to_string(self.stage.playbook()).unwrap().replace("env:STAGE_TOKEN", &self.token_file());
        let book = Playbook::parse(Arc::new(Source { name: "stage.yaml".into(), text })).map_err(|faults| format!("{faults:?}")).unwrap();
        let wire = Wire::new().unwrap();
        let ctx = Ctx { secrets: secrets::resolver(&wire), wire };
        let world = build::build(&book, &Registry::builtin(), &ctx).map_err(|faults| format!("{faults:?}")).unwrap();
        let (clock, journal) = (System::new(), SqliteJournal::open(&self.stage.journal()).await.unwrap());
        let overrides = Overrides { salt: journal.salt().to_vec(), journal: Some(journal.id().to_owned()), ..Overrides::default() };
        let plan = preflight(&world, &book, &clock, &overrides).await.unwrap();
        let opening = Opening {
            rotation: RotationId::at(clock.now(), 7),
            name: &book.name,
            identities: &build::identities(&book, &world),
            seen: None,
            event: Event::Planned,
            detail: Detail::Planned(Box::new(plan)),
            then: None,
            at: clock.now(),
        };
        let mut lease = journal.open(opening).await.unwrap();
        let mut rotation = Rotation::fold(&journal.records(&lease.rotation).await.unwrap()).unwrap();
        let stop = CancellationToken::new();
        let runner = Runner {
            world: &world,
            book: &book,
            journal: &journal,
            clock: &clock,
            gate: &AlwaysOpen,
            stop: &stop,
            patience: Patience::default(),
            longest_wait: std::time::Duration::ZERO,
            handed: None,
        };
        drive(&runner, &mut UntilCreated(stop.clone()), &mut rotation, &mut lease).await.unwrap();
    }

    /// A reference that works in this process too.
    fn token_file(&self) -> String {
        let path = self.stage.journal().with_file_name("token");
        std::fs::write(&path, self.stage.token()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        format!("file:{}", path.display())
    }

    /// Somebody made a key with Vault's own interface and stored it; its accessor.
    pub async fn replaced_by_hand(&self) -> String {
        let value = "3f1c-made-by-a-person-at-vault-itself";
        let accessor = self.stage.make_key(value, None).await;
        self.stage.put(&serde_json::json!({ "secret_id": value, "accessor": accessor }));
        assert!(self.lives(&accessor).await);
        accessor
    }

    /// A journal that others may read is not used.
    pub fn journal_down(&self, down: bool) {
        let mode = if down { 0o644 } else { 0o600 };
        std::fs::set_permissions(self.stage.journal(), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    pub async fn emergency(&self, args: &[&str]) -> Output {
        let playbook = self.stage.playbook();
        let mut all = vec!["emergency", playbook.to_str().unwrap(), "--reason", "seen in a public repository", "--patience", "2s"];
        all.extend(args);
        self.stage.keyroll(&all).await
    }

    pub async fn lives(&self, key: &str) -> bool {
        self.stage.accessors().await.iter().any(|accessor| accessor == key)
    }
}

#[track_caller]
pub fn expect(output: &Output, code: i32) -> String {
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}
