//! The command line: one verb a file.

mod ack;
mod amend;
mod app;
mod approve;
mod audit;
mod by_hand;
mod completions;
mod demo;
mod doctor;
mod drive;
mod due;
mod emergency;
mod fail;
mod fallback;
mod freeze;
mod history;
mod identify;
mod init;
mod load;
mod logging;
mod offboard;
mod person;
mod plan;
mod provide;
pub mod providers;
mod reconcile;
mod report;
mod resume;
mod rollback;
mod run;
mod schema;
mod select;
mod show;
mod status;
mod typed;
mod used;
mod validate;
mod waive;
mod when;

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::app::App;
pub use self::fail::Fail;

/// Zero-downtime key rotation: create a new key, store it, wait until every instance proves that it uses it, then revoke the old one.
#[derive(Parser)]
#[command(name = "keyroll", version, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 failed and rolled back · 2 usage or invalid playbook · 3 held (needs a person) · \
4 lease held by another runner · 5 outside system unavailable · 6 waiting (parked)";

/// What every verb takes.
#[derive(Args, Clone)]
pub struct Global {
    /// The journal: a file, or postgres://USER@HOST/DATABASE for many runners; a password in KEYROLL_JOURNAL or PGPASSWORD
    /// only [default: keyroll/journal.db in the XDG state folder]
    #[arg(long, global = true, env = "KEYROLL_JOURNAL", hide_env_values = true, value_name = "FILE|URL", value_hint = clap::ValueHint::AnyPath)]
    journal: Option<OsString>,
    /// How long a call that gets no answer is repeated before keyroll stops, the call's own time counted; `keyroll resume` goes on then
    #[arg(long, global = true, value_name = "TIME", default_value = "2m")]
    patience: crate::playbook::Span,
    /// What standard output is for
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// Say only how it ended
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Tell on standard error what happens inside; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Which diagnostics are told, as in `keyroll=debug,hyper=off`
    #[arg(long, global = true, env = "KEYROLL_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// The form of the diagnostics
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// What standard output is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// People.
    Human,
    /// Programs: JSON, on `run` one object per event.
    Json,
}

/// The form of the diagnostics.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Write a commented playbook, from questions or flags
    Init(init::Args),
    /// Check playbooks; says everything that is wrong at once
    Validate(validate::Args),
    /// Print the playbook's JSON Schema, for editors
    Schema,
    /// Say what a rotation would do; changes nothing
    Plan(plan::Args),
    /// Rotate
    Run(run::Args),
    /// A key leaked: replace and revoke it, whatever the state
    Emergency(emergency::Args),
    /// Every playbook: its key, when it is due, what it needs
    Status(status::Args),
    /// Everything about one rotation
    Show(show::Args),
    /// What a reviewer needs of one rotation: text, JSON, or one HTML page
    Report(report::Args),
    /// Check the journal's hash chains, or export them
    #[command(subcommand)]
    Audit(audit::Verb),
    /// All rotations, newest first
    History,
    /// Go on with a parked, held or interrupted rotation
    Resume(resume::Args),
    /// Hand over a new key that you made in the provider's console; its value on standard input, never on the command line
    Provide(provide::Args),
    /// Go back to the old key
    Rollback(rollback::Args),
    /// Give an open rotation a changed playbook; its evidence is taken again
    Amend(amend::Args),
    /// Begin nothing risky for a time; alone it lists what is frozen
    Freeze(freeze::Args),
    /// Do without the proof of one instance or consumer; its reason is recorded
    Waive(waive::Args),
    /// Approve a plan that another person proposed with `run`
    Approve(approve::Args),
    /// Say that you have seen a held rotation; nobody is reminded of it any more
    Ack(ack::Args),
    /// Whose a leaked value is: on standard input, or in a secret scanner's report
    Identify(identify::Args),
    /// Say what stands ready for a rotation and what does not; changes nothing
    Doctor(doctor::Args),
    /// Who issues keys that keyroll can rotate, and what each of them can
    Providers(providers::Args),
    /// Find keys that nothing explains, and what was left behind
    Reconcile(reconcile::Args),
    /// See a whole rotation in a sandbox on this machine
    Demo(demo::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// A killed process must not leave secrets in a core file.
pub fn keep_secrets_out_of_core_dumps() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Runs a verb and says how it went.
pub fn start(cli: Cli) -> ExitCode {
    let global = cli.global;
    if let Err(fail) = logging::start(&global) {
        return fail.print(&global);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Fail::new(5, format!("this machine gives no threads: {error}")).print(&global),
    };
    let result = runtime.block_on(async {
        let app = App::new(global.clone());
        let result = match cli.verb {
            Verb::Init(args) => init::run(&args),
            Verb::Validate(args) => validate::run(&app, &args),
            Verb::Schema => schema::run(&app),
            Verb::Plan(args) => plan::run(&app, &args).await,
            Verb::Run(args) => run::run(&app, &args).await,
            Verb::Emergency(args) => emergency::run(&app, &args).await,
            Verb::Status(args) => status::run(&app, &args).await,
            Verb::Show(args) => show::run(&app, &args).await,
            Verb::Report(args) => report::run(&app, &args).await,
            Verb::Audit(verb) => audit::run(&app, &verb).await,
            Verb::History => history::run(&app).await,
            Verb::Resume(args) => resume::run(&app, &args).await,
            Verb::Provide(args) => provide::run(&app, &args).await,
            Verb::Rollback(args) => rollback::run(&app, &args).await,
            Verb::Amend(args) => amend::run(&app, &args).await,
            Verb::Freeze(args) => freeze::run(&app, &args).await,
            Verb::Waive(args) => waive::run(&app, &args).await,
            Verb::Approve(args) => approve::run(&app, &args).await,
            Verb::Ack(args) => ack::run(&app, &args).await,
            Verb::Identify(args) => identify::run(&app, &args).await,
            Verb::Doctor(args) => doctor::run(&app, &args).await,
            Verb::Reconcile(args) => reconcile::run(&app, &args).await,
            Verb::Providers(args) => providers::run(&app, &args),
            Verb::Demo(args) => demo::run(&app, &args).await,
            Verb::Completions(args) => completions::run(&args),
        };
        app.close().await;
        result
    });
    // A reading that is still under way must not keep the terminal.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(fail) => fail.print(&global),
    }
}
