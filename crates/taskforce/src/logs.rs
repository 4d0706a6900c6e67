//! The log: structured, on standard error, without secrets.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogFormat, LogLevel, Settings};

/// Starts logging as the profile says. A second start, as in tests, changes nothing.
pub(crate) fn start(settings: &Settings) {
    let level = match settings.profile.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let terminal = io::stderr().is_terminal();
    let text = match settings.profile.log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    let _started =
        if text { builder.with_ansi(terminal).try_init() } else { builder.json().flatten_event(true).try_init() };
}
