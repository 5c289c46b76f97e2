//! From the wordings that records had before version 3 to data.

use super::reply::{RemoteReply, Status, code};
use super::{
    ACCOUNT_PASSWORD, BEFORE, DRAFT, Detail, GIVEN_UP, NOT_WRITTEN, REMOVED, TOO_LATE, TRASH,
};
use crate::ledger::{Fate, Service};

impl Detail {
    /// From the wording in a row of the queue or of a provider, which has only attempts and what the owner did.
    pub(crate) fn of_attempt(text: String) -> Detail {
        let given_up = text.strip_prefix(GIVEN_UP).and_then(|rest| match rest {
            "" => Some(None),
            _ => rest
                .strip_prefix(BEFORE)
                .map(|before| Some(Box::new(Detail::of_one_attempt(before)))),
        });
        given_up.map_or_else(|| Detail::of_one_attempt(&text), Detail::GivenUp)
    }

    fn of_one_attempt(text: &str) -> Detail {
        if text.is_empty() {
            return Detail::None;
        }
        let too_late =
            text.strip_suffix(TOO_LATE).and_then(RemoteReply::of).map(Detail::ReplyTooLate);
        let found = || {
            Status::leading(text).map(|(status, text)| Detail::Found { status, text: text.into() })
        };
        too_late
            .or_else(|| RemoteReply::of(text).map(Detail::Reply))
            .or_else(found)
            .unwrap_or_else(|| Detail::text(text))
    }

    /// From the wording in a record of a fate, and the service that it stands for.
    pub(crate) fn of_record(fate: Fate, text: String) -> (Detail, Option<Service>) {
        if text.is_empty() {
            return (Detail::None, None);
        }
        match fate {
            Fate::Relayed | Fate::Queued | Fate::Bounced | Fate::Expired => {
                (Detail::of_attempt(text), None)
            }
            Fate::Refused => (Detail::of_refusal(text), None),
            Fate::Delivered if text == DRAFT => (Detail::Draft, None),
            Fate::Delivered | Fate::Quarantined => (Detail::Text(text), None),
            Fate::Deleted if text == REMOVED => (Detail::Removed, None),
            Fate::Deleted if text == TRASH => (Detail::Trash, None),
            Fate::Deleted if Service::of_ledger_word(&text).is_some() => {
                (Detail::None, Service::of_ledger_word(&text))
            }
            Fate::Deleted | Fate::Collected if text == ACCOUNT_PASSWORD => {
                (Detail::AccountPassword, Some(Service::Pop3))
            }
            Fate::Deleted | Fate::Collected => (Detail::Device(text), Some(Service::Pop3)),
        }
    }

