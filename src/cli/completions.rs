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
    clap_complete::generate(args.shell, &mut Cli::command(), "keyroll", &mut std::io::stdout());
    Ok(0)
}
