//! Asking, for programs without privileges.
//! Blocks.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::OCTETS;
use crate::request::{Answer, Request};

/// Asks for something and waits for the answer, at most `patience`.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> Result<Answer, String> {
    let wrong = |error: std::io::Error| match error.kind() {
        // Linux calls a wait that was too long "would block".
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!(
                "The box is busy: no answer within {} seconds. It may still be done; please look again in a minute.",
                patience.as_secs()
            )
        }
        _ => format!("{}: {error}", socket.display()),
    };
    let mut stream = UnixStream::connect(socket).map_err(wrong)?;
    stream.set_read_timeout(Some(patience)).map_err(wrong)?;
    stream.set_write_timeout(Some(patience)).map_err(wrong)?;
    let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(wrong)?;
    let mut answer = String::new();
    BufReader::new(stream.take(2 * OCTETS as u64)).read_line(&mut answer).map_err(wrong)?;
    serde_json::from_str(&answer).map_err(|error| format!("the answer is not understood: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Caller;
    use crate::serve::{System, serve};

    #[test]
    fn what_is_asked_is_answered_over_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let (path, root) = (folder.path().join("socket"), folder.path().to_path_buf());
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let served = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(&stream, &stream, Some(Caller::Server), &System::rehearsed(&root)).unwrap();
        });
        let request = Request::parse("{\"do\":\"set-host-name\",\"name\":\"box\"}").unwrap();
        let answer = ask(&path, &request, Duration::from_secs(5)).unwrap();
        assert!(matches!(answer, Answer::Done { text } if text.contains("/usr/bin/hostname box")));
        served.join().unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("data/system/hostname")).unwrap(),
            "box\n"
        );
        let silent = std::os::unix::net::UnixListener::bind(folder.path().join("silent")).unwrap();
        let late =
            ask(&folder.path().join("silent"), &request, Duration::from_millis(20)).unwrap_err();
        assert!(late.starts_with("The box is busy"), "{late}");
        drop(silent);
        assert!(ask(Path::new("/nowhere"), &request, Duration::from_secs(1)).is_err());
    }
}
