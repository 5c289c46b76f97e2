//! Header fields of a part, as far as encoding needs them.

/// The header with another encoding named, or with a wide one taken out.
pub fn with_encoding(header: &[u8], encoding: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + 64);
    let mut is_ours = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            is_ours = line
                .get(..26)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"content-transfer-encoding:"));
        }
        if line == b"\r\n"
            && let Some(encoding) = encoding
        {
            out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
        }
        if !is_ours || line == b"\r\n" {
            out.extend_from_slice(line);
        }
    }
    out
}

/// The value of a header field, unfolded; the last one counts.
pub fn field(header: &[u8], name: &str) -> Option<String> {
    let mut value: Option<String> = None;
    let mut is_ours = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        let text = String::from_utf8_lossy(line);
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some(value) = value.as_mut().filter(|_| is_ours) {
                value.push_str(text.trim_end());
            }
            continue;
        }
        is_ours = text.split_once(':').is_some_and(|(n, _)| n.trim().eq_ignore_ascii_case(name));
        if is_ours {
            value = text.split_once(':').map(|(_, v)| v.trim_end().to_string());
        }
    }
    value
}

/// A parameter of a structured field, unquoted (RFC 2045 §5.1): its name as a whole, outside of quotes.
pub fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some(at) = rest.find([';', '"']) {
        if rest[at..].starts_with('"') {
            rest = quoted(&rest[at + 1..]).1;
            continue;
        }
        rest = &rest[at + 1..];
        let Some((_, behind)) =
            rest.split_once('=').filter(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        else {
            continue;
        };
        let behind = behind.trim_start();
        let text = match behind.strip_prefix('"') {
            Some(text) => quoted(text).0,
            None => behind
                .split([';', ' ', '\t', '\r', '\n', '('])
                .next()
                .unwrap_or_default()
                .to_string(),
        };
        return Some(text).filter(|text| !text.is_empty());
    }
    None
}

/// A quoted string behind its opening quote, and what follows it (RFC 5322 §3.2.4).
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}
