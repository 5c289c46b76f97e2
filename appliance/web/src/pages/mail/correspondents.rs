//! Who writes and who is written to: the addresses of a person, and those they know.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use pillarbox_message::addresses::mailbox;
use pillarbox_message::structure::Person as Correspondent;
use pillarbox_office::Office;
use pillarbox_store::{AccountId, AddressTarget, FolderId};

/// Correspondents that are offered.
const CONTACTS: usize = 300;
/// Received messages whose senders are offered too.
const HEARD: usize = 50;
/// Names that lead to names.
const NAMES_OF_NAMES: usize = 8;

/// A person's own address, and those that lead to it by name.
pub async fn senders(office: &Arc<Office>, own: &str) -> Vec<String> {
    let own = own.to_string();
    let read = office.store.read_off_thread(move |r| {
        let leads_here = |(address, target): &(String, AddressTarget)| match target {
            AddressTarget::Alias(to) => to.contains(&own) && !address.starts_with('@'),
            AddressTarget::Account(_) => false,
        };
        let mut all = vec![own.clone()];
        all.extend(
            r.addresses()?.iter().filter(|row| leads_here(row)).map(|(address, _)| address.clone()),
        );
        Ok(all)
    });
    read.await.unwrap_or_default()
}

/// Addresses that lead to this person alone, in lower case: their own, and names for it, also by way of other names.
pub async fn own_addresses(office: &Arc<Office>, account: AccountId, own: &str) -> Vec<String> {
    let own = own.to_lowercase();
    let read = office.store.read_off_thread(move |r| {
        let (mut found, all) = (vec![own.clone()], r.addresses()?);
        for _ in 0..NAMES_OF_NAMES {
            let leads_here = |(address, target): &&(String, AddressTarget)| match target {
                AddressTarget::Account(known) => *known == account,
                AddressTarget::Alias(to) => {
                    !address.starts_with('@')
                        && !to.is_empty()
                        && to.iter().all(|to| found.contains(&to.to_lowercase()))
                }
            };
            let more: Vec<String> = all
                .iter()
                .filter(leads_here)
                .map(|(address, _)| address.to_lowercase())
                .filter(|address| !found.contains(address))
                .collect();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        Ok(found)
    });
    read.await.unwrap_or_default()
}

/// Those a person knows, most written to first, and those they heard from lately.
pub async fn contacts(office: &Arc<Office>, account: AccountId) -> Vec<String> {
    let read = office.store.read_off_thread(move |r| {
        let mut known = Vec::new();
        r.each_contact(account, |address, contact| {
            let person = Correspondent { name: contact.name, address: address.to_string() };
            known.push((Reverse((contact.written, contact.last)), person));
        })?;
        known.sort_by_key(|(order, _)| *order);
        let mut people: Vec<Correspondent> = known.into_iter().map(|(_, person)| person).collect();
        let mut addresses: HashSet<String> =
            people.iter().map(|person| person.address.clone()).collect();
        for (_, entry) in r.entries_before(account, FolderId::INBOX, u32::MAX - 1, HEARD)? {
            let Some(card) = r.card(account, entry.message)? else { continue };
            if card.from.contains('@') && addresses.insert(card.from.to_lowercase()) {
                people.push(Correspondent { name: card.from_name, address: card.from });
            }
        }
        Ok(people.iter().take(CONTACTS).map(mailbox).collect())
    });
    read.await.unwrap_or_default()
}
