//! Why mail could not be delivered, in plain words: what happened, whose fault it likely is, what to do.

use std::borrow::Cow;

use pillarbox_store::{Detail, Status};
use pillarbox_texts::Language;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
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

/// The enhanced status code of a detail (RFC 3463), or the general one of its class.
pub fn status(detail: &Detail, is_permanent: bool) -> Status {
    let class = if is_permanent { 5 } else { 4 };
    match detail.status() {
        // A message that was given up failed, whatever class its last delay had.
        Some(status) if is_permanent => Status { class, ..status },
        Some(status) => status,
        None => Status { class, subject: 0, detail: 0 },
    }
}

/// Recognises the class by status code, then by words that many servers use.
pub fn failure_class(detail: &Detail) -> FailureClass {
    if matches!(detail, Detail::GivenUp(_)) {
        return FailureClass::GivenUp;
    }
    let is_remote = detail.host().is_some();
    match detail.status().map_or((0, 0), |status| (status.subject, status.detail)) {
        (1, 1 | 3 | 6) | (2, 1) if is_remote => return FailureClass::NoSuchAddress,
        (1, 2) => return FailureClass::NoSuchDomain,
        (1, 10) => return FailureClass::TakesNoMail,
        (2, 2) => return FailureClass::MailboxFull,
        (2, 3) | (3, 4) => return FailureClass::TooLarge,
        (4, 6) => return FailureClass::Loop,
        (6, 7 | 8) => return FailureClass::NotAscii,
        (7, 8 | 9) => return FailureClass::Provider,
        (7, 10 | 30) => return FailureClass::Tls,
        (7, 20..=27) => return FailureClass::NotAuthenticated,
        (4, 1..=4) if !is_remote => return FailureClass::Unreachable,
        _ => {}
    }
    by_words(&detail.words().to_lowercase()).unwrap_or(if is_temporary(detail) {
        FailureClass::Busy
    } else {
        FailureClass::Other
    })
}

fn is_temporary(detail: &Detail) -> bool {
    match detail {
        Detail::Reply(reply) | Detail::ReplyTooLate(reply) => reply.code / 100 == 4,
        Detail::Answer { code, .. } => code / 100 == 4,
        Detail::Found { status, .. } => status.class == 4,
        other => other.words().starts_with('4'),
    }
}

fn by_words(words: &str) -> Option<FailureClass> {
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if has(&["spf", "dkim", "dmarc", "unauthenticated", "reverse dns", "ptr record"]) {
        Some(FailureClass::NotAuthenticated)
    } else if has(&[
        "quota", "mailbox full", "mailbox is full", "over quota", "insufficient storage",
    ]) {
        Some(FailureClass::MailboxFull)
    } else if has(&[
        "spam", "block", "blacklist", "reputation", "listed", "banned", "policy", "rejected by",
    ]) {
        Some(FailureClass::Blocked)
    } else if has(&[
        "user unknown", "no such user", "unknown user", "unknown recipient", "does not exist",
        "mailbox unavailable",
    ]) {
        Some(FailureClass::NoSuchAddress)
    } else if has(&["too large", "too big", "exceeds", "size limit"]) {
        Some(FailureClass::TooLarge)
    } else if has(&["rate", "too many"]) {
        Some(FailureClass::TooMany)
    } else {
        None
    }
}

impl FailureClass {
    /// What happened, whose fault it likely is, and what to do.
    pub fn explain(self, language: Language) -> Explanation {
        let key = self.key();
        Explanation {
            what: language.get(key),
            whose: language.get(&format!("{key}.whose")),
            advice: language.get(&format!("{key}.advice")),
        }
    }

    /// Its name in the catalogues.
    fn key(self) -> &'static str {
        match self {
            FailureClass::NoSuchAddress => "cause-no-such-address",
            FailureClass::NoSuchDomain => "cause-no-such-domain",
            FailureClass::TakesNoMail => "cause-takes-no-mail",
            FailureClass::MailboxFull => "cause-mailbox-full",
            FailureClass::TooLarge => "cause-too-large",
            FailureClass::Blocked => "cause-blocked",
            FailureClass::NotAuthenticated => "cause-not-authenticated",
            FailureClass::TooMany => "cause-too-many",
            FailureClass::Unreachable => "cause-unreachable",
            FailureClass::Tls => "cause-tls",
            FailureClass::NotAscii => "cause-not-ascii",
            FailureClass::Loop => "cause-loop",
            FailureClass::Provider => "cause-provider",
            FailureClass::GivenUp => "cause-given-up",
            FailureClass::Busy => "cause-busy",
            FailureClass::Other => "cause-other",
        }
    }
}

