//! One submitted message: header mended and checked, content spooled, copy kept, the rest queued, one commit.

use pillarbox_message::field::Letters;
use pillarbox_outbound::Outbound;
use pillarbox_platform::budget::Party;
use pillarbox_platform::clock;
use pillarbox_platform::config::Live;
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::{ForwardPath, MailCommand, Recipient, Ret, ReversePath, trace};
use pillarbox_store::{
    AccountId, Checksum, Delivered, Detail, Error, Hold, Notices, Outgoing, QueueState, Relay,
    ShortCode, Store, Traits, Waiting, domain_of,
};
use pillarbox_vocabulary::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

use super::gathering::{Gathered, Gathering, HEADER_OCTETS};
use super::header::{self, Additions, Prepared};
use crate::auth::Identity;
use crate::delivery::{DeliveryAgent, Envelope, Incoming, Refusal};

/// Who submits, and how.
#[derive(Clone, Debug)]
pub struct Facts {
    pub identity: Identity,
    pub peer: IpAddr,
    pub code: ShortCode,
    pub mail: MailCommand,
    /// How it comes; the date is put in at the end.
    pub received: trace::Received,
    /// Recipients with a mailbox here, as given, and their accounts.
    pub local: Vec<Recipient>,
    pub accounts: Vec<AccountId>,
    /// Recipients elsewhere.
    pub remote: Vec<Recipient>,
}

/// Takes what people send.
pub struct SubmissionAgent {
    pub settings: Live,
    pub store: Store,
    pub delivery: Arc<DeliveryAgent>,
    pub outbound: Arc<Outbound>,
}

/// A submitted message on its way in.
pub struct Submission<'a> {
    agent: &'a SubmissionAgent,
    facts: Facts,
    incoming: Option<Incoming<'a>>,
    /// While the header comes in.
    gathering: Option<Gathering>,
    prepared: Option<Prepared>,
    refusal: Option<Refusal>,
    /// Of all that came in, and of what went on: the header before it was mended, then the body.
    came: Checksum,
    went: Checksum,
}

