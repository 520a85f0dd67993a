//! `keyroll emergency`: a key leaked.

mod admin;
mod ask;

use std::path::{Path, PathBuf};

use self::ask::{again, confirm, not_with_itself, settle_store, unplanned, unread};
use super::{
    App, Fail, app,
    drive::{self, append, take},
    load::{self, Loaded},
    person::person,
    when::{self, Way},
};
use crate::{
    adapters::build,
    batch,
    driver::{Suspect, Unread, urgent},
    ids::{KeyId, RotationId},
    playbook::EmergencyMode,
    ports::{Clock, Journal, Note},
    protocol::{Ask, Event, Leak, Role, Urgency, allows},
    record::{Begun, Detail, Emergency},
    report,
    rotation::Rotation,
};

/// A key leaked: replace and revoke it, whatever the state.
#[derive(clap::Args)]
pub struct Args {
    /// The playbook's file, or the name or rotation the journal knows it by; with --admin a file or a folder
    playbook: String,
    /// With --admin: more playbooks, or folders of them
    #[arg(requires = "admin")]
    others: Vec<PathBuf>,
    /// Why; it is recorded
    #[arg(long, required_unless_present = "print")]
    reason: Option<String>,
    /// What comes first [default: the playbook's `emergency.mode`]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Which key leaked: the one in use before an open rotation (`current`), the one an open rotation made (`new`), `all`, or an exact id; must
    /// be said where an open rotation has written its new key already [default: current]
    #[arg(long, value_name = "KEY")]
    leaked: Option<String>,
    /// With replace-fast: when the leaked key is deleted whoever is not off it, as `5m`, `17:30` or a date with time [default: the playbook's]
    #[arg(long, value_name = "WHEN")]
    revoke_at: Option<String>,
    /// When it leaked, where that is known: as `2h` ago, `09:15` or a date with time
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// What to do with replace-fast while a store cannot be reached
    #[arg(long, value_enum, value_name = "WHAT")]
    store_down: Option<StoreDown>,
    /// Do not ask before beginning
    #[arg(short, long)]
    yes: bool,
    /// Change nothing: write the commands for a person's own hands
    #[arg(long)]
    print: bool,
    /// An admin key leaked, and is replaced already: go through the keys that nothing explains, made since --since, and queue every playbook
    /// that was called with it
    #[arg(long, conflicts_with_all = ["mode", "leaked", "revoke_at", "store_down", "print"])]
    admin: bool,
    /// With --admin: delete this key for good; `all`: each that is not kept, and that no store may serve
    #[arg(long, value_name = "KEY|all", requires = "admin")]
    kill: Vec<String>,
    /// With --admin: somebody knows this key; nobody is asked about it again
    #[arg(long, value_name = "KEY|all", requires = "admin")]
    keep: Vec<String>,
}

/// What comes first.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Another key everywhere; the leaked one goes as soon as everybody is off it, at the latest at its time
    ReplaceFast,
    /// The leaked key goes at once; services are down until they have another one
    RevokeFirst,
}

/// What to do while a store cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreDown {
    /// Revoke the leaked key now: services that still get it from the store go down
    Revoke,
    /// Try until the store answers, at the longest until the leaked key's time
    Wait,
}

/// What is about to happen, settled before anything does.
struct Declared {
    urgency: Urgency,
    emergency: Emergency,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    if args.print {
        return print(app, args).await;
    }
    if args.admin {
        return admin::run(app, args).await;
    }
    match app.journal().await {
        Ok(journal) => with(app, args, journal).await,
        Err(down) if down.code() == 5 => {
            let fallback = super::fallback::open(app, down).await?;
            let place = super::fallback::path(app)?.display().to_string();
            let code = with(app, args, &fallback).await.map_err(|fail| fail.in_journal(&place))?;
            if matches!(code, 3 | 6) {
                anstream::eprintln!("every command for this rotation needs --journal {}", crate::playbook::quoted(&place));
            }
            Ok(code)
        }
        Err(fail) => Err(fail),
    }
}

