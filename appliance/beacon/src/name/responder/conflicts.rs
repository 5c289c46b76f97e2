//! Others with the same name: who keeps it, and who takes another one.

use std::time::{Duration, Instant};

use super::super::link::{GAP_DEFENCE, Link, Phase, Probing};
use super::super::packet::{self, Heard};
use super::super::records::Item;
use super::{CHECK_GAP, LinkId, PROBE_GAP, Responder, SILENCE, State};

/// RFC 6762 §8.2: for whoever lost to somebody asking at the same time.
const DEFERRAL: Duration = Duration::from_secs(1);
/// Losses after which a name counts as taken: whoever wins it announces it after the first.
const LOSSES: u8 = 5;
const CHECK_GAP_MOST: Duration = Duration::from_secs(300);
/// Without a check for so long the first gap applies again.
const CHECK_QUIET: Duration = Duration::from_secs(600);

impl Responder {
    /// Somebody answers.
    /// Only addresses for our name count that are not ours; a good-bye is no answer.
    pub(super) fn hear_answers(&mut self, id: LinkId, heard: &Heard, now: Instant) {
        let addresses = heard
            .records
            .iter()
            .filter(|known| known.ttl > 0 && known.name == self.names.host)
            .filter_map(packet::Known::address);
        let is_foreign = addresses.into_iter().any(|ip| !self.is_ours(ip, now));
        let Some(link) = self.links.get(&id).filter(|_| is_foreign) else { return };
        match link.phase {
            Phase::Probing(Probing { is_check: true, sent: 0, .. }) => {}
            Phase::Probing(_) => self.lose(now),
            Phase::Announcing { .. } | Phase::Held => self.check(now),
        }
    }

    /// Somebody asks whether our name is taken.
    /// The answer is whether that was our own question, come back.
    pub(super) fn hear_claim(&mut self, id: LinkId, heard: &Heard, now: Instant) -> bool {
        let mut theirs: Vec<_> = heard
            .claims
            .iter()
            .filter(|claim| claim.name == self.names.host)
            .map(|claim| claim.what.clone())
            .collect();
        if theirs.is_empty() {
            return false;
        }
        theirs.sort();
        theirs.dedup();
        let ours_ever = self.addresses_ever(now);
        if theirs.iter().all(|what| ours_ever.contains(what)) {
            return true;
        }
        let mut ours: Vec<_> = self.claim().into_iter().map(packet::comparable).collect();
        ours.sort();
        let jitter = self.up_to(PROBE_GAP);
        let Some(link) = self.links.get_mut(&id) else { return false };
        match &mut link.phase {
            // RFC 6762 §8.2: whoever's data come later in the alphabet wins.
            // Whoever waits already waits no longer for it.
            Phase::Probing(probing) => {
                let is_waiting = probing.losses > 0 && probing.sent == 0;
                if ours < theirs && !is_waiting {
                    *probing = Probing {
                        sent: 0,
                        next: now + DEFERRAL + jitter,
                        losses: probing.losses + 1,
                        ..*probing
                    };
                    if probing.losses > LOSSES {
                        self.lose(now);
                    }
                }
            }
            // To all and not to the one who asks, even where that is asked for: a repeater may have asked for it.
            Phase::Announcing { .. } | Phase::Held => {
                let addresses: Vec<Item> =
                    link.announced().into_iter().map(Item::Address).collect();
                link.send(&addresses, now, GAP_DEFENCE);
            }
        }
        false
    }

    /// The machine's addresses, and those that were its own a moment ago, as claims have them.
    fn addresses_ever(&self, now: Instant) -> Vec<(u16, Vec<u8>)> {
        let current = self.links.values().flat_map(Link::addresses).map(|address| address.ip);
        let recent = self.recent.iter().filter(|(_, until)| **until > now).map(|(ip, _)| *ip);
        current.chain(recent).map(packet::comparable).collect()
    }

    /// Another machine has the name.
    fn lose(&mut self, now: Instant) {
        let last = if self.state == State::Held { 0 } else { self.lost };
        self.lost = last + 1;
        if self.state == State::Held {
            // The services of whoever has the name now may look like ours.
            self.say_goodbye(|item| matches!(item, Item::Address(_)));
        }
        self.state = State::Sought;
        if self.lost >= self.labels.len() {
            self.state = State::None { until: now + SILENCE };
            return;
        }
        self.try_name((self.at + 1) % self.labels.len(), now);
    }

    /// Somebody else answered for the name that is held: it is asked for anew, and only an answer to that counts.
    /// This must not happen at every packet: anybody can send one.
    fn check(&mut self, now: Instant) {
        match self.last_check.map(|last| now.duration_since(last)) {
            Some(since) if since < self.check_gap => return,
            Some(since) if since < CHECK_QUIET => {
                self.check_gap = (2 * self.check_gap).min(CHECK_GAP_MOST)
            }
            _ => self.check_gap = CHECK_GAP,
        }
        self.last_check = Some(now);
        self.probe_everywhere(now, true);
    }
}
