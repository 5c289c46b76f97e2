//! What becomes of a recipient after an attempt: decided here, purely, from what is known.

use std::time::Duration;

use pillarbox_platform::config::{self, seconds};
use pillarbox_store::{Detail, Fate, Hold, QueueState, Verdict, Waiting};
use pillarbox_vocabulary::Timestamp;

/// A message is not given up before it was really tried this often, however old the clock makes it.
const FEWEST_ATTEMPTS: u32 = 3;

/// Octets of a reason that are kept, in the queue, in the ledger and in notices: another server's words are its own
/// choice, and a message to many recipients keeps them many times.
pub const DETAIL_OCTETS: usize = 1024;

/// How an attempt ended for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other server took responsibility, with this reply; `true` when it also took over the wish for notices.
    Relayed { reply: Detail, dsns_passed_on: bool },
    /// It will not, ever.
    Refused { reply: Detail },
    /// Not now.
    Deferred { reason: Detail },
    /// The provider refused our password: nothing goes this way before the owner has acted.
    LoginRefused { reason: Detail },
    /// The owner gave it up.
    GivenUp,
    /// The owner took it out, held it or gave it up while the server was being reached: nothing was tried.
    Withdrawn,
}

impl Outcome {
    /// With no more words than are kept.
    fn clipped(mut self) -> Outcome {
        match &mut self {
            Outcome::Relayed { reply: detail, .. }
            | Outcome::Refused { reply: detail }
            | Outcome::Deferred { reason: detail }
            | Outcome::LoginRefused { reason: detail } => {
                *detail = detail.clipped(DETAIL_OCTETS).into_owned()
            }
            Outcome::GivenUp | Outcome::Withdrawn => {}
        }
        self
    }
}

/// A notice to the sender (RFC 3461 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dsn {
    /// It is in a mailbox of this box.
    Delivered,
    /// Another server has it, which sends no notices.
    Relayed,
    Delayed,
    Failed,
}

/// What follows.
#[derive(Clone, Debug)]
pub struct Step {
    pub verdict: Verdict,
    pub fate: Fate,
    /// For the ledger: the reply as it came, or why.
    pub detail: Detail,
    pub dsn: Option<Dsn>,
}

/// What the clock says, and whether to believe it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub at: Timestamp,
    /// A board without a clock of its own starts anywhere; until its time is set nothing grows old.
    pub is_trusted: bool,
}

/// Decides.
/// `spread` is any number; it spreads retries so that not all come at once.
pub fn decide(
    waiting: &Waiting,
    outcome: Outcome,
    now: Now,
    plan: &config::Outbound,
    spread: u64,
) -> Step {
    use pillarbox_store::Notices;
    match outcome.clipped() {
        Outcome::Relayed { reply, dsns_passed_on } => Step {
            verdict: Verdict::Gone,
            fate: Fate::Relayed,
            detail: reply,
            dsn: (waiting.notices.contains(Notices::SUCCESS) && !dsns_passed_on)
                .then_some(Dsn::Relayed),
        },
        Outcome::Refused { reply } => failed(waiting, Fate::Bounced, reply),
        Outcome::GivenUp => failed(waiting, Fate::Bounced, given_up(waiting)),
        Outcome::LoginRefused { reason } => Step {
            verdict: Verdict::Keep(Waiting {
                state: QueueState::Held(Hold::Login),
                attempts: waiting.attempts + 1,
                last_at: now.at,
                last: reason.clone(),
                ..waiting.clone()
            }),
            fate: Fate::Queued,
            detail: reason,
            dsn: None,
        },
        Outcome::Deferred { reason } => deferred(waiting, reason, now, plan, spread),
        Outcome::Withdrawn => Step {
            verdict: Verdict::Keep(waiting.clone()),
            fate: Fate::Queued,
            detail: Detail::None,
            dsn: None,
        },
    }
}

fn given_up(waiting: &Waiting) -> Detail {
    Detail::GivenUp((!waiting.last.is_none()).then(|| Box::new(waiting.last.clone())))
}