/// Writes the commands for a person's own hands; changes nothing, and needs no journal where the playbook's file is there.
async fn print(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app.existing_journal().await.unwrap_or_else(|down| {
        anstream::eprintln!("# warning: {}", down.what());
        None
    });
    let (loaded, rotation) = match journal {
        Some(journal) => {
            let (loaded, known) = find(app, journal, &args.playbook).await?;
            match holder(journal, &loaded).await? {
                Some(id) => (loaded, Some(app::rotation(journal, &id).await?)),
                None => (loaded, known),
            }
        }
        None => {
            let path = PathBuf::from(&args.playbook);
            (load::files(app, &[path])?.pop().ok_or_else(|| Fail::usage("no playbook there"))?, None)
        }
    };
    let leaked = args.leaked.as_deref().unwrap_or("current");
    anstream::print!("{}", super::by_hand::by_hand(&loaded.book, &loaded.world, rotation.as_ref(), leaked));
    Ok(0)
}

async fn with(app: &App, args: &Args, journal: &dyn Journal) -> Result<u8, Fail> {
    let (loaded, known) = find(app, journal, &args.playbook).await?;
    let open = holder(journal, &loaded).await?;
    match open {
        Some(id) => taken_over(app, args, &loaded, journal, &id).await,
        None => begun(app, args, &loaded, journal, known.as_ref()).await,
    }
}

/// The playbook by its file, or by what the journal knows; and what it last knew of it.
async fn find(app: &App, journal: &dyn Journal, word: &str) -> Result<(Loaded, Option<Rotation>), Fail> {
    let path = Path::new(word);
    if path.is_file() {
        let loaded = load::files(app, &[PathBuf::from(path)])?.pop().ok_or_else(|| Fail::usage("no playbook there"))?;
        // The newest one of this name that wrote to one of these stores: another playbook may have had the name.
        let here = |place: &str| loaded.world.stores.iter().any(|store| store.locator() == place);
        for entry in journal.entries().await?.iter().filter(|entry| entry.name == loaded.book.name) {
            let rotation = app::rotation(journal, &entry.rotation).await?;
            if rotation.plan.stores.iter().any(|store| here(&store.locator)) {
                return Ok((loaded, Some(rotation)));
            }
        }
        return Ok((loaded, None));
    }
    let found = app::find(journal, Some(word)).await?;
    Ok((load::journaled(app, &found.plan.origin, &found.playbook)?, Some(found)))
}

async fn holder(journal: &dyn Journal, loaded: &Loaded) -> Result<Option<RotationId>, Fail> {
    for identity in build::identities(&loaded.book, &loaded.world) {
        if let Some(open) = journal.holder(&identity).await? {
            return Ok(Some(open));
        }
    }
    Ok(None)
}

fn declared(app: &App, args: &Args, loaded: &Loaded, leaked: Vec<KeyId>) -> Result<Declared, Fail> {
    let spec = loaded.book.emergency;
    let first = match args.mode {
        Some(mode) => mode == Mode::RevokeFirst,
        None => spec.mode == EmergencyMode::RevokeFirst,
    };
    let now = app.clock.now();
    let moment = |text: &str, way| when::parse(text, &now.with_timezone(&chrono::Local), way).map_err(Fail::usage);
    let revoke_at = match (first, &args.revoke_at) {
        (true, _) => now,
        (false, Some(text)) => moment(text, Way::On)?,
        (false, None) => now + spec.revoke_at.0,
    };
    let since = args.since.as_ref().map(|text| moment(text, Way::Back)).transpose()?;
    let emergency = Emergency { by: person(), reason: args.reason.clone().unwrap_or_default(), leaked, revoke_at, since };
    Ok(Declared { urgency: if first { Urgency::RevokeFirst } else { Urgency::ReplaceFast }, emergency })
}

