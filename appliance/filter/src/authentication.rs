//! Who a message is from, as far as the DNS proves it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_platform::dns::Dns;
use pillarbox_vocabulary::Timestamp;
use tokio::task::JoinSet;

use crate::dkim::{self, Signed, registered};
use crate::dmarc::{self, Identifier, Means, Walker};
use crate::listing::{Listing, Lists};
use crate::{iprev, spf};

/// How long one of the questions may take with all that it leads to: whoever sends waits for its answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Domains of authors that are looked at; honest mail has one.
const AUTHORS: usize = 4;

/// The other server, and what it said of itself.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: IpAddr,
    /// The name that it said in EHLO.
    pub hello: String,
    /// The reverse-path; empty when it is null.
    pub sender: String,
}

/// A domain, and what SPF says of the address in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spf {
    /// As it is registered.
    pub domain: String,
    pub outcome: spf::Outcome,
}

/// What is proven of a message, and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Of the name said in EHLO, where that is one.
    pub hello: Option<Spf>,
    /// Of the reverse-path; where that is null, of the name said in EHLO (RFC 7208 §2.4).
    pub sender: Option<Spf>,
    /// In the order of the header.
    pub signatures: Vec<dkim::Judged>,
    /// Of those who are named as authors, in small letters.
    pub addresses: Vec<String>,
    /// The reverse-path, in small letters; empty when it is null.
    pub reverse_path: String,
    /// Domains of those who are named as authors.
    pub authors: Vec<dmarc::Judged>,
    /// Addresses of other domains that stand where people look for an author's name.
    pub posing: Vec<String>,
    pub name: iprev::Outcome,
    /// Lists of spammers that have the address.
    pub listed: Vec<(String, Listing)>,
    /// False: the header is longer than what is kept of it, so there may be more authors and signatures.
    pub is_whole: bool,
    /// How long it took to find out.
    pub took: Duration,
}

/// Finds out, in parallel and within a time.
pub async fn examine(
    (dns, lists): (&Arc<Dns>, &Arc<Lists>),
    client: &Client,
    signed: Signed,
    now: Timestamp,
) -> Authentication {
    let (begun, is_whole) = (Instant::now(), signed.is_whole());
    let asked = |question| {
        let (dns, client) = (dns.clone(), client.clone());
        apart(async move { sent(&dns, &client, question).await })
    };
    let address = client.address;
    let (names, looked_up) = (signed.keys(), dns.clone());
    let count = names.len();
    let (name, listing, lists) = (dns.clone(), dns.clone(), lists.clone());
    let (hello, sender, keys, name, listed) = tokio::join!(
        asked(Question::Hello),
        asked(Question::Sender),
        apart(async move { dkim::ask(&looked_up, names).await }),
        apart(async move { iprev::look(&name, address).await }),
        apart(async move { lists.look(&listing, address).await }),
    );
    let late = |question: Question| {
        let outcome = Err(spf::Trouble::Unknown("no answer in time".into()));
        question.domain(client).map(|domain| Spf { domain, outcome })
    };
    let hello = hello.unwrap_or_else(|| late(Question::Hello));
    let sender = sender.unwrap_or_else(|| late(Question::Sender)).or_else(|| hello.clone());
    let keys = keys.unwrap_or_else(|| dkim::unanswered(count));
    // A signature takes a board a millisecond.
    let judging = tokio::task::spawn_blocking(move || {
        let authors = signed.authors();
        let domains = author_domains(&authors.addresses);
        (signed.judge(&keys, now), domains, authors.posing, authors.addresses)
    });
    let (signatures, authors, posing, addresses) = judging.await.unwrap_or_default();
    let identifiers = identifiers(sender.as_ref(), &signatures);
    let unknown = |domain: &String| dmarc::Judged {
        domain: domain.clone(),
        outcome: dmarc::Outcome::Temporary,
        policy: None,
    };
    let unjudged: Vec<dmarc::Judged> = authors.iter().map(unknown).collect();
    let walked = dns.clone();
    let judged = apart(async move {
        let (mut walker, mut judged) = (Walker::new(&walked), Vec::new());
        for author in &authors {
            judged.push(walker.judge(author, &identifiers).await);
        }
        judged
    });
    let authors = judged.await.unwrap_or(unjudged);
    let name = name.unwrap_or(iprev::Outcome::Temporary);
    let listed = listed.unwrap_or_default();
    let reverse_path = client.sender.to_lowercase();
    let took = begun.elapsed();
    Authentication {
        hello,
        sender,
        signatures,
        addresses,
        reverse_path,
        authors,
        posing,
        name,
        listed,
        is_whole,
        took,
    }
}

