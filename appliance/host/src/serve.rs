//! Fulfils a request: who asks, may they, what is to be done, doing it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, User};

use crate::OCTETS;
use crate::plan::{Step, plan};
use crate::request::{Answer, Caller, Request};

/// Characters of a program's words that are passed on.
const WORDS: usize = 32 * 1024;

/// The system, or a folder that stands for it in tests, where nothing is run.
pub struct System {
    root: PathBuf,
    runs: bool,
}

impl System {
    pub fn real() -> System {
        System { root: PathBuf::from("/"), runs: true }
    }

    /// Files below a folder; programs are only named in the answer.
    pub fn rehearsed(root: &Path) -> System {
        System { root: root.to_path_buf(), runs: false }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Fulfils a request of somebody who may ask for it.
    pub fn fulfil(&self, request: &Request) -> Answer {
        let steps = match plan(request) {
            Ok(steps) => steps,
            Err(why) => return Answer::Refused { why },
        };
        let mut said = String::new();
        for step in &steps {
            match self.take(step) {
                Ok(text) => said.push_str(&text),
                Err(why) => return Answer::Failed { why },
            }
        }
        // Of a log the end matters.
        let skipped = said.chars().count().saturating_sub(WORDS);
        Answer::Done { text: said.chars().skip(skipped).collect() }
    }

    /// Takes one step; what a program said in it.
    pub fn take(&self, step: &Step) -> Result<String, String> {
        let named = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        match step {
            Step::Write { path, content } => self.write(path, content),
            Step::Remove { path } => {
                let path = self.place(path);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(named(&path, error))
                    }
                    _ => Ok(String::new()),
                }
            }
            Step::Restore { from, to } => {
                let (from, to) = (self.place(from), self.place(to));
                let Ok(kept) = fs::metadata(&from) else { return Ok(String::new()) };
                fs::rename(&from, &to).map_err(|error| named(&from, error))?;
                if kept.len() == 0 {
                    fs::remove_file(&to).map_err(|error| named(&to, error))?;
                }
                Ok(String::new())
            }
            Step::Remember { from, to } => {
                if self.place(to).exists() {
                    return Ok(String::new());
                }
                let source = self.place(from);
                match fs::read_to_string(&source) {
                    Ok(content) => self.write(to, &content),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        self.write(to, "")
                    }
                    Err(error) => Err(named(&source, error)),
                }
            }
            Step::Keep { from, to } => {
                let source = self.place(from);
                match fs::read_to_string(&source) {
                    Ok(content) => self.write(to, &content),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
                    Err(error) => Err(named(&source, error)),
                }
            }
            Step::Folder { path } => fs::create_dir_all(self.place(path))
                .map(|()| String::new())
                .map_err(|error| named(&self.place(path), error)),
            Step::Run { program, arguments } => self.run(program, arguments),
            Step::Try { program, arguments } => {
                Ok(self.run(program, arguments).unwrap_or_default())
            }
        }
    }

    /// Beside it first, then in its place: a plug pulled in between leaves the old file.
    fn write(&self, path: &str, content: &str) -> Result<String, String> {
        use std::os::unix::fs::OpenOptionsExt;
        let target = self.place(path);
        let beside = target.with_extension("new");
        // Networks' files are read by a daemon without privileges; the others may hold secrets.
        let mode = if path.ends_with(".network") { 0o644 } else { 0o600 };
        let written = || -> std::io::Result<()> {
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            let _ = fs::remove_file(&beside);
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &target)?;
            target.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
        };
        written().map(|()| String::new()).map_err(|error| format!("{}: {error}", target.display()))
    }

    fn run(&self, program: &str, arguments: &[String]) -> Result<String, String> {
        if !self.runs {
            return Ok(format!("{program} {}\n", arguments.join(" ")));
        }
        let ran = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output();
        let ran = ran.map_err(|error| format!("{program}: {error}"))?;
        let words = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        match ran.status.success() {
            true => Ok(words(&ran.stdout)),
            false => Err(format!("{program}: {}", words(&ran.stderr).trim())),
        }
    }
}

