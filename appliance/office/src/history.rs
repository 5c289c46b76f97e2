//! Who came lately: connections and login attempts in bounded memory, for the person who sets a mail program up, and
//! what of it is worth keeping as an account's history of sign-ins.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use pillarbox_store::{AccountId, Service, SignIn};
use pillarbox_vocabulary::Timestamp;

/// Events remembered of everybody together.
const EVENTS: usize = 400;
/// Time before the same device from the same place is written down again: a program that polls must not wear a card
/// out.
const AGAIN: Duration = Duration::from_secs(86_400);
/// Places remembered for that.
const PLACES: usize = 2000;

/// What a program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Connected,
    /// It asked for TLS and broke the handshake off: the wrong port, the wrong kind of TLS, or it does not trust the
    /// certificate.
    TlsFailed,
    /// It knows only versions of TLS that are no longer safe.
    OldTls,
    /// It gave a user name that is no address.
    ShortName,
    WrongPassword,
    /// The account's own password, where only device passwords may.
    NeedsDevice,
    MustWait,
    SignedIn,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts up; a page asks for what came after the last one it has.
    pub number: u64,
    pub at: Timestamp,
    pub peer: IpAddr,
    /// As in `[listen]`.
    pub service: &'static str,
    pub what: What,
    /// The user name as given, shortened; empty before a login.
    pub user: String,
    /// The device's name after a login.
    pub device: String,
}

/// The memory.
#[derive(Default)]
pub struct History {
    next: u64,
    events: VecDeque<Event>,
    written: HashMap<(AccountId, String, IpAddr), Timestamp>,
}

/// Characters of a user name that are kept.
const USER: usize = 120;

impl History {
    /// Notes something that happened.
    pub fn note(
        &mut self,
        at: Timestamp,
        peer: IpAddr,
        service: &'static str,
        what: What,
        user: &str,
        device: &str,
    ) {
        self.next += 1;
        let user = user.chars().filter(|c| !c.is_control()).take(USER).collect();
        self.events.push_back(Event {
            number: self.next,
            at,
            peer,
            service,
            what,
            user,
            device: device.to_string(),
        });
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }

    /// Events after a number that concern a person: with their address or the short form of it as user name, or from
    /// the machine they sit at.
    /// Oldest first.
    pub fn of(&self, address: &str, peer: IpAddr, after: u64) -> Vec<Event> {
        let local = address.split('@').next().unwrap_or_default();
        let concerns = |event: &&Event| {
            let is_named =
                event.user.eq_ignore_ascii_case(address) || event.user.eq_ignore_ascii_case(local);
            // What somebody else at the same machine signed in as is theirs.
            is_named
                || event.peer == peer && event.user.is_empty()
                || event.peer == peer && event.what == What::ShortName
        };
        self.events.iter().filter(|e| e.number > after).filter(concerns).cloned().collect()
    }

    /// Whether a sign-in is to be written to the store: new places at once, known ones once a day, what failed always
    /// (those who try are slowed down by the throttle).
    pub fn is_worth_keeping(
        &mut self,
        account: AccountId,
        sign_in: &SignIn,
        at: Timestamp,
    ) -> bool {
        if !sign_in.is_accepted || sign_in.service == Service::Web {
            return true;
        }
        if self.written.len() >= PLACES {
            self.written.retain(|_, then| then.plus(AGAIN) > at);
        }
        let key = (account, sign_in.device.clone(), sign_in.peer);
        let is_new = self.written.get(&key).is_none_or(|then| then.plus(AGAIN) <= at);
        if is_new && self.written.len() < PLACES {
            self.written.insert(key, at);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, last])
    }

    #[test]
    fn a_person_sees_their_own_programs_and_machine_only() {
        let mut history = History::default();
        history.note(Timestamp(1), ip(5), "pop3s", What::Connected, "", "");
        history.note(Timestamp(2), ip(5), "pop3s", What::ShortName, "ann", "");
        history.note(Timestamp(3), ip(9), "pop3s", What::WrongPassword, "Ann@example.org", "");
        history.note(Timestamp(4), ip(5), "pop3s", What::SignedIn, "bob@example.org", "PC");
        history.note(Timestamp(5), ip(9), "pop3s", What::Connected, "", "");
        let seen = |after| {
            history.of("ann@example.org", ip(5), after).iter().map(|e| e.at.0).collect::<Vec<_>>()
        };
        assert_eq!(seen(0), [1, 2, 3]);
        assert_eq!(seen(2), [3]);
        let mut full = History::default();
        (0..1000).for_each(|at| full.note(Timestamp(at), ip(1), "smtp", What::Connected, "", ""));
        assert_eq!((full.events.len(), full.next), (EVENTS, 1000));
    }

    #[test]
    fn a_program_that_polls_is_written_down_once_a_day() {
        let mut history = History::default();
        let sign_in =
            |peer| SignIn { peer, service: Service::Pop3, device: "PC".into(), is_accepted: true };
        let again = AGAIN.as_secs();
        let mut keep =
            |peer, at| history.is_worth_keeping(AccountId(1), &sign_in(peer), Timestamp(at));
        assert_eq!(
            [keep(ip(1), 0), keep(ip(1), 60), keep(ip(2), 60), keep(ip(1), again)],
            [true, false, true, true]
        );
        let failed = SignIn { is_accepted: false, ..sign_in(ip(1)) };
        assert!(history.is_worth_keeping(AccountId(1), &failed, Timestamp(again + 1)));
    }
}
