//! Diagnostics, on standard error only.

use tracing_subscriber::{EnvFilter, fmt};

use super::{Fail, Global, LogFormat};

/// Whether diagnostics are asked for: their lines would tear a live picture.
pub fn wanted(global: &Global) -> bool {
    global.log.is_some() || global.verbose > 0
}

/// Starts them; silent unless asked for.
pub fn start(global: &Global) -> Result<(), Fail> {
    let filter = match (&global.log, global.verbose) {
        (Some(filter), _) => filter.clone(),
        (None, 0) => return Ok(()),
        (None, 1) => "keyroll=info".into(),
        (None, _) => "keyroll=debug".into(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| Fail::usage(format!("`{filter}` is not a filter: {error}")))?;
    // Other libraries' finer words may hold what they send: a filter that lets them speak is not obeyed.
    let filter = [
        "aws_smithy_runtime",
        "aws_smithy_runtime_api",
        "aws_config",
        "aws_sdk_iam",
        "aws_sdk_sts",
        "aws_sdk_secretsmanager",
        "hyper",
        "hyper_util",
        "h2",
        "reqwest",
        "rustify",
        "vaultrs",
        "sqlx",
    ]
    .iter()
    .filter_map(|library| format!("{library}=warn").parse().ok())
    .fold(filter, EnvFilter::add_directive);
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match global.log_format {
        LogFormat::Text => {
            builder.with_ansi(std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Fail::new(5, format!("diagnostics cannot start: {error}")))
}
