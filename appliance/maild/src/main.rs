//! `pillarbox`: the mail server of the box, and the owner's command line.
//!
//! `server` puts everything together and listens, `smtp` and `pop3` are the edges, `cli` is the other way in.
//! What the box can do is in the crate `pillarbox_office`, its pages are in `pillarbox_web`.

mod cli;
mod housekeeping;
mod pop3;
mod server;
mod smtp;

use std::process::ExitCode;

#[cfg(feature = "careless")]
compile_error!("the feature `careless` is for pillarbox-careless alone");

fn main() -> ExitCode {
    cli::main()
}
