//! `keyroll amend`: an open rotation goes on with a changed playbook.

use std::path::PathBuf;

use super::{
    App, Fail, app,
    drive::{append, take},
    load,
    person::person,
};
use crate::{
    adapters::build,
    driver::waits,
    playbook::Instances,
    protocol::{Ask, Event},
    record::Detail,
    sight::Blind,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name
    rotation: String,
    /// The changed playbook
    playbook: PathBuf,
    /// Why; it is recorded
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, Some(&args.rotation)).await?;
    let before = load::journaled(app, &found.plan.origin, &found.playbook)?;
    let Some(after) = load::files(app, std::slice::from_ref(&args.playbook))?.pop() else { return Err(Fail::usage("no playbook there")) };
    let names = |loaded: &load::Loaded| loaded.book.consumers.iter().map(|consumer| consumer.name.clone()).collect::<Vec<_>>();
    let jobs = |loaded: &load::Loaded| {
        loaded.book.consumers.iter().map(|consumer| matches!(consumer.instances, Instances::Job(_))).collect::<Vec<_>>()
    };
    let fields = |loaded: &load::Loaded| loaded.book.stores.iter().map(|store| store.write.clone()).collect::<Vec<_>>();
    let kept = [
        (
            "the stores, their fields and the provider",
            build::identities(&before.book, &before.world) == build::identities(&after.book, &after.world)
                && fields(&before) == fields(&after),
        ),
        ("the provider's account", before.world.provider.describe() == after.world.provider.describe()),
        ("the consumers and their order", names(&before) == names(&after)),
        ("which consumers are jobs", jobs(&before) == jobs(&after)),
        ("the waits", waits(&after.book) == waits(&before.book)),
        (
            "disable_for, idle_for and on_timeout",
            before.book.revoke == after.book.revoke && before.book.verify.on_timeout == after.book.verify.on_timeout,
        ),
    ];
    if let Some((what, _)) = kept.iter().find(|(_, same)| !same) {
        return Err(Fail::usage(format!("an open rotation keeps {what}; only how consumers are found, asked and rolled out may change"))
            .next(format!("keyroll rollback {}, then run the changed playbook", found.id)));
    }
    let detail = Detail::Person { by: person(), reason: args.reason.clone(), playbook: Some(after.book.source.text.clone()), waiver: None };
    let (mut rotation, mut lease) = take(app, journal, &found.id, &mut Blind).await?;
    append(app, journal, &mut lease, &mut rotation, Event::Asked(Ask::Amend), detail, &mut Blind).await?;
    anstream::println!("rotation {} has the changed playbook; all evidence will be taken again", rotation.id);
    anstream::println!("next: keyroll resume {}", rotation.id);
    Ok(0)
}
