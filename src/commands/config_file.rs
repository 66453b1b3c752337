//! The option `--config`, which most commands share.

use std::path::PathBuf;

use super::Error;
use crate::config::Config;

/// The configuration file of a command.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigFile {
    /// The configuration file (TOML). Environment variables IPN_RECEIVER__TABLE__SETTING override its settings.
    #[arg(long = "config", value_name = "FILE", env = "IPN_RECEIVER_CONFIG")]
    pub(super) path: PathBuf,
}

impl ConfigFile {
    /// Reads and checks the configuration.
    pub(super) fn load(&self) -> Result<Config, Error> {
        Ok(Config::load(&self.path, std::env::vars())?)
    }
}
