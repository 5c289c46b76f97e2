//! Text records, read as those read them who ask for them.

/// Whether a text asks for reports about TLS (RFC 8460 §3).
pub fn is_tls_reports(text: &str) -> bool {
    tags(text).is_some_and(|tags| {
        tags[0] == ("v", "TLSRPTv1") && value(&tags, "rua").is_some_and(|to| !to.is_empty())
    })
}

/// A list of tags and values (RFC 6376 §3.2), at least one; `None`: it is none, or a tag is there twice.
fn tags(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for field in text.trim_end().trim_end_matches(';').split(';') {
        let (name, value) =
            field.split_once('=').map(|(name, value)| (name.trim(), value.trim()))?;
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || tags.iter().any(|(known, _)| *known == name) {
            return None;
        }
        tags.push((name, value));
    }
    Some(tags)
}

fn value<'a>(tags: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    tags.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Whether a key record is as good as ours: the same key, for mail and SHA-256 (RFC 6376 §3.6.1).
pub fn is_same_key(found: &str, ours: &str) -> bool {
    let (Some(found), Some(ours)) = (tags(found), tags(ours)) else { return false };
    let key =
        |tags: &[(&str, &str)]| value(tags, "p").map(|p| p.split_whitespace().collect::<String>());
    let kind = |tags: &[(&str, &str)]| value(tags, "k").unwrap_or("rsa").to_string();
    let lists = |name: &str, wanted: &[&str]| {
        value(&found, name)
            .is_none_or(|list| list.split(':').any(|word| wanted.contains(&word.trim())))
    };
    let version = found.iter().position(|(name, _)| *name == "v");
    let is_version = version.is_none_or(|at| at == 0 && found[0].1 == "DKIM1");
    // A key in testing counts as no signature at all to some (§3.6.1, `t=y`).
    let is_tested =
        value(&found, "t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y"));
    is_version
        && !is_tested
        && key(&found) == key(&ours)
        && kind(&found) == kind(&ours)
        && lists("h", &["sha256"])
        && lists("s", &["*", "email"])
}

/// Whether a text is a policy to receivers (RFC 7489 §6.3, §6.6.3): the version first, then a policy that there is.
pub fn is_dmarc(text: &str) -> bool {
    let Some(tags) = tags(text) else { return false };
    let has_policy = value(&tags, "p").is_some_and(|policy| {
        ["none", "quarantine", "reject"].iter().any(|known| policy.eq_ignore_ascii_case(known))
    });
    tags[0] == ("v", "DMARC1") && has_policy
}

/// A text as those compare it who don't know its parts.
pub fn without_spaces(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .trim_end_matches(';')
        .to_string()
}