/// There is no open rotation of this key: one begins, with the leak as its first event.
async fn begun(app: &App, args: &Args, loaded: &Loaded, journal: &dyn Journal, known: Option<&Rotation>) -> Result<u8, Fail> {
    if args.leaked.as_deref() == Some("new") {
        return Err(Fail::usage("no rotation of this key is open, so there is no new key: the key in use is `--leaked current`"));
    }
    let by_id = args.leaked.as_deref().filter(|word| !matches!(*word, "current" | "all")).map(KeyId::new);
    let last = known.and_then(Rotation::in_use);
    if let (Some(id), Some(rotation)) = (&by_id, known)
        && rotation.tombstones.contains(id)
    {
        let text =
            format!("key {id} is not in use: rotation {} revoked it at {}", rotation.id, report::moment(rotation.last, app.clock.now()));
        return Err(Fail::usage(text).of(rotation).next(format!("keyroll report {}", rotation.id)));
    }
    let mut declared = declared(app, args, loaded, Vec::new())?;
    let quick = declared.urgency == Urgency::RevokeFirst;
    let suspect = Suspect { said: by_id.clone(), known: last, quick };
    let overrides = batch::overrides(journal, &loaded.book.name).await?;
    let (mut plan, unread) =
        urgent(&loaded.world, &loaded.book, &app.clock, &overrides, &suspect).await.map_err(|problems| unplanned(args, problems))?;
    settle_store(app, args, &mut declared, &unread)?;
    not_with_itself(args, loaded, &declared)?;
    declared.emergency.leaked.extend(plan.old.iter().filter_map(|old| old.id.clone()));
    let limited = loaded.world.provider.attributes().is_some();
    let will = report::will_break(&loaded.book, &plan, limited, declared.urgency, &declared.emergency, Leak::Old);
    confirm(app, args, &loaded.book.name, &will)?;
    let mut view = drive::view(app);
    plan.begun.get_or_insert_with(|| Begun { by: person(), why: None });
    let leak = (Event::Asked(Ask::Emergency(Leak::Old, declared.urgency)), Detail::Emergency(declared.emergency));
    let (rotation, lease) = batch::begin(journal, &app.clock, loaded, plan, None, Some(leak), view.as_mut()).await?;
    finish(app, loaded, journal, rotation, lease, view.as_mut()).await
}

/// A rotation of this key is open, held or not: the emergency takes it over.
async fn taken_over(app: &App, args: &Args, loaded: &Loaded, journal: &dyn Journal, id: &RotationId) -> Result<u8, Fail> {
    let found = app::rotation(journal, id).await?;
    let leak = which(&found, args)?;
    let ids = |role| found.key(role).cloned();
    let leaked = match leak {
        Leak::Old => vec![ids(Role::Old)],
        Leak::New => vec![ids(Role::New)],
        Leak::Both => vec![ids(Role::Old), ids(Role::New)],
    };
    let mut declared = declared(app, args, loaded, leaked.into_iter().flatten().collect())?;
    let unread = match declared.urgency {
        Urgency::ReplaceFast => unread(app, loaded).await,
        Urgency::RevokeFirst => Unread::new(),
    };
    settle_store(app, args, &mut declared, &unread)?;
    not_with_itself(args, loaded, &declared)?;
    let ask = Ask::Emergency(leak, declared.urgency);
    if !allows(&found.state, ask) {
        let text = format!("rotation {id}: that key cannot have leaked as things stand (it is gone, or not made yet)");
        return Err(Fail::usage(text).of(&found));
    }
    let limited = loaded.world.provider.attributes().is_some();
    let will = report::will_break(&loaded.book, &found.plan, limited, declared.urgency, &declared.emergency, leak);
    confirm(app, args, &loaded.book.name, &will)?;
    let (event, detail) = (Event::Asked(ask), Detail::Emergency(declared.emergency));
    let mut view = drive::view(app);
    match take(app, journal, id, view.as_mut()).await {
        Ok((mut rotation, mut lease)) => {
            append(app, journal, &mut lease, &mut rotation, event, detail, view.as_mut()).await?;
            let loaded = load::journaled(app, &rotation.plan.origin, &rotation.playbook)?;
            finish(app, &loaded, journal, rotation, lease, view.as_mut()).await
        }
        Err(fail) if fail.code() == 4 => handed_over(app, loaded, journal, id, Note { event, detail }, view.as_mut()).await,
        Err(fail) => Err(fail),
    }
}

/// Another process drives it: it gets the word; if it dies or lets go, this one goes on.
async fn handed_over(
    app: &App,
    loaded: &Loaded,
    journal: &dyn Journal,
    id: &RotationId,
    note: Note,
    view: &mut dyn crate::sight::View,
) -> Result<u8, Fail> {
    let Detail::Emergency(declared) = note.detail.clone() else { return Err(Fail::usage("that is no emergency")) };
    let heard = |rotation: &Rotation| {
        rotation.emergency.as_ref().is_some_and(|known| known.revoke_at == declared.revoke_at && known.reason == declared.reason)
    };
    journal.leave(id, note).await?;
    anstream::eprintln!("rotation {id} is being driven by another keyroll: it was told, and takes the emergency over within seconds");
    loop {
        app.clock.sleep(std::time::Duration::from_millis(500)).await;
        let rotation = app::rotation(journal, id).await?;
        if rotation.state.ended().is_some() && !heard(&rotation) {
            let what = format!("rotation {id} ended before it heard of the leak: NOTHING WAS DONE about it, and the leaked key may work");
            return Err(Fail::new(3, what).of(&rotation).first("the same command again    # for the key that is in use now"));
        }
        if rotation.state.ended().is_some() || (rotation.state.held.is_some() && !rotation.state.owes() && heard(&rotation)) {
            let code = drive::finish(app, journal, &rotation, false).await;
            super::used::tell(app, loaded, journal, id).await;
            return code;
        }
        match take(app, journal, id, view).await {
            // Its ask waits in the journal still, and is heard as the first thing.
            Ok((rotation, lease)) => return finish(app, loaded, journal, rotation, lease, view).await,
            Err(fail) if fail.code() == 4 => {}
            Err(fail) => return Err(fail),
        }
    }
}

