//! What goes over the connection: the envelope with its parameters, and the content as this server can take it.

use std::sync::Arc;

use pillarbox_message::eight_bit::{Bits, LongParts, Needs};
use pillarbox_proto::smtp::client::{Mailing, Target};
use pillarbox_proto::smtp::{Body, Notify, Ret};
use pillarbox_store::{Content, Notices, Outgoing, Traits, Waiting, domain_of};

use super::{Attempt, Queued, Worker};
use crate::error::{Error, Result};
use crate::sender::Outbound;
use crate::source::Source;

/// What goes in front of a content, and how that is converted on its way.
struct Copy {
    signatures: Vec<u8>,
    /// Of all that goes.
    octets: u64,
    /// `None`: it goes as it is.
    needs: Option<Needs>,
}

impl Worker<'_> {
    /// What the core needs for one message, for a server with these abilities.
    /// `open`: the recipients, by their place in the group.
    pub(super) async fn prepare(
        &self,
        attempt: &Attempt<'_>,
        open: &[usize],
        takes_eight_bit: bool,
    ) -> Result<(Mailing, Source)> {
        let Queued { outgoing, content } = attempt.queued;
        let is_wide = outgoing.traits.contains(Traits::EIGHT_BIT);
        let bits = if is_wide && !takes_eight_bit { Bits::Seven } else { Bits::Eight };
        let copy = self.copy(attempt.queued, bits).await?;
        let mailing = Mailing {
            reverse_path: outgoing.sender.clone(),
            octets: copy.octets,
            body: if is_wide && bits == Bits::Eight { Body::EightBitMime } else { Body::SevenBit },
            smtputf8: outgoing.traits.contains(Traits::UTF8),
            requiretls: outgoing.traits.contains(Traits::REQUIRE_TLS),
            ret: returned(outgoing),
            envid: Some(envelope_id(outgoing)),
            recipients: open.iter().map(|&at| target(&attempt.group.recipients[at].1)).collect(),
        };
        let store = self.outbound.store.clone();
        Ok((mailing, Source::converted(&store, content, copy.signatures, copy.needs)))
    }

    /// As it was signed when it came in, or converted and signed anew.
    async fn copy(&self, queued: &Queued, bits: Bits) -> Result<Copy> {
        let Queued { outgoing, content } = queued;
        let is_long = outgoing.traits.contains(Traits::LONG_LINES);
        if bits == Bits::Eight && !is_long {
            let signatures = outgoing.signature.clone();
            let octets =
                content.octets - content.delivery_octets() as u64 + signatures.len() as u64;
            return Ok(Copy { signatures, octets, needs: None });
        }
        let (outbound, content) = (self.outbound.clone(), content.clone());
        let domain = domain_of(&outgoing.sender).to_string();
        let signed = tokio::task::spawn_blocking(move || {
            sign_anew(&outbound, &content, &domain, bits, is_long)
        });
        signed.await.map_err(Error::failed("signing"))?
    }
}

/// How much of the message a notice is to bring back, where the sender asked (RFC 3461 §4.3).
fn returned(outgoing: &Outgoing) -> Option<Ret> {
    match outgoing.traits {
        t if t.contains(Traits::RETURN_HEADERS) => Some(Ret::Headers),
        t if t.contains(Traits::RETURN_FULL) => Some(Ret::Full),
        _ => None,
    }
}

/// The sender's own, else our code: a notice that comes back names it (RFC 3461 §4.4).
fn envelope_id(outgoing: &Outgoing) -> String {
    match outgoing.envid.is_empty() {
        true => outgoing.code.to_string(),
        false => outgoing.envid.clone(),
    }
}

/// A recipient with the notices that were asked for.
fn target(waiting: &Waiting) -> Target {
    let has = |notice| waiting.notices.contains(notice);
    let notify = has(Notices::ASKED).then(|| Notify {
        success: has(Notices::SUCCESS),
        failure: has(Notices::FAILURE),
        delay: has(Notices::DELAY),
    });
    let orcpt = (!waiting.orcpt.is_empty()).then(|| waiting.orcpt.clone());
    Target { address: waiting.address.clone(), notify, orcpt }
}

/// Finds out what a copy needs and signs it, because what is converted has another body.
/// Reads the content once, or twice when its lines are too long.
/// Blocks.
fn sign_anew(
    outbound: &Outbound,
    content: &Content,
    domain: &str,
    bits: Bits,
    is_long: bool,
) -> Result<Copy> {
    let mut needs = Needs { bits, long: None };
    if is_long {
        let mut long = LongParts::default();
        Source::blocking(&outbound.store, content, false, &mut |piece| long.push(piece))?;
        needs.long = Some(Arc::new(long.finish()));
    }
    let keys = outbound.signer.keys(&outbound.store, domain)?;
    let mut octets = 0;
    let signatures = keys.sign(|write| {
        Source::blocking_converted(&outbound.store, content, Some(needs.clone()), &mut |piece| {
            octets += piece.len() as u64;
            write(piece);
        })
    })?;
    octets += signatures.len() as u64;
    Ok(Copy { signatures, octets, needs: Some(needs) })
}