/// Answers a question as a task of its own, and within a time: what asks the DNS needs much of a stack.
async fn apart<T: Send + 'static>(question: impl Future<Output = T> + Send + 'static) -> Option<T> {
    // It is given up with whoever asks.
    let mut task = JoinSet::new();
    task.spawn(tokio::time::timeout(PATIENCE, question));
    task.join_next().await?.ok()?.ok()
}

/// Which name is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Hello,
    Sender,
}

impl Question {
    fn domain(self, client: &Client) -> Option<String> {
        match self {
            Question::Hello => host(&client.hello),
            Question::Sender => sender_domain(client),
        }
    }
}

/// What SPF says of a name.
async fn sent(dns: &Dns, client: &Client, question: Question) -> Option<Spf> {
    let domain = question.domain(client)?;
    let local = match question {
        Question::Hello => "postmaster",
        Question::Sender => client.sender.rsplit_once('@').map_or("postmaster", |(local, _)| local),
    };
    let asked = spf::Client { address: client.address, helo: &client.hello, local };
    let outcome = spf::evaluate(dns, &domain, &asked).await;
    Some(Spf { domain, outcome })
}

/// The domain of the reverse-path; `None`: that is null.
fn sender_domain(client: &Client) -> Option<String> {
    client.sender.rsplit_once('@').and_then(|(_, domain)| host(domain))
}

/// A name as it is registered; `None`: it is no name of a host in the DNS.
fn host(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.');
    let is_name = name.contains('.') && !name.starts_with('[') && name.parse::<IpAddr>().is_err();
    is_name.then(|| registered(name))
}

/// The different domains of authors.
fn author_domains(authors: &[String]) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for author in authors {
        let domain = author.rsplit_once('@').map(|(_, domain)| registered(domain.trim()));
        if let Some(domain) =
            domain.filter(|domain| !domain.is_empty() && !domains.contains(domain))
            && domains.len() < AUTHORS
        {
            domains.push(domain);
        }
    }
    domains
}

/// What was proven, for the alignment with authors.
fn identifiers(sender: Option<&Spf>, signatures: &[dkim::Judged]) -> Vec<Identifier> {
    let spf = sender.and_then(|spf| {
        let is_proven = match &spf.outcome {
            Ok(spf::Verdict::Pass) => true,
            Err(spf::Trouble::Unknown(_)) => false,
            _ => return None,
        };
        Some(Identifier { domain: spf.domain.clone(), means: Means::Spf, is_proven })
    });
    let dkim = signatures.iter().filter_map(|signature| {
        let is_proven = match signature.outcome {
            dkim::Outcome::Pass => true,
            dkim::Outcome::Temporary => false,
            _ => return None,
        };
        Some(Identifier { domain: signature.domain.clone(), means: Means::Dkim, is_proven })
    });
    spf.into_iter().chain(dkim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_asked_for() {
        for (hello, expected) in [
            ("mail.Example.ORG", Some("mail.example.org")),
            ("m\u{fc}ller.example", Some("xn--mller-kva.example")),
            ("localhost", None),
            ("[192.0.2.1]", None),
            ("192.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(host(hello).as_deref(), expected, "{hello}");
        }
        let authors = ["ann@A.example", "bob@b.example", "x@a.example", "no-domain", "c@"];
        assert_eq!(author_domains(&authors.map(String::from)), ["a.example", "b.example"]);
    }
}
