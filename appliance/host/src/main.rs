//! `pillarbox-privop`: one request, from the socket that systemd accepted, and gone.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use pillarbox_host::plan::join;
use pillarbox_host::serve::{System, caller, serve};
use pillarbox_host::wireless::{self, Wireless};
use pillarbox_host::{Answer, Request};

/// Reads an installer's file and writes down the wireless network it names.
/// Its service is not started here: a start is under way, and it waits for this.
fn take_wireless(system: &System, file: &Path) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut octets = Vec::new();
    File::open(file)
        .map_err(wrong)?
        .take(wireless::OCTETS as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(wrong)?;
    system.take(&join(&Wireless::read(&octets)?)).map(drop)
}

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
    // At a start: what an installer put on the card.
    if let [word, file] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && word == "--take-wireless"
    {
        return match take_wireless(&system, Path::new(file)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{why}");
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
