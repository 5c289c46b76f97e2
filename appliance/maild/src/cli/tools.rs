//! What several commands use.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use pillarbox_platform::config::{Config, DEFAULT_PATH};
use pillarbox_store::{Access, Change, Store};
use pillarbox_vocabulary::Address;

use crate::server::store_options;

/// How to print a result.
#[derive(Args, Clone, Copy)]
pub struct Output {
    /// Print JSON for scripts.
    #[arg(long)]
    pub json: bool,
}

/// Where settings and data are.
pub struct Place {
    pub file: Option<PathBuf>,
    pub data: Option<PathBuf>,
}

impl Place {
    /// The settings file in use, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists());
        self.file.clone().or_else(default)
    }

    /// The settings, with the command line's words on top.
    pub fn config(&self) -> Result<Config, String> {
        let mut config =
            self.file().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
        if let Some(data) = &self.data {
            config.data = data.clone();
        }
        config.judge()?;
        Ok(config)
    }

    /// The store, opened beside a server that may be running.
    pub fn store(&self) -> Result<Store, String> {
        let config = self.config()?;
        open_store(&config.data, &config)
    }
}

pub fn open_store(data: &Path, config: &Config) -> Result<Store, String> {
    Store::open(data, Access::Tool, &store_options(config)).map_err(|e| e.to_string())
}

/// Prints a line; a reader who has gone away is no error worth a message.
pub fn say(line: &str) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|e| format!("printing: {e}")),
    }
}

/// Prints JSON.
pub fn say_json(value: &serde_json::Value) -> Result<(), String> {
    say(&value.to_string())
}

/// Carries out a change of the directory.
pub fn change<C: Change>(store: &Store, change: C) -> Result<C::Outcome, String> {
    store.change(change).wait().map_err(|e| e.to_string())
}

/// An address in canonical form.
pub fn canonical(text: &str) -> Result<String, String> {
    address(text).map(|address| address.canonical())
}

pub fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|e| format!("{text:?} is no mail address: {e}"))
}