impl<'a> Submission<'a> {
    /// Begins; waits for room in memory.
    pub async fn begin(agent: &'a SubmissionAgent, facts: Facts) -> Result<Submission<'a>, Error> {
        let incoming =
            Incoming::begin(&agent.delivery, &facts.mail.reverse_path, (facts.peer, Party::Office))
                .await?;
        let gathering = Some(Gathering::default());
        Ok(Submission {
            agent,
            facts,
            incoming: Some(incoming),
            gathering,
            prepared: None,
            refusal: None,
            came: Checksum::default(),
            went: Checksum::default(),
        })
    }

    /// Takes a piece of content; what is wrong with it is reported at the end.
    pub async fn content(&mut self, octets: &[u8]) {
        self.came.add(octets);
        let result = match &mut self.gathering {
            Some(gathering) => match gathering.push(octets) {
                Gathered::More => Ok(()),
                Gathered::TooLong => {
                    let text = format!(
                        "The header of the message is longer than {} octets ({})",
                        HEADER_OCTETS, self.facts.code
                    );
                    Err(Refusal::Said(Reply::new(552, Enhanced(5, 3, 4), text)))
                }
                Gathered::Header(header, rest) => match self.header(&header).await {
                    Ok(()) => self.append(&rest).await,
                    refused => refused,
                },
            },
            None => self.append(octets).await,
        };
        if let Err(refusal) = result {
            self.refuse(refusal);
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        // The rest need not be kept.
        (self.incoming, self.gathering) = (None, None);
        self.refusal.get_or_insert(refusal);
    }

    async fn append(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        match &mut self.incoming {
            Some(incoming) if !octets.is_empty() => {
                self.went.add(octets);
                Ok(incoming.append(octets).await?)
            }
            _ => Ok(()),
        }
    }

    async fn header(&mut self, header: &[u8]) -> Result<(), Refusal> {
        self.gathering = None;
        self.went.add(header);
        let identity = self.facts.identity.clone();
        let from = match &self.facts.mail.reverse_path {
            ReversePath::Null => identity.address.clone(),
            ReversePath::Address(address) => address.to_string(),
        };
        let code = self.facts.code.to_string();
        let unique = getrandom::u64().unwrap_or_default();
        let additions = Additions {
            from: &from,
            date: &clock::rfc5322(clock::now()),
            message_id: &format!("{unique:016x}.{code}@{}", domain_of(&from)),
        };
        let letters = if self.facts.mail.smtputf8 { Letters::Any } else { Letters::Ascii };
        let prepared = header::prepare(header, letters, &additions);
        if let Some(flaw) = &prepared.flaw {
            return Err(Refusal::Said(header::flawed(flaw, &identity.address, &code)));
        }
        let senders = prepared.senders.clone();
        let foreign = self
            .agent
            .store
            .read_off_thread(move |r| header::first_foreign(r, identity.account, &senders))
            .await?;
        if let Some(foreign) = foreign {
            let reply = header::foreign_sender(
                "in From or Sender", &foreign, &self.facts.identity.address, &code,
            );
            return Err(Refusal::Said(reply));
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.append(&prepared.header).await?;
        }
        self.prepared = Some(prepared);
        Ok(())
    }

    /// The content is complete: when this returns well, the message is on stable storage.
    pub async fn end(mut self) -> Result<Delivered, Refusal> {
        if let Some(gathering) = self.gathering.take()
            && let Err(refusal) = self.header(&gathering.finish()).await
        {
            self.refuse(refusal);
        }
        let (incoming, prepared) = match (self.refusal, self.incoming, self.prepared) {
            (None, Some(incoming), Some(prepared)) => (incoming, prepared),
            (refusal, _, _) => return Err(refusal.unwrap_or(Refusal::Trouble(Error::Closed))),
        };
        if self.came != self.went {
            let what = "a submitted message: what went on to the store is not what came in".into();
            return Err(Refusal::Trouble(Error::Damaged { what }));
        }
        let agent = self.agent;
        let facts = self.facts;
        let sender = facts.mail.reverse_path.to_string();
        let relay = relay(agent, &facts, &prepared, &sender);
        let is_relayed = relay.is_some();
        let from = prepared.senders.first().cloned().unwrap_or_default();
        let envelope = Envelope {
            code: facts.code,
            peer: facts.peer,
            sender: &sender,
            received: facts.received,
            recipients: facts.local.iter().map(|r| r.path.to_string()).collect(),
            accounts: facts.accounts.clone(),
            sent_by: Some(facts.identity.account),
            relay,
            signing_domain: domain_of(&from).to_lowercase(),
            report_on: None,
        };
        let delivered = incoming.deliver(envelope).await?;
        if is_relayed {
            agent.outbound.wake();
        }
        if delivered.is_held {
            let limit = agent.settings.get().outbound.daily_recipients;
            pillarbox_outbound::tell_of_limit(
                &agent.outbound, facts.identity.account, &facts.identity.address, limit,
            )
            .await;
        }
        let wanted = |r: &&Recipient| r.notify.is_some_and(|n| n.success);
        let told: Vec<&Recipient> = facts.local.iter().filter(wanted).collect();
        if !told.is_empty() && !sender.is_empty() {
            let recipients = told
                .into_iter()
                .map(|r| (r.path.to_string(), r.orcpt.clone().unwrap_or_default()))
                .collect();
            let envid = facts.mail.envid.as_deref().unwrap_or_default();
            let arrived = pillarbox_outbound::Arrived {
                sender: &sender,
                code: facts.code,
                envid,
                subject: &prepared.subject,
                recipients,
            };
            pillarbox_outbound::tell_delivered(
                &agent.outbound, delivered.message, facts.identity.account, arrived,
            )
            .await;
        }
        Ok(delivered)
    }
}

/// The part that goes to other servers.
fn relay(
    agent: &SubmissionAgent,
    facts: &Facts,
    prepared: &Prepared,
    sender: &str,
) -> Option<Relay> {
    let now = agent.outbound.now();
    let mut recipients: Vec<Waiting> =
        facts.remote.iter().filter_map(|recipient| waiting(recipient, now)).collect();
    if agent.settings.get().outbound.hold {
        recipients.iter_mut().for_each(|recipient| recipient.state = QueueState::Held(Hold::Owner));
    }
    if recipients.is_empty() {
        return None;
    }
    // A program that announces SMTPUTF8 for everything must not shut out servers that need not know it.
    let is_wide = !prepared.header.is_ascii()
        || !sender.is_ascii()
        || recipients.iter().any(|r| !r.address.is_ascii());
    let traits = [
        (facts.mail.smtputf8 && is_wide, Traits::UTF8),
        (facts.mail.requiretls, Traits::REQUIRE_TLS),
        // RFC 8689 §5: the option of the envelope outweighs the field.
        (prepared.is_tls_optional && !facts.mail.requiretls, Traits::TLS_OPTIONAL),
        (prepared.is_automatic, Traits::AUTOMATIC),
        (facts.mail.ret == Some(Ret::Headers), Traits::RETURN_HEADERS),
        (facts.mail.ret == Some(Ret::Full), Traits::RETURN_FULL),
    ];
    let traits = traits
        .into_iter()
        .filter(|(is, _)| *is)
        .fold(Traits::default(), |all, (_, one)| all.with(one));
    let outgoing = Outgoing {
        account: Some(facts.identity.account),
        code: facts.code,
        sender: sender.to_string(),
        arrived: now.at,
        traits,
        envid: facts.mail.envid.clone().unwrap_or_default(),
        subject: prepared.subject.clone(),
        signature: Vec::new(),
        remaining: 0,
    };
    Some(Relay {
        outgoing,
        recipients,
        daily_limit: agent.settings.get().outbound.daily_recipients,
    })
}

fn waiting(recipient: &Recipient, now: pillarbox_outbound::Now) -> Option<Waiting> {
    let ForwardPath::Address(address) = &recipient.path else { return None };
    let notices = recipient.notify.map_or(Notices::default(), |notify| {
        let asked = [
            (notify.success, Notices::SUCCESS),
            (notify.failure, Notices::FAILURE),
            (notify.delay, Notices::DELAY),
        ];
        asked.into_iter().filter(|(is, _)| *is).fold(Notices::ASKED, |all, (_, one)| all.with(one))
    });
    Some(Waiting {
        address: address.to_string(),
        domain: address.domain().as_str().to_lowercase(),
        notices,
        orcpt: recipient.orcpt.clone().unwrap_or_default(),
        state: QueueState::Scheduled,
        due: now.at,
        since: if now.is_trusted { now.at } else { Timestamp(0) },
        attempts: 0,
        is_delay_told: false,
        last_at: Timestamp(0),
        last: Detail::None,
        transcript: None,
    })
}
