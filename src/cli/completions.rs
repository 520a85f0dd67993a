//! `keyroll completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Fail};

#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: &Args) -> Result<u8, Fail> {
    use std::io::Write;
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyroll", &mut text);
    // A reader that has seen enough closes the pipe: no matter.
    let _ = std::io::stdout().write_all(&text);
    Ok(0)
}
