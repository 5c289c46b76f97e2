//! Answers to what others ask.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::Query;
use hickory_proto::rr::Record;

use super::super::link::{GAP, Link};
use super::super::packet::{self, Heard, PORT};
use super::super::records::{Item, Names};
use super::{LinkId, Packet, Responder, Target, Way, plain};

/// Waits of an answer (RFC 6762 §6), in milliseconds: one that several machines may give, and one whose question goes
/// on in another packet (§7.2).
const SHARED_WAIT: std::ops::Range<u64> = 20..120;
const TRUNCATED_WAIT: std::ops::Range<u64> = 400..500;
/// Seconds that an answer to an ordinary resolver may be kept (RFC 6762 §6.7).
const TTL_LEGACY: u32 = 10;

impl Responder {
    /// Answers what is asked, to all or to the one who asks.
    pub(super) fn answer(
        &mut self,
        id: LinkId,
        from: SocketAddr,
        way: Way,
        heard: &Heard,
        now: Instant,
    ) {
        let wait = Duration::from_millis(self.chance.u64(if heard.is_truncated {
            TRUNCATED_WAIT
        } else {
            SHARED_WAIT
        }));
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.is_probing() {
            return;
        }
        // RFC 6762 §6.7: whoever asks from another port is an ordinary resolver, which hears nothing that is said to
        // all.
        let is_legacy = from.port() != PORT;
        let addresses = link.announced();
        let (mut to_one, mut asked) = (Vec::new(), Vec::new());
        for question in &heard.questions {
            let mut items = self.names.answers(question, &addresses);
            items.retain(|item| {
                is_legacy || !self.names.is_known(*item, &addresses, &heard.records)
            });
            if items.is_empty() {
                continue;
            }
            if !is_legacy {
                let wants_all = way == Way::Group && !question.wants_unicast;
                let due = match wants_all {
                    true => items.clone(),
                    false => overdue(&self.names, link, &items, now),
                };
                let is_shared = due.iter().any(|item| item.is_shared());
                let at = if is_shared || heard.is_truncated { now + wait } else { now };
                link.send(&due, at, GAP);
                if wants_all {
                    continue;
                }
            }
            asked.push(Query::query(question.name.clone(), question.kind));
            to_one.extend(items);
        }
        if to_one.is_empty() || !link.reaches(from.ip()) {
            return;
        }
        to_one.sort();
        to_one.dedup();
        let more = Names::more(&to_one, &addresses);
        let record = |item: &Item| {
            let record = self.names.record(*item, &addresses);
            if is_legacy { plain(record, TTL_LEGACY) } else { record }
        };
        let (answers, more): (Vec<Record>, Vec<Record>) =
            (to_one.iter().map(record).collect(), more.iter().map(record).collect());
        let octets = match is_legacy {
            true => packet::to_one(heard.id, &asked, &answers, &more),
            false => packet::to_one(0, &[], &answers, &more),
        };
        self.out.push_back(Packet { link: id, to: Target::One(from), octets });
    }
}

/// Records that the others have not heard for a quarter of their time: they get them, too (RFC 6762 §5.4).
fn overdue(names: &Names, link: &Link, items: &[Item], now: Instant) -> Vec<Item> {
    let addresses = link.announced();
    let ttl = |item: Item| Duration::from_secs(names.record(item, &addresses).ttl.into());
    items.iter().copied().filter(|item| !link.was_sent(*item, ttl(*item) / 4, now)).collect()
}