fn failed(waiting: &Waiting, fate: Fate, detail: Detail) -> Step {
    let dsn = waiting.notices.wants_failure().then_some(Dsn::Failed);
    Step { verdict: Verdict::Gone, fate, detail, dsn }
}

fn deferred(
    waiting: &Waiting,
    reason: Detail,
    now: Now,
    plan: &config::Outbound,
    spread: u64,
) -> Step {
    let attempts = waiting.attempts.saturating_add(1);
    let since = match (waiting.since, now.is_trusted) {
        (Timestamp(0), true) => now.at,
        // A time from the future is of a clock that was wrong.
        (since, true) => since.min(now.at),
        (since, false) => since,
    };
    let age = if now.is_trusted { now.at.since(since) } else { Duration::ZERO };
    if age >= seconds(plan.lifetime) && attempts >= FEWEST_ATTEMPTS {
        return failed(waiting, Fate::Expired, reason);
    }
    let tell = age >= seconds(plan.warn_after) && !waiting.is_delay_told;
    let verdict = Verdict::Keep(Waiting {
        state: QueueState::Scheduled,
        due: now.at.plus(seconds(pause(&plan.retry, attempts, spread))),
        since,
        attempts,
        is_delay_told: waiting.is_delay_told || tell,
        last_at: now.at,
        last: reason.clone(),
        ..waiting.clone()
    });
    let dsn = (tell && waiting.notices.wants_delay()).then_some(Dsn::Delayed);
    Step { verdict, fate: Fate::Queued, detail: reason, dsn }
}

/// Seconds until the next attempt: from the schedule, and up to a tenth more.
fn pause(retry: &[u64], attempts: u32, spread: u64) -> u64 {
    let step = (attempts.max(1) as usize - 1).min(retry.len().saturating_sub(1));
    let base = retry.get(step).copied().unwrap_or(3600);
    base + spread % (base / 10 + 1)
}