/// Who is at the other end of a socket; others than the box's own programs have no name here.
pub fn caller(socket: impl AsFd) -> Option<Caller> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials).ok()?;
    let uid = Uid::from_raw(credentials.uid());
    if uid.is_root() {
        return Some(Caller::Root);
    }
    match User::from_uid(uid).ok()??.name.as_str() {
        "pillarbox" => Some(Caller::Server),
        "pillarbox-beacon" => Some(Caller::Beacon),
        _ => None,
    }
}

/// Reads one request, answers it.
pub fn serve(
    input: impl Read,
    mut output: impl Write,
    caller: Option<Caller>,
    system: &System,
) -> std::io::Result<()> {
    let mut line = String::new();
    let answer = match BufReader::new(input.take(OCTETS as u64)).read_line(&mut line) {
        Err(error) => Answer::Refused { why: error.to_string() },
        Ok(_) => match (Request::parse(&line), caller) {
            (_, None) => Answer::Refused { why: "this program may not ask for anything".into() },
            (Err(why), _) => Answer::Refused { why },
            (Ok(request), Some(caller)) if !request.is_allowed(caller) => {
                Answer::Refused { why: "this program may not ask for that".into() }
            }
            (Ok(request), Some(_)) => system.fulfil(&request),
        },
    };
    let text = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
    output.write_all(text.as_bytes())?;
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(system: &System, line: &str, caller: Option<Caller>) -> String {
        let mut out = Vec::new();
        serve(line.as_bytes(), &mut out, caller, system).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_fulfilled_refused_and_undone() {
        let root = tempfile::tempdir().unwrap();
        let system = System::rehearsed(root.path());
        let ask = |line: &str| asked(&system, line, Some(Caller::Server));
        let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
        let fixed = |address: &str| {
            format!(
                "{{\"do\":\"set-network\",\"network\":{{\"by\":\"fixed\",\"interface\":[\"{address}\",24],\"gateway\":\"192.168.1.1\",\"servers\":[]}}}}"
            )
        };
        let said = ask(&fixed("192.168.1.7"));
        assert!(said.contains("\"is\":\"done\"") && said.contains("--roll-back-network"), "{said}");
        assert!(read("data/system/network/10-owner.network").unwrap().contains("192.168.1.7/24"));
        ask("{\"do\":\"confirm-network\"}");
        // The next change is not confirmed: the first one comes back, the files of before are gone.
        ask(&fixed("192.168.1.8"));
        assert!(read("run/systemd/network/10-owner.network").unwrap().contains("192.168.1.8/24"));
        ask("{\"do\":\"roll-back-network\"}");
        for path in ["data/system/network/10-owner.network", "run/systemd/network/10-owner.network"]
        {
            assert!(read(path).unwrap().contains("192.168.1.7/24"), "{path}");
        }
        assert!(read("data/system/network/10-owner.before").is_none());
        // Nothing is under way: nothing to roll back.
        ask("{\"do\":\"roll-back-network\"}");
        assert!(read("data/system/network/10-owner.network").is_some());
        // Two changes in a row, neither confirmed: what was before both comes back.
        ask(&fixed("192.168.1.9"));
        ask(&fixed("192.168.1.10"));
        ask("{\"do\":\"roll-back-network\"}");
        assert!(read("data/system/network/10-owner.network").unwrap().contains("192.168.1.7/24"));
        // Before the first change of all there was no file: there is none again.
        fs::remove_file(root.path().join("data/system/network/10-owner.network")).unwrap();
        ask(&fixed("192.168.1.9"));
        ask("{\"do\":\"roll-back-network\"}");
        for path in [
            "data/system/network/10-owner.network", "run/systemd/network/10-owner.network",
            "data/system/network/10-owner.before",
        ] {
            assert!(read(path).is_none(), "{path}");
        }
        assert!(
            asked(&system, "{\"do\":\"factory-reset\"}", Some(Caller::Beacon))
                .contains("may not ask for that")
        );
        assert!(asked(&system, "{\"do\":\"reboot\"}", None).contains("may not ask for anything"));
        assert!(
            ask("{\"do\":\"sing\"}").contains("not understood")
                && ask(&"x".repeat(OCTETS * 2)).contains("refused")
        );
        assert!(read("data/system/reset").is_none());
    }

    #[test]
    fn whoever_asks_is_known_by_the_socket() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let is_root = Uid::current().is_root();
        assert_eq!(caller(&ours), is_root.then_some(Caller::Root));
    }
}
