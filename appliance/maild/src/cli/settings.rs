//! `pillarbox settings`: the owner's settings as a file.

use std::path::PathBuf;

use clap::Subcommand;
use pillarbox_platform::secrets::Secrets;

use super::tools::{Place, say};
use pillarbox_office::preseed::{self, Passwords};

#[derive(Subcommand)]
pub enum Settings {
    /// Print the owner's settings; as pillarbox-setup.toml they answer the set-up of another box.
    Export {
        /// With hashes of people's passwords and the providers' passwords: for moving to another box.
        /// Keep it safe.
        #[arg(long)]
        with_passwords: bool,
    },
    /// Apply a file of settings; what is there already stays.
    Import {
        /// The file.
        file: PathBuf,
    },
}

pub fn run(place: &Place, command: Settings) -> Result<(), String> {
    let (store, secrets) = (place.store()?, Secrets::open(&place.config()?.data)?);
    match command {
        Settings::Export { with_passwords } => {
            let passwords = if with_passwords { Passwords::Included } else { Passwords::Left };
            let setup = preseed::export(&store, &secrets, passwords)?;
            say(toml::to_string(&setup).map_err(|e| e.to_string())?.trim_end())
        }
        Settings::Import { file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| format!("reading {}: {e}", file.display()))?;
            let setup = preseed::parse(&text).map_err(|e| format!("{}: {e}", file.display()))?;
            preseed::apply(&store, &secrets, &setup)?;
            say(
                "Applied. A running server takes on another name of the box with its next start, or on SIGHUP.",
            )
        }
    }
}
