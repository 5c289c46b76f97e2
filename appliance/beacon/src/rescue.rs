//! The rescue page: a tiny part of HTTP/1.1 without I/O. A request comes in as octets; what is to be done, or an
//! answer, goes out.

use pillarbox_host::StatusFile;
use pillarbox_texts::Language;

use crate::watch::State;

/// Octets of a request's head and of its body.
pub const HEAD: usize = 8 * 1024;
pub const BODY: usize = 4 * 1024;

/// A request that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub is_post: bool,
    pub path: String,
    pub host: String,
    /// The visitor's.
    pub language: Language,
    pub form: Vec<(String, String)>,
}

/// Why a request is refused: its status line.
pub type Refused = &'static str;

/// Reads a request; `None` while it is not whole.
pub fn parse(octets: &[u8]) -> Result<Option<Asked>, Refused> {
    let Some(end) = octets.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if octets.len() > HEAD {
            Err("431 Request Header Fields Too Large")
        } else {
            Ok(None)
        };
    };
    let head = std::str::from_utf8(&octets[..end]).map_err(|_| "400 Bad Request")?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return Err("400 Bad Request");
    };
    let is_post = match method {
        "GET" | "HEAD" => false,
        "POST" => true,
        _ => return Err("405 Method Not Allowed"),
    };
    let field = |wanted: &str| {
        let mut found = head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.trim().to_string()).unwrap_or_default()
    };
    let length = match field("content-length") {
        none if none.is_empty() => 0,
        text => text.parse::<usize>().map_err(|_| "400 Bad Request")?,
    };
    if length > BODY || !field("transfer-encoding").is_empty() {
        return Err("413 Content Too Large");
    }
    let body = &octets[end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    Ok(Some(Asked {
        is_post,
        path: target.split('?').next().unwrap_or_default().to_string(),
        host: field("host"),
        language: Language::accepted(&field("accept-language")),
        form: form(&String::from_utf8_lossy(&body[..length])),
    }))
}

