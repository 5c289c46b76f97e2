//! Load on a mail server: messages in by SMTP, listings and messages out by POP3, idle connections.
//! Prints one JSON object with what it measured.

mod connection;
mod idle;
mod pop3;
mod random;
mod smtp;
mod text;

use std::collections::HashMap;
use std::process::ExitCode;

/// Options as `--name value` pairs after the kind of load.
pub struct Options(HashMap<String, String>);

impl Options {
    /// The text of an option.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.to_string())
    }

    /// The number of an option.
    pub fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        self.0.get(name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| format!("--{name} {text}: not a number"))
        })
    }

    /// True for `--name yes`.
    pub fn is_on(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text == "yes")
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((kind, pairs)) = words.split_first() else { return usage("which load?") };
    let options = pairs.chunks(2).filter_map(|pair| match pair {
        [name, value] => Some((name.trim_start_matches("--").to_string(), value.clone())),
        _ => None,
    });
    let options = Options(options.collect());
    let measured = match kind.as_str() {
        "smtp" => smtp::run(&options),
        "pop3" => pop3::run(&options),
        "idle" => idle::run(&options),
        _ => return usage(&format!("{kind} is no load known here")),
    };
    match measured {
        Ok(measured) => {
            println!("{measured}");
            ExitCode::SUCCESS
        }
        Err(why) => usage(&why),
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!(
        "pillarbox-bench: {why}\nuse: pillarbox-bench smtp|pop3|idle --name value ...; tests/bench/run shows how"
    );
    ExitCode::from(2)
}
