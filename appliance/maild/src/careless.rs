//! `pillarbox` without the journal's flush: it loses acknowledged mail when the power fails.
//!
//! Never shipped: `tests/clients/test_power.py` shows with it that it would notice such a fault.

mod cli;
mod housekeeping;
mod pop3;
mod server;
mod smtp;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
