//! Parse, run the verb, say what went wrong and what to type next, and leave with the documented exit code.

use std::process::ExitCode;

use clap::Parser;
use zeroizing_alloc::ZeroAlloc;

/// What was freed is zeroed, whoever had it: values pass through buffers of HTTP, TLS and JSON that know nothing of secrets.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    keyroll::cli::keep_secrets_out_of_core_dumps();
    let cli = keyroll::cli::Cli::parse();
    keyroll::cli::start(cli)
}