/// The longest that any recipient waits for its next attempt; what is due later was set by a clock that was wrong.
pub fn longest_pause(retry: &[u64]) -> u64 {
    let longest = retry.iter().copied().max().unwrap_or(3600);
    longest + longest / 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_store::{Notices, RemoteReply};

    const TRUSTED: Now = Now { at: Timestamp(1_000_000_000), is_trusted: true };

    fn waiting() -> Waiting {
        Waiting {
            address: "bob@example.net".into(),
            domain: "example.net".into(),
            notices: Notices::default(),
            orcpt: String::new(),
            state: QueueState::Scheduled,
            due: TRUSTED.at,
            since: TRUSTED.at,
            attempts: 0,
            is_delay_told: false,
            last_at: Timestamp(0),
            last: Detail::None,
            transcript: None,
        }
    }

    fn defer(waiting: &Waiting, now: Now) -> Step {
        decide(
            waiting,
            Outcome::Deferred { reason: Detail::text("451 later") },
            now,
            &config::Outbound::default(),
            0,
        )
    }

    fn kept(step: Step) -> Waiting {
        match step.verdict {
            Verdict::Keep(waiting) => waiting,
            Verdict::Gone => panic!("gone: {step:?}"),
        }
    }

    #[test]
    fn pauses_grow_and_the_whole_takes_the_life_time() {
        let (mut now, mut current, mut pauses, mut notices) =
            (TRUSTED, waiting(), Vec::new(), Vec::new());
        let last = loop {
            let step = defer(&current, now);
            notices.extend(step.dsn);
            if matches!(step.verdict, Verdict::Gone) {
                break step;
            }
            current = kept(step);
            pauses.push(current.due.since(now.at).as_secs());
            now.at = current.due;
        };
        assert_eq!(pauses[..8], [60, 180, 600, 1800, 3600, 7200, 14_400, 14_400]);
        assert_eq!((last.fate, notices), (Fate::Expired, vec![Dsn::Delayed, Dsn::Failed]));
        let age = now.at.since(TRUSTED.at).as_secs();
        assert!((5 * 86_400..5 * 86_400 + 14_400).contains(&age), "{age}");
    }

    #[test]
    fn of_long_words_little_is_kept() {
        let long = || {
            Detail::Reply(RemoteReply {
                host: "mx.x".into(),
                code: 550,
                status: None,
                text: "ü".repeat(100_000),
            })
        };
        let outcomes = [
            Outcome::Relayed { reply: long(), dsns_passed_on: false },
            Outcome::Refused { reply: long() },
            Outcome::Deferred { reason: long() },
            Outcome::LoginRefused { reason: long() },
        ];
        for outcome in outcomes {
            let step = decide(&waiting(), outcome, TRUSTED, &config::Outbound::default(), 0);
            let text = step.detail.to_string();
            assert!(
                text.len() <= DETAIL_OCTETS && text.starts_with("mx.x said: 550 ü"),
                "{}",
                text.len()
            );
            if let Verdict::Keep(kept) = step.verdict {
                assert_eq!(kept.last, step.detail);
            }
        }
    }

    #[test]
    fn nothing_grows_old_while_the_clock_is_not_trusted() {
        // Accepted by a board that believed in 1970.
        let mut current = Waiting { since: Timestamp(0), due: Timestamp(5), ..waiting() };
        for at in [5, 70, 400, 2000, 50 * 365 * 86_400] {
            current = kept(defer(&current, Now { at: Timestamp(at), is_trusted: false }));
        }
        // The clock is set: the life time begins now.
        let step = defer(&current, TRUSTED);
        assert!(step.dsn.is_none());
        current = kept(step);
        assert_eq!(current.since, TRUSTED.at);
        // A clock that is set back does not make it wait longer than once.
        let back = Now { at: TRUSTED.at.minus(seconds(900_000)), ..TRUSTED };
        assert_eq!(kept(defer(&current, back)).since, back.at);
        // One that jumps ahead does not end it before it was tried a few times.
        let fresh =
            kept(defer(&waiting(), Now { at: TRUSTED.at.plus(seconds(900 * 86_400)), ..TRUSTED }));
        assert_eq!(fresh.attempts, 1);
    }

    #[test]
    fn notices_go_as_they_were_asked_for() {
        let ask = |notices: Notices| Waiting { notices: notices.with(Notices::ASKED), ..waiting() };
        let dsn = |waiting: &Waiting, outcome| {
            decide(waiting, outcome, TRUSTED, &config::Outbound::default(), 0).dsn
        };
        let refused = || Outcome::Refused { reply: Detail::text("550 no") };
        let relayed =
            |passed| Outcome::Relayed { reply: Detail::text("250 ok"), dsns_passed_on: passed };
        assert_eq!(dsn(&waiting(), refused()), Some(Dsn::Failed));
        assert_eq!(dsn(&waiting(), relayed(false)), None);
        assert_eq!(dsn(&ask(Notices::default()), refused()), None);
        assert_eq!(dsn(&ask(Notices::SUCCESS), refused()), None);
        assert_eq!(dsn(&ask(Notices::SUCCESS), relayed(false)), Some(Dsn::Relayed));
        assert_eq!(dsn(&ask(Notices::SUCCESS), relayed(true)), None);
        assert_eq!(dsn(&ask(Notices::FAILURE), Outcome::GivenUp), Some(Dsn::Failed));
        let old = Waiting {
            since: TRUSTED.at.minus(seconds(5 * 3600)),
            attempts: 5,
            ..ask(Notices::FAILURE)
        };
        assert_eq!(defer(&old, TRUSTED).dsn, None);
        assert_eq!(
            defer(&Waiting { notices: Notices::default(), ..old }, TRUSTED).dsn,
            Some(Dsn::Delayed)
        );
    }

    #[test]
    fn a_refused_password_holds_and_spread_stays_small() {
        let outcome = Outcome::LoginRefused { reason: Detail::text("535 wrong") };
        let held = kept(decide(&waiting(), outcome, TRUSTED, &config::Outbound::default(), 0));
        assert_eq!(held.state, QueueState::Held(Hold::Login));
        for spread in 0..200 {
            assert!((60..=66).contains(&pause(&[60, 600], 1, spread)));
            assert!((600..=660).contains(&pause(&[60, 600], 9, spread)));
        }
        assert_eq!(longest_pause(&[60, 600]), 660);
    }
}