/// `a=b&c=d`, decoded.
fn form(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let (mut out, mut octets) = (Vec::new(), text.bytes());
        while let Some(octet) = octets.next() {
            out.push(match octet {
                b'+' => b' ',
                b'%' => {
                    let mut digit = || {
                        octets.next().and_then(|b| char::from(b).to_digit(16)).unwrap_or(0) as u8
                    };
                    digit() << 4 | digit()
                }
                octet => octet,
            });
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

impl Asked {
    pub fn field(&self, name: &str) -> &str {
        self.form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether the browser was sent here by a name of ours: a foreign page may point its own at this box (DNS
    /// rebinding).
    /// `hostname` is the one that mail knows, `machine` the machine's own, `held` the one in the office, both without
    /// ".local".
    pub fn is_for_us(&self, hostname: &str, machine: &str, held: Option<&str>) -> bool {
        let name = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let label = name.strip_suffix(".local").unwrap_or(&name);
        name.parse::<std::net::IpAddr>().is_ok()
            || ["localhost", "pillarbox", machine]
                .into_iter()
                .chain(held)
                .any(|ours| !ours.is_empty() && label.eq_ignore_ascii_case(ours))
            || name.eq_ignore_ascii_case(hostname)
    }
}

/// An answer.
pub fn answer(status: &str, kind: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n{more}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page: what is wrong, and what can be done.
/// Without a secret to ask for nothing can be asked for here: then the ways that need the box in one's hands are told.
pub fn page(
    language: Language,
    state: State,
    status_file: &StatusFile,
    said: &str,
    log: &str,
) -> String {
    let t = |key: &'static str| escaped(language.plain(key));
    let secret = match (&status_file.claim_code, &status_file.owner) {
        (Some(_), _) => Some(t("rescue-code")),
        (None, Some(_)) => Some(t("rescue-password")),
        (None, None) => None,
    };
    let title = if state == State::NoData { t("rescue-title-no-data") } else { t("rescue-title") };
    let help = match (state, &secret) {
        (State::NoData, _) => t("rescue-help-no-data"),
        (_, Some(_)) => t("rescue-help"),
        (_, None) => t("rescue-help-never"),
    };
    let reset = match secret {
        Some(_) if state != State::NoData => String::new(),
        _ => format!("<p>{}</p>", t("rescue-reset")),
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("<p class=said role=status>{}</p>", escaped(said))
    };
    let log = if log.is_empty() {
        String::new()
    } else {
        format!("<h2>{}</h2><pre>{}</pre>", t("rescue-log"), escaped(log))
    };
    let form = match secret {
        Some(secret) => format!(
            "<form method=post action=/rescue><label>{secret}<input type=password name=secret autocomplete=current-password required></label>\
             <button class=first name=do value=restart>{}</button><button name=do value=log>{}</button><button name=do value=download>{}</button>\
             <button name=do value=other>{}</button></form>",
            t("rescue-restart"),
            t("rescue-show-log"),
            t("rescue-save-log"),
            t("rescue-other"),
        ),
        None => String::new(),
    };
    format!(
        "<!doctype html><html lang={}><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><meta name=color-scheme content=\"light dark\"><title>Pillarbox</title>\
         <style>body{{font:17px/1.5 system-ui,sans-serif;max-width:38rem;margin:2.5rem auto;padding:0 1.1rem}}h1{{line-height:1.2}}\
         input,button{{font:inherit;padding:.6rem .9rem;border-radius:.5rem;border:1px solid #777;margin:.35rem .35rem .35rem 0}}input{{display:block;width:100%;box-sizing:border-box}}\
         .first{{background:#1d5c4b;color:#fff;border-color:#1d5c4b}}.said{{padding:.8rem 1rem;border:1px solid #1d5c4b;border-radius:.5rem}}pre{{overflow:auto;font-size:.8rem}}</style>\
         <h1>{title}</h1><p>{}</p><p>{help}</p>{reset}{said}{form}{log}</html>",
        language.tag(),
        t("rescue-kept"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_read_whole_or_refused() {
        let post = b"POST /rescue HTTP/1.1\r\nHost: 192.168.1.7:80\r\nAccept-Language: de-DE\r\nContent-Length: 25\r\n\r\nsecret=a%26b+c&do=restart";
        for cut in 0..post.len() {
            assert_eq!(parse(&post[..cut]), Ok(None), "{cut}");
        }
        let asked = parse(post).unwrap().unwrap();
        assert_eq!(
            (asked.field("secret"), asked.field("do"), asked.language.tag(), asked.is_post),
            ("a&b c", "restart", "de", true)
        );
        assert!(asked.is_for_us("x", "y", None));
        for (head, refused) in [
            ("DELETE / HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("GET /\r\n\r\n", "400 Bad Request"),
            ("POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", "413 Content Too Large"),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "413 Content Too Large"),
            ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400 Bad Request"),
        ] {
            assert_eq!(parse(head.as_bytes()), Err(refused), "{head}");
        }
        assert!(parse(&[b'x'; HEAD + 1]).is_err());
        let host = |host: &str| {
            Asked {
                is_post: false,
                path: "/".into(),
                host: host.into(),
                language: Language::ENGLISH,
                form: vec![],
            }
            .is_for_us("mail.office.example", "post", Some("post-2"))
        };
        assert!(
            host("post.local")
                && host("post:80")
                && host("post-2.local")
                && !host("post-3.local")
                && !host("post.evil.example")
                && host("pillarbox.local")
                && host("[fe80::1]:80")
                && host("Mail.Office.Example")
                && !host("evil.example")
                && !host("")
        );
    }

    proptest! {
        /// Whatever comes in, whole or in pieces: an answer, no panic, and nothing is read twice in two ways.
        #[test]
        fn any_octets_are_a_request_or_refused(octets in prop::collection::vec(any::<u8>(), 0..300), head in "(GET|POST) /[a-z%&=]{0,9} HTTP/1.1\r\n([A-Za-z-]{1,16}: [ -~]{0,20}\r\n){0,4}(Content-Length: [0-9]{1,3}\r\n)?\r\n") {
            let whole = [head.as_bytes(), &octets].concat();
            let _ = parse(&octets);
            if let Ok(Some(asked)) = parse(&whole) {
                prop_assert!(asked.field("secret").len() <= 3 * BODY);
                let _ = asked.is_for_us("mail.office.example", "post", Some("post-2"));
                // More of the same changes nothing about a request that was whole.
                prop_assert_eq!(parse(&[&whole[..], b"x"].concat()), Ok(Some(asked)));
            }
        }
    }

    #[test]
    fn pages_escape_and_speak_both_languages() {
        let german = Language::accepted("de");
        let status_file =
            StatusFile { claim_code: Some("1K3Q9XM".into()), ..StatusFile::default() };
        let shown = page(Language::ENGLISH, State::Fault, &status_file, "<b>", "</pre><script>");
        assert!(
            shown.contains("Claim code")
                && !shown.contains("<script>")
                && !shown.contains("<b>")
                && !shown.contains("1K3Q9XM")
        );
        let owned = StatusFile { owner: Some("$argon2id$".into()), ..StatusFile::default() };
        assert!(page(german, State::Fault, &owned, "", "").contains("Passwort des Besitzers"));
        // No password is known, so none is asked for.
        for state in [State::Fault, State::NoData] {
            let shown = page(Language::ENGLISH, state, &StatusFile::default(), "", "");
            assert!(shown.contains("pillarbox-reset") && !shown.contains("<form"), "{shown}");
        }
        assert!(page(german, State::NoData, &owned, "", "").contains("nicht lesbar"));
    }
}
