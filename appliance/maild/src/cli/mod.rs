//! The command line.
//! Exit codes: 0 done, 1 could not be done, 2 wrongly asked (from clap), 3 check found damage.

mod account;
mod address;
mod check;
mod demo;
mod ledger;
mod queue;
mod rehearse;
mod route;
mod serve;
mod settings;
mod tools;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use pillarbox_platform::config::EXAMPLE;

use tools::{Place, say};

/// Mail server of the Pillarbox appliance.
#[derive(Parser)]
#[command(name = "pillarbox", version, max_term_width = 100)]
struct Cli {
    /// Settings file [default: /etc/pillarbox/pillarbox.toml if it exists].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder; overrides the one in the settings file.
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Try everything at once: a server on free ports with a sample domain, two people and some mail.
    Demo(demo::Demo),
    /// Find out whether mail works in this release, on a copy of the store.
    Rehearse,
    /// Check the settings file and the store.
    Check(check::Check),
    /// Domains the box takes mail for.
    #[command(subcommand)]
    Domain(address::Domain),
    /// People and their passwords.
    #[command(subcommand)]
    Account(account::Account),
    /// Further addresses; `@example.org` catches whatever has no mailbox.
    #[command(subcommand)]
    Alias(address::Alias),
    /// What waits to go out to other servers.
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Sending through a provider instead of directly.
    #[command(subcommand)]
    Route(route::Route),
    /// What happened to a message.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// The owner's settings, to be kept or carried to another box.
    #[command(subcommand)]
    Settings(settings::Settings),
    /// The settings file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print a settings file with every key, its default and why.
    Example,
}

/// Parses, does, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // Nobody reading standard error is no further failure.
            let _ = writeln!(std::io::stderr(), "pillarbox: {error}");
            ExitCode::from(1)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, String> {
    let place = Place { file: cli.config, data: cli.data };
    match cli.command {
        Command::Serve => serve::run(&place)?,
        Command::Demo(demo) => demo::run(&demo)?,
        Command::Rehearse => rehearse::run(&place)?,
        Command::Check(check) => return check::run(&place, &check),
        Command::Domain(domain) => address::domain(&place, domain)?,
        Command::Account(command) => account::run(&place, command)?,
        Command::Alias(alias) => address::alias(&place, alias)?,
        Command::Queue(command) => queue::run(&place, command)?,
        Command::Route(command) => route::run(&place, command)?,
        Command::Ledger(command) => ledger::run(&place, command)?,
        Command::Settings(command) => settings::run(&place, command)?,
        Command::Config(ConfigCommand::Example) => say(EXAMPLE.trim_end())?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pillarbox", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())?;
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|e| e.to_string())?;
            say(String::from_utf8_lossy(&page).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
