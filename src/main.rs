//! Parse, run the verb, say what went wrong and what to type next, and leave with the documented exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    keyroll::cli::keep_secrets_out_of_core_dumps();
    let cli = keyroll::cli::Cli::parse();
    keyroll::cli::start(cli)
}