    fn of_refusal(text: String) -> Detail {
        let not_written = text
            .strip_suffix(NOT_WRITTEN)
            .and_then(|number| number.parse().ok())
            .map(Detail::NotWritten);
        if let Some(found) = not_written.filter(|found| found.to_string() == text) {
            return found;
        }
        match code(&text) {
            Some((code, text)) => Detail::Answer { code, text: text.into() },
            None => Detail::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::codec::Cursor;

    fn reply(code: u16, status: Option<Status>, text: &str) -> RemoteReply {
        RemoteReply { host: "mx.x".into(), code, status, text: text.into() }
    }

    const UNKNOWN: Status = Status { class: 5, subject: 1, detail: 1 };

    /// What records and rows contained, and what it is now.
    fn wordings_before() -> Vec<(Fate, &'static str, Detail)> {
        vec![
            (
                Fate::Bounced,
                "mx.x said: 550 5.1.1 No such user",
                Detail::Reply(reply(550, Some(UNKNOWN), "No such user")),
            ),
            (Fate::Relayed, "mx.x said: 250 ok", Detail::Reply(reply(250, None, "ok"))),
            (
                Fate::Relayed,
                "mx.x said: 250 2.0.0 ",
                Detail::Reply(reply(250, Some(Status { class: 2, subject: 0, detail: 0 }), "")),
            ),
            (
                Fate::Relayed,
                "mx.x said: 250 ok (removed from the queue while it was being sent, too late)",
                Detail::ReplyTooLate(reply(250, None, "ok")),
            ),
            // What a server says with codes of two classes is kept as it said it.
            (
                Fate::Bounced,
                "mx.x said: 450 5.1.1 no",
                Detail::Reply(reply(450, Some(UNKNOWN), "no")),
            ),
            (
                Fate::Queued,
                "4.4.1 connecting to mx.x: refused",
                Detail::found(4, 4, 1, "connecting to mx.x: refused"),
            ),
            (Fate::Bounced, "given up by the owner of this box", Detail::GivenUp(None)),
            (
                Fate::Bounced,
                "given up by the owner of this box; before that: mx.x said: 451 later",
                Detail::GivenUp(Some(Box::new(Detail::Reply(reply(451, None, "later"))))),
            ),
            (Fate::Queued, "mx.x said: 5500 5.1.1 no", Detail::text("mx.x said: 5500 5.1.1 no")),
            (Fate::Queued, "my host said: 550 no", Detail::text("my host said: 550 no")),
            (Fate::Queued, "5.01.1 no", Detail::text("5.01.1 no")),
            (Fate::Queued, "", Detail::None),
            (
                Fate::Refused,
                "550 There is no such mailbox",
                Detail::Answer { code: 550, text: "There is no such mailbox".into() },
            ),
            (
                Fate::Refused,
                "12 more refusals within a second were not written down",
                Detail::NotWritten(12),
            ),
            (
                Fate::Refused,
                "+1 more refusals within a second were not written down",
                Detail::text(format!("+1{NOT_WRITTEN}")),
            ),
            (Fate::Collected, "Reception PC", Detail::Device("Reception PC".into())),
            (Fate::Collected, "4.4.1 is my name", Detail::Device("4.4.1 is my name".into())),
            (Fate::Collected, "account password", Detail::AccountPassword),
            (Fate::Deleted, "removed from the queue by the owner", Detail::Removed),
            (Fate::Deleted, "Trash", Detail::Trash),
            (Fate::Deleted, "Reception PC", Detail::Device("Reception PC".into())),
            (Fate::Delivered, "draft", Detail::Draft),
            (Fate::Delivered, "", Detail::None),
        ]
    }

    #[test]
    fn old_wordings_become_data() {
        for (fate, text, expected) in wordings_before() {
            let (detail, _) = Detail::of_record(fate, text.to_string());
            assert_eq!(detail, expected);
            assert_eq!(detail.to_string(), text);
        }
        for (text, service) in [("webmail", Service::Web), ("command-line", Service::CommandLine)] {
            assert_eq!(
                Detail::of_record(Fate::Deleted, text.into()),
                (Detail::None, Some(service))
            );
        }
        assert_eq!(
            Detail::of_record(Fate::Collected, "webmail".into()),
            (Detail::Device("webmail".into()), Some(Service::Pop3))
        );
    }

    fn fates() -> impl Strategy<Value = Fate> {
        proptest::sample::select(Fate::ALL.to_vec())
    }

    /// Wordings that are near the known ones.
    fn wordings() -> impl Strategy<Value = String> {
        let pieces = [
            "mx.x", " said: ", "550", " ", "-", "5.1.1", "4.4.1 ", "0", "12", "no", GIVEN_UP,
            BEFORE, TOO_LATE, REMOVED, NOT_WRITTEN, DRAFT, TRASH, ACCOUNT_PASSWORD, "webmail", "ü",
        ];
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..8)
                .prop_map(|pieces| pieces.concat())
        ]
    }

    proptest! {
        #[test]
        fn no_wording_is_lost(fate in fates(), text in wordings()) {
            let (detail, service) = Detail::of_record(fate, text.clone());
            match service.filter(|_| detail.is_none()) {
                Some(service) => prop_assert_eq!(service.ledger_word(), text),
                None => prop_assert_eq!(detail.to_string(), text),
            }
            let mut octets = Vec::new();
            detail.write(&mut octets);
            prop_assert_eq!(Detail::read(&mut Cursor(&octets)), Some(detail));
        }
    }
}
