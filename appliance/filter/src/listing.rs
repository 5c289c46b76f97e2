//! Lists of addresses that send spam (RFC 5782).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pillarbox_platform::dns::{Dns, DnsError, backwards};

/// What each list has to say of these, else it is not believed (RFC 5782 §5).
const ALWAYS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const NEVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// For how long what came of that holds.
const BELIEVED: Duration = Duration::from_secs(6 * 3600);
const DOUBTED: Duration = Duration::from_secs(3600);

/// What a list says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It sends spam.
    Listed,
    /// It belongs to a household's connection, which is not to send mail by itself.
    DialUp,
    /// It is not on the list.
    Unlisted,
    /// The list does not say.
    Silent,
}

/// How an answer is meant (RFC 5782 §2.1): the last number says why.
/// Only what lists document counts: another answer is that of a list which does not serve this resolver, or of somebody
/// who answers every question.
pub fn meaning(answer: IpAddr) -> Listing {
    match answer {
        IpAddr::V4(v4) => match v4.octets() {
            [127, 0, 0, 10 | 11] => Listing::DialUp,
            [127, 0, 0, 2..=9] => Listing::Listed,
            _ => Listing::Silent,
        },
        IpAddr::V6(_) => Listing::Silent,
    }
}

/// Asks a list about an address.
pub async fn ask(dns: &Dns, list: &str, address: IpAddr) -> Listing {
    match dns.addresses(&format!("{}.{list}", backwards(address))).await {
        Ok((v4, _)) => {
            let meanings: Vec<Listing> = v4.records.into_iter().map(meaning).collect();
            let said = [Listing::Listed, Listing::DialUp];
            said.into_iter().find(|said| meanings.contains(said)).unwrap_or(Listing::Silent)
        }
        Err(DnsError::NoSuchName | DnsError::NoData) => Listing::Unlisted,
        Err(DnsError::Temporary(_)) => Listing::Silent,
    }
}

/// Lists that are asked about those who bring mail.
#[derive(Default)]
pub struct Lists {
    names: Vec<String>,
    /// Whether each is believed, and until when that is known.
    believed: Mutex<HashMap<String, (bool, Instant)>>,
}

impl Lists {
    pub fn new(names: Vec<String>) -> Lists {
        Lists { names, believed: Mutex::default() }
    }

    /// What lists that can be believed say of an address; those that say nothing against it are left out.
    /// A list is put to the test when it has something to say: one that has not costs one question.
    pub async fn look(&self, dns: &Dns, address: IpAddr) -> Vec<(String, Listing)> {
        let mut found = Vec::new();
        for list in &self.names {
            if self.known(list) == Some(false) {
                continue;
            }
            let listing = ask(dns, list, address).await;
            let is_against = matches!(listing, Listing::Listed | Listing::DialUp);
            if is_against && self.is_believed(dns, list).await {
                found.push((list.clone(), listing));
            }
        }
        found
    }

    /// Whether a list knows who is always on it, and who never is.
    /// One that fails is left alone for an hour.
    async fn is_believed(&self, dns: &Dns, list: &str) -> bool {
        if let Some(is_believed) = self.known(list) {
            return is_believed;
        }
        let (always, never) = tokio::join!(ask(dns, list, ALWAYS), ask(dns, list, NEVER));
        let is_believed = always == Listing::Listed && never == Listing::Unlisted;
        let until = Instant::now() + if is_believed { BELIEVED } else { DOUBTED };
        self.lock().insert(list.to_string(), (is_believed, until));
        is_believed
    }

    /// Whether a list is believed, as long as what is known of that holds.
    fn known(&self, list: &str) -> Option<bool> {
        let known = self.lock().get(list).copied();
        known.filter(|(_, until)| *until > Instant::now()).map(|(is_believed, _)| is_believed)
    }

    /// All lists, each with whether it is believed; `None`: that was not asked yet.
    pub fn states(&self) -> Vec<(String, Option<bool>)> {
        let known = self.lock();
        let state = |list: &String| (list.clone(), known.get(list).map(|(is, _)| *is));
        self.names.iter().map(state).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (bool, Instant)>> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lists_document_counts() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (answer, means) in [
            ("127.0.0.2", Listing::Listed),
            ("127.0.0.9", Listing::Listed),
            ("127.0.0.10", Listing::DialUp),
            ("127.0.0.11", Listing::DialUp),
            ("127.0.0.1", Listing::Silent),
            ("127.0.1.2", Listing::Silent),
            ("127.255.255.254", Listing::Silent),
            ("198.51.100.7", Listing::Silent),
            ("::1", Listing::Silent),
        ] {
            assert_eq!(meaning(ip(answer)), means, "{answer}");
        }
    }
}