#[cfg(test)]
mod tests {
    use pillarbox_store::RemoteReply;

    use super::*;

    fn said(code: u16, status: &str, text: &str) -> Detail {
        let status = Status::leading(&format!("{status} ")).map(|(status, _)| status);
        Detail::Reply(RemoteReply { host: "mx.x".into(), code, status, text: text.into() })
    }

    #[test]
    fn failure_classes_are_recognised() {
        for (detail, expected, code) in [
            (
                said(550, "5.1.1", "<a@x>: Recipient address rejected"),
                FailureClass::NoSuchAddress,
                "5.1.1",
            ),
            (said(550, "", "No such user here"), FailureClass::NoSuchAddress, "5.0.0"),
            (
                Detail::found(5, 1, 2, "The domain exmaple.org does not exist"),
                FailureClass::NoSuchDomain,
                "5.1.2",
            ),
            (
                Detail::found(5, 1, 10, "The domain takes no mail"),
                FailureClass::TakesNoMail,
                "5.1.10",
            ),
            (said(452, "4.2.2", "over quota"), FailureClass::MailboxFull, "5.2.2"),
            (said(552, "5.3.4", "too big"), FailureClass::TooLarge, "5.3.4"),
            (
                said(554, "5.7.1", "Service unavailable; Client host blocked using zen"),
                FailureClass::Blocked,
                "5.7.1",
            ),
            (
                Detail::text("mx.x said: 550-5.7.26 unauthenticated"),
                FailureClass::NotAuthenticated,
                "5.0.0",
            ),
            (
                said(550, "5.7.26", "This mail is unauthenticated"),
                FailureClass::NotAuthenticated,
                "5.7.26",
            ),
            (
                said(451, "4.7.1", "Greylisting in action, please come back later"),
                FailureClass::Busy,
                "5.7.1",
            ),
            (
                Detail::found(4, 4, 1, "connecting to mx.x [192.0.2.1]: connection refused"),
                FailureClass::Unreachable,
                "5.4.1",
            ),
            (
                Detail::found(5, 7, 10, "its certificate is for another name"),
                FailureClass::Tls,
                "5.7.10",
            ),
            (Detail::GivenUp(None), FailureClass::GivenUp, "5.0.0"),
            (
                Detail::GivenUp(Some(Box::new(said(550, "5.1.1", "unknown")))),
                FailureClass::GivenUp,
                "5.0.0",
            ),
            (said(554, "5.0.0", "no"), FailureClass::Other, "5.0.0"),
        ] {
            assert_eq!(failure_class(&detail), expected, "{detail}");
            assert_eq!(status(&detail, true).to_string(), code, "{detail}");
        }
        assert_eq!(status(&said(451, "4.7.1", "later"), false).to_string(), "4.7.1");
        let ok = said(250, "", "ok");
        assert_eq!((ok.host(), ok.words().as_str()), (Some("mx.x"), "250 ok"));
    }

    #[test]
    fn every_failure_class_is_explained_in_every_language() {
        use FailureClass::*;
        let all = [
            NoSuchAddress, NoSuchDomain, TakesNoMail, MailboxFull, TooLarge, Blocked,
            NotAuthenticated, TooMany, Unreachable, Tls, NotAscii, Loop, Provider, GivenUp, Busy,
            Other,
        ];
        for (failure_class, language) in all.into_iter().flat_map(|failure_class| {
            Language::all().map(move |language| (failure_class, language))
        }) {
            let Explanation { what, whose, advice } = failure_class.explain(language);
            for text in [what, whose, advice] {
                assert!(
                    !text.starts_with("cause-") && text.ends_with('.'),
                    "{failure_class:?}: {text}"
                );
            }
        }
    }
}