async fn finish(
    app: &App,
    loaded: &Loaded,
    journal: &dyn Journal,
    rotation: Rotation,
    lease: crate::ports::Lease,
    view: &mut dyn crate::sight::View,
) -> Result<u8, Fail> {
    // It sits through everything: the process is what keeps the leaked key's time.
    let waiting = drive::Waiting { wait: Some(crate::playbook::Span::secs(u64::from(u32::MAX))) };
    let id = rotation.id.clone();
    let code = drive::drive(app, loaded, journal, rotation, lease, view, waiting).await;
    super::used::tell(app, loaded, journal, &id).await;
    if loaded.world.provider.rotates_own().is_some() && !app.json() {
        let file = crate::playbook::quoted(&loaded.book.source.name);
        anstream::println!(
            "next: keyroll emergency --admin {file} PLAYBOOKS --reason '…' --since WHEN    # keys that whoever had it may have made"
        );
    }
    code
}

/// Which of an open rotation's keys a person means.
fn which(rotation: &Rotation, args: &Args) -> Result<Leak, Fail> {
    let word = args.leaked.as_deref().unwrap_or("current");
    let is = |role: Role| rotation.key(role).is_some_and(|id| id.as_str() == word);
    let only = |leak| allows(&rotation.state, Ask::Emergency(leak, Urgency::ReplaceFast));
    // Both are in somebody's hands: a slip would delete the good one.
    if args.leaked.is_none() && rotation.state.touched > 0 && only(Leak::Old) && only(Leak::New) {
        let base = again(args);
        return Err(Fail::usage(format!(
            "rotation {} is open, and services use both of its keys: say which one leaked; nothing was changed",
            rotation.id
        ))
        .of(rotation)
        .first(format!("{base} --leaked all        # if you do not know"))
        .first(format!("{base} --leaked new        # {}", rotation.key(Role::New).map_or("", KeyId::as_str)))
        .first(format!("{base} --leaked current    # {}", rotation.key(Role::Old).map_or("", KeyId::as_str))));
    }
    match word {
        "current" => Ok(if only(Leak::Old) || !only(Leak::New) { Leak::Old } else { Leak::New }),
        "new" => Ok(Leak::New),
        "all" if only(Leak::Both) => Ok(Leak::Both),
        "all" => Ok(if only(Leak::Old) { Leak::Old } else { Leak::New }),
        _ if is(Role::Old) => Ok(Leak::Old),
        _ if is(Role::New) => Ok(Leak::New),
        _ if rotation.tombstones.iter().any(|id| id.as_str() == word) => {
            Err(Fail::usage(format!("key {word} is dead for good already: rotation {} revoked it", rotation.id)).of(rotation))
        }
        _ if rotation.formers.iter().any(|made| made.id.as_str() == word) => {
            Err(Fail::usage(format!("key {word} was given up by rotation {} already, which deletes it once nothing uses it", rotation.id))
                .detail("if it must go sooner, delete it by hand; the rotation finds it gone and goes on")
                .of(rotation)
                .first(format!("{} --print --leaked {word}    # what to type by hand", again(args)))
                .first(format!("keyroll show {}", rotation.id)))
        }
        _ => Err(Fail::usage(format!("`{word}` is no key of the open rotation {}", rotation.id))
            .detail(format!(
                "its keys: {}",
                [Role::Old, Role::New].iter().filter_map(|role| rotation.key(*role)).map(KeyId::as_str).collect::<Vec<_>>().join(", ")
            ))
            .next(format!("keyroll show {}", rotation.id))),
    }
}
