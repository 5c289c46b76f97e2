//! `pillarbox-privop`: one request, from the socket that systemd accepted, and gone.

use std::process::ExitCode;

use pillarbox_host::serve::{System, caller, serve};
use pillarbox_host::{Answer, Request};

fn main() -> ExitCode {
    let system = System::real();
    // The timer that undoes a change of the network starts this program itself.
    if std::env::args().nth(1).as_deref() == Some("--roll-back-network") {
        return match system.fulfil(&Request::RollBackNetwork) {
            Answer::Done { .. } => ExitCode::SUCCESS,
            Answer::Refused { why } | Answer::Failed { why } => {
                eprintln!("pillarbox-privop: {why}");
                ExitCode::from(1)
            }
        };
    }
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let caller = caller(&input);
    match serve(input.lock(), output.lock(), caller, &system) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pillarbox-privop: {error}");
            ExitCode::from(1)
        }
    }
}
