//! How a command ends: its outcome, its error and its exit code. Every command uses the same codes.

use std::process::ExitCode;

use rdkafka::error::KafkaError;

use crate::app;
use crate::config;
use crate::kafka;
use crate::kafka::inbox;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work, and the result is positive.
    Success,
    /// The command did its work, and the result is negative: a check failed, a message is not genuine, nothing was found.
    No,
    /// The command-line arguments are wrong.
    Usage,
    /// The command could not do its work: Kafka is unreachable, an input is unreadable, an ACL is missing.
    Failed,
    /// The configuration is wrong (`EX_CONFIG` of sysexits.h).
    Config,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument has a value that the command cannot use.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The receiver could not start.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The topics could not be created or compared.
    #[error(transparent)]
    Topics(#[from] kafka::topics::Error),
    /// A record could not be appended to the inbox.
    #[error(transparent)]
    Append(#[from] inbox::AppendError),
    /// A Kafka client reports an error.
    #[error("Kafka client: {0}")]
    Kafka(#[from] KafkaError),
    /// An HTTP client could not be built.
    #[error("HTTP client: {0}")]
    HttpClient(#[from] reqwest::Error),
    /// A file, a stream or a signal handler reports an error.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Any other failure, described in full.
    #[error("{0}")]
    Failed(String),
}

impl Exit {
    /// Every exit code, in ascending order.
    pub const ALL: [Self; 5] = [Self::Success, Self::No, Self::Usage, Self::Failed, Self::Config];

    /// The number that the process returns.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Config => 78,
        }
    }

    /// The meaning of the code for all commands, as `--help` prints it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::No => "the command ran, and the result is negative, for example a failed check",
            Self::Usage => "the command-line arguments are wrong",
            Self::Failed => "the command could not do its work",
            Self::Config => "the configuration is wrong",
        }
    }
}

impl Error {
    /// The exit code of this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Config(_) => Exit::Config,
            Self::App(_)
            | Self::Topics(_)
            | Self::Append(_)
            | Self::Kafka(_)
            | Self::HttpClient(_)
            | Self::Io(_)
            | Self::Failed(_) => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<String> for Error {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

impl From<&str> for Error {
    fn from(what: &str) -> Self {
        Self::Failed(what.to_owned())
    }
}

/// The table of exit codes below the help text of a command. `no` says what exit code 1 means there; `None` leaves it out.
pub fn exit_codes_help(no: Option<&str>) -> String {
    let lines = Exit::ALL.into_iter().filter_map(|exit| {
        let meaning = if exit == Exit::No { no? } else { exit.meaning() };
        Some(format!("\n  {:<3} {meaning}", exit.code()))
    });
    format!("Exit codes:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_exit_code() {
        let io = std::io::Error::other("x");
        for (error, code) in [
            (Error::Usage("x".to_owned()), 2),
            (Error::Io(io), 3),
            (Error::from("x"), 3),
            (Error::from(config::Config::load(std::path::Path::new("/absent"), []).unwrap_err()), 78),
        ] {
            assert_eq!(error.exit().code(), code, "{error}");
        }
    }

    #[test]
    fn help_lists_every_exit_code() {
        let help = exit_codes_help(Some("nothing was found"));
        assert_eq!(
            help,
            "Exit codes:\n  0   success\n  1   nothing was found\n  2   the command-line arguments are wrong\n  \
             3   the command could not do its work\n  78  the configuration is wrong"
        );
        assert!(!exit_codes_help(None).contains("  1 "));
    }
}
