//! keyroll as a library: a rotation driven by your own program, here in the sandbox.
//!
//! `cargo run --example embed`

use std::{sync::Arc, time::Duration};

use keyroll::{
    adapters::{Ctx, build, clock::System, registry::Registry, secrets, wire::Wire},
    driver::{Overrides, Runner, drive, preflight},
    ids::RotationId,
    journal::SqliteJournal,
    playbook::{Playbook, Source, render},
    ports::{Clock, Journal, Opening},
    protocol::{End, Event},
    record::Detail,
    report,
    retry::Patience,
    rotation::Rotation,
    sandbox::demo::{Demo, Trouble},
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The world: yours is real; this one is on loopback, under load.
    let demo = Demo::start(Trouble::None).await?;

    // 1. The playbook, and the adapters that it names.
    let source = Arc::new(Source { name: "embed.yaml".into(), text: demo.playbook().to_owned() });
    let wire = Wire::new()?;
    let ctx = Ctx { secrets: secrets::resolver(&wire), wire };
    let built = Playbook::parse(source.clone()).and_then(|book| build::build(&book, &Registry::builtin(), &ctx).map(|world| (book, world)));
    let (book, world) = built.map_err(|faults| render(&faults, &source))?;

    // 2. The plan: reads only.
    let (journal, clock) = (SqliteJournal::open(&demo.folder().join("embed.db")).await?, System::new());
    let overrides = Overrides {
        install: false,
        replace: false,
        old_key_id: None,
        salt: journal.salt().to_vec(),
        journal: Some(journal.id().to_owned()),
        adopted: Vec::new(),
        known: None,
    };
    let plan = preflight(&world, &book, &clock, &overrides).await.map_err(|problems| format!("{problems:?}"))?;

    // 3. The rotation begins with its first record, and is driven to its end.
    let opening = Opening {
        rotation: RotationId::at(clock.now(), fastrand::u128(..)),
        name: &book.name,
        identities: &build::identities(&book, &world),
        seen: None,
        event: Event::Planned,
        detail: Detail::Planned(Box::new(plan)),
        then: None,
        at: clock.now(),
    };
    let mut lease = journal.open(opening).await?;
    let mut rotation = Rotation::fold(&journal.records(&lease.rotation).await?)?;
    let runner = Runner {
        world: &world,
        book: &book,
        journal: &journal,
        clock: &clock,
        gate: &keyroll::ports::AlwaysOpen,
        stop: &CancellationToken::new(),
        patience: Patience::default(),
        longest_wait: Duration::from_secs(60),
        handed: None,
    };
    let mut view = report::Plain::new(std::io::stdout());
    drive(&runner, &mut view, &mut rotation, &mut lease).await?;

    println!("\n{}", demo.finish().await);
    assert_eq!(rotation.state.ended(), Some(End::Done));
    Ok(())
}
