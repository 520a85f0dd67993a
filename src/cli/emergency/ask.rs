//! What a person is asked before an emergency begins, and what they type next where it cannot.

use std::io::{IsTerminal, Write};

use super::{Args, Declared, StoreDown};
use crate::{
    cli::{App, Fail, load::Loaded},
    driver::Unread,
    ports::{Clock, Problem},
    protocol::Urgency,
};

/// Why nothing could begin, and what is left to do.
pub(super) fn unplanned(args: &Args, problems: Vec<Problem>) -> Fail {
    let code = if problems.iter().any(|problem| problem.unreachable) { 5 } else { 2 };
    let mut fail = Fail::new(code, "the emergency cannot begin: NOTHING WAS CHANGED, and the leaked key works");
    for problem in problems {
        fail = fail.detail(format!("{}\n    {}", problem.what, problem.hint));
    }
    let base = again(args);
    fail.next(format!("{base} --leaked ID    # the leaked key's exact id")).next(format!("{base} --print    # what to type by hand"))
}

/// Which stores do not answer now, and why.
pub(super) async fn unread(app: &App, loaded: &Loaded) -> Unread {
    let mut unread = Unread::new();
    for store in &loaded.world.stores {
        let why = tokio::select! {
            biased;
            got = store.read() => got.err().map(|failure| failure.to_string()),
            () = app.clock.sleep(crate::driver::URGENT_PATIENCE) => Some("no answer".to_owned()),
        };
        unread.extend(why.map(|why| (store.locator(), why)));
    }
    unread
}

/// With a store that does not answer nobody can be given another key: revoke now, or wait for it.
pub(super) fn settle_store(app: &App, args: &Args, declared: &mut Declared, unread: &Unread) -> Result<(), Fail> {
    if unread.is_empty() || declared.urgency == Urgency::RevokeFirst {
        return Ok(());
    }
    let asks = args.store_down.is_none() && !args.yes && !app.json() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    for (store, why) in unread {
        anstream::eprintln!("{store} cannot be read: {why}");
    }
    let revoke = match args.store_down {
        Some(what) => what == StoreDown::Revoke,
        None if asks => {
            let items = [
                "wait for it; the leaked key is deleted at its time anyway",
                "revoke the leaked key now; who uses it is down until the store is back",
            ];
            let chosen = dialoguer::Select::new().with_prompt("The new key cannot be written now").items(items).default(0).interact();
            chosen.map_err(|_| Fail::usage("not confirmed; nothing was changed"))? == 1
        }
        None => {
            let mut fail =
                Fail::new(5, "a store cannot be reached, so nobody can be given another key; NOTHING WAS CHANGED and the leaked key works");
            for (store, why) in unread {
                fail = fail.detail(format!("{store}: {why}"));
            }
            let base = again(args) + &leaked(args) + " --yes";
            return Err(fail
                .next(format!("{base} --mode revoke-first    # the leaked key goes now; services are down until the store is back"))
                .next(format!("{base} --store-down wait      # tries until the store answers; the leaked key goes at its time")));
        }
    };
    if revoke {
        declared.urgency = Urgency::RevokeFirst;
        declared.emergency.revoke_at = app.clock.now();
    }
    Ok(())
}

/// A key that is called with to make its successor cannot go before it.
pub(super) fn not_with_itself(args: &Args, loaded: &Loaded, declared: &Declared) -> Result<(), Fail> {
    if declared.urgency == Urgency::ReplaceFast || loaded.world.provider.rotates_own().is_none() {
        return Ok(());
    }
    let base = again(args) + &leaked(args);
    Err(Fail::usage("revoke-first cannot be: the new key is made with the leaked one. NOTHING WAS CHANGED, and the leaked key works")
        .next(format!("{base} --mode replace-fast    # another key first; the leaked one is deleted with it")))
}

/// The command as it was typed, without what is to be chosen.
pub(super) fn again(args: &Args) -> String {
    let mut base = format!("keyroll emergency {} --reason '…'", crate::playbook::quoted(&args.playbook));
    for (flag, value) in [("--revoke-at", &args.revoke_at), ("--since", &args.since)] {
        if let Some(value) = value {
            base += &format!(" {flag} {}", crate::playbook::quoted(value));
        }
    }
    base
}

/// Which key leaked, as it was typed: a suggested command must never mean another one.
fn leaked(args: &Args) -> String {
    args.leaked.as_ref().map_or_else(String::new, |leaked| format!(" --leaked {}", crate::playbook::quoted(leaked)))
}

/// What will break is shown; then a person types the playbook's name.
pub(super) fn confirm(app: &App, args: &Args, name: &str, will: &str) -> Result<(), Fail> {
    if !app.json() {
        anstream::print!("{will}");
    }
    if args.yes {
        return Ok(());
    }
    let not = || Fail::usage("not confirmed; nothing was changed, and the leaked key still works");
    if app.json() || !std::io::stdin().is_terminal() {
        return Err(not().next("the same command with --yes"));
    }
    eprint!("Type the playbook's name ({name}) to begin: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|_| not())?;
    if line.trim() == name { Ok(()) } else { Err(not()) }
}
