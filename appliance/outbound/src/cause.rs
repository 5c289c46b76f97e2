//! Why mail could not be delivered, in plain words: what happened, whose fault it likely is, what to do.

use std::borrow::Cow;

use pillarbox_texts::Language;

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    NoSuchAddress,
    NoSuchDomain,
    TakesNoMail,
    MailboxFull,
    TooLarge,
    Blocked,
    NotAuthenticated,
    TooMany,
    Unreachable,
    Tls,
    NotAscii,
    Loop,
    Provider,
    GivenUp,
    Busy,
    Other,
}

/// Three sentences for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub what: Cow<'static, str>,
    pub whose: Cow<'static, str>,
    pub advice: Cow<'static, str>,
}

/// The server and its words in a detail as the ledger keeps it: `mx.example.net said: 550 5.1.1 No such user`.
pub fn said(detail: &str) -> (Option<&str>, &str) {
    match detail.split_once(" said: ") {
        Some((host, reply)) if !host.contains(' ') => (Some(host), reply),
        _ => (None, detail),
    }
}

/// The enhanced status code in a detail (RFC 3463), or the one that its reply code stands for.
pub fn status(detail: &str, is_permanent: bool) -> String {
    let (_, reply) = said(detail);
    let is_status = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && matches!(parts[0], "2" | "4" | "5")
            && parts[1..].iter().all(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let found = reply.split(' ').take(2).find(is_status);
    let class = if is_permanent { '5' } else { '4' };
    match found {
        // A message that was given up failed, whatever class its last delay had.
        Some(status) if is_permanent => format!("5{}", &status[1..]),
        Some(status) => status.to_string(),
        None => format!("{class}.0.0"),
    }
}

/// Recognises the cause by status code, then by words that many servers use.
pub fn cause(detail: &str) -> Cause {
    let (host, reply) = said(detail);
    let status = status(detail, false);
    let words = reply.to_lowercase();
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if words.starts_with("given up by") {
        return Cause::GivenUp;
    }
    match status.get(2..).unwrap_or_default() {
        "1.1" | "1.6" | "1.3" | "2.1" if host.is_some() => return Cause::NoSuchAddress,
        "1.2" => return Cause::NoSuchDomain,
        "1.10" => return Cause::TakesNoMail,
        "2.2" => return Cause::MailboxFull,
        "2.3" | "3.4" => return Cause::TooLarge,
        "4.6" => return Cause::Loop,
        "6.7" | "6.8" => return Cause::NotAscii,
        "7.8" | "7.9" => return Cause::Provider,
        "7.10" | "7.30" => return Cause::Tls,
        "7.20" | "7.21" | "7.22" | "7.23" | "7.24" | "7.25" | "7.26" | "7.27" => return Cause::NotAuthenticated,
        "4.1" | "4.2" | "4.4" | "4.3" if host.is_none() => return Cause::Unreachable,
        _ => {}
    }
    if has(&["spf", "dkim", "dmarc", "unauthenticated", "reverse dns", "ptr record"]) {
        Cause::NotAuthenticated
    } else if has(&["quota", "mailbox full", "mailbox is full", "over quota", "insufficient storage"]) {
        Cause::MailboxFull
    } else if has(&["spam", "block", "blacklist", "reputation", "listed", "banned", "policy", "rejected by"]) {
        Cause::Blocked
    } else if has(&["user unknown", "no such user", "unknown user", "unknown recipient", "does not exist", "mailbox unavailable"]) {
        Cause::NoSuchAddress
    } else if has(&["too large", "too big", "exceeds", "size limit"]) {
        Cause::TooLarge
    } else if has(&["rate", "too many"]) {
        Cause::TooMany
    } else if reply.starts_with('4') {
        Cause::Busy
    } else {
        Cause::Other
    }
}

impl Cause {
    /// What happened, whose fault it likely is, and what to do.
    pub fn explain(self, language: Language) -> Explanation {
        let key = self.key();
        Explanation { what: language.get(key), whose: language.get(&format!("{key}.whose")), advice: language.get(&format!("{key}.advice")) }
    }

    /// Its name in the catalogues.
    fn key(self) -> &'static str {
        match self {
            Cause::NoSuchAddress => "cause-no-such-address",
            Cause::NoSuchDomain => "cause-no-such-domain",
            Cause::TakesNoMail => "cause-takes-no-mail",
            Cause::MailboxFull => "cause-mailbox-full",
            Cause::TooLarge => "cause-too-large",
            Cause::Blocked => "cause-blocked",
            Cause::NotAuthenticated => "cause-not-authenticated",
            Cause::TooMany => "cause-too-many",
            Cause::Unreachable => "cause-unreachable",
            Cause::Tls => "cause-tls",
            Cause::NotAscii => "cause-not-ascii",
            Cause::Loop => "cause-loop",
            Cause::Provider => "cause-provider",
            Cause::GivenUp => "cause-given-up",
            Cause::Busy => "cause-busy",
            Cause::Other => "cause-other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_recognised() {
        for (detail, expected, code) in [
            ("mx.x said: 550 5.1.1 <a@x>: Recipient address rejected", Cause::NoSuchAddress, "5.1.1"),
            ("mx.x said: 550 No such user here", Cause::NoSuchAddress, "5.0.0"),
            ("5.1.2 The domain exmaple.org does not exist", Cause::NoSuchDomain, "5.1.2"),
            ("5.1.10 The domain takes no mail", Cause::TakesNoMail, "5.1.10"),
            ("mx.x said: 452 4.2.2 over quota", Cause::MailboxFull, "5.2.2"),
            ("mx.x said: 552 5.3.4 too big", Cause::TooLarge, "5.3.4"),
            ("mx.x said: 554 5.7.1 Service unavailable; Client host blocked using zen", Cause::Blocked, "5.7.1"),
            ("mx.x said: 550-5.7.26 unauthenticated", Cause::NotAuthenticated, "5.0.0"),
            ("mx.x said: 550 5.7.26 This mail is unauthenticated", Cause::NotAuthenticated, "5.7.26"),
            ("mx.x said: 451 4.7.1 Greylisting in action, please come back later", Cause::Busy, "5.7.1"),
            ("4.4.1 connecting to mx.x [192.0.2.1]: connection refused", Cause::Unreachable, "5.4.1"),
            ("5.7.10 its certificate is for another name", Cause::Tls, "5.7.10"),
            ("given up by the owner of this box", Cause::GivenUp, "5.0.0"),
            ("mx.x said: 554 5.0.0 no", Cause::Other, "5.0.0"),
        ] {
            assert_eq!(cause(detail), expected, "{detail}");
            assert_eq!(status(detail, true), code, "{detail}");
        }
        assert_eq!(status("mx.x said: 451 4.7.1 later", false), "4.7.1");
        assert_eq!(said("mx.x said: 250 ok"), (Some("mx.x"), "250 ok"));
    }

    #[test]
    fn every_cause_is_explained_in_every_language() {
        use Cause::*;
        let all = [
            NoSuchAddress, NoSuchDomain, TakesNoMail, MailboxFull, TooLarge, Blocked, NotAuthenticated, TooMany, Unreachable, Tls, NotAscii, Loop, Provider,
            GivenUp, Busy, Other,
        ];
        for (cause, language) in all.into_iter().flat_map(|cause| Language::all().map(move |language| (cause, language))) {
            let Explanation { what, whose, advice } = cause.explain(language);
            for text in [what, whose, advice] {
                assert!(!text.starts_with("cause-") && text.ends_with('.'), "{cause:?}: {text}");
            }
        }
    }
}
