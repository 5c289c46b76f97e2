//! `pillarbox`: the mail server of the box, and the owner's command line.
//!
//! Layers, each may use those below it: edges (`smtp`, `pop3`, `web`), roles (`mta`, `msa`, `mda`, `auth`),
//! services (`acme`, `line`, `setup` and others). `server` puts them together; `cli` is the other way in.
//! What a message is and says is decided in the crate `pillarbox_message`, mail to other servers is sent by `pillarbox_outbound`.
//! Clock, settings file, DNS, certificates, sockets, connections, secrets and log are in the crate `pillarbox_platform`.

mod acme;
mod auth;
mod board;
mod cli;
mod condition;
mod context;
mod directory;
mod history;
mod hours;
mod housekeeping;
mod line;
mod mail;
mod mda;
mod msa;
mod mta;
mod pop3;
mod preseed;
mod round;
mod server;
mod settings;
mod setup;
mod smtp;
mod update;
mod web;
#[cfg(test)]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
