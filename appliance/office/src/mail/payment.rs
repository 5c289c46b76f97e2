//! Whether a message names another bank account than its author did before: the commonest way to steal from an office
//! is a letter that looks like a supplier's and has a new account in it.

use pillarbox_message::iban;
use pillarbox_store::{AccountId, FolderId, MessageId, Store};

use super::query::Query;
use super::readers::{Budget, Unread};
use super::reading;

/// Octets of a text that are looked through.
pub const TEXT: usize = 64 * 1024;
/// Earlier messages that are looked at: of those that the index knows, and of newer ones.
const EARLIER: usize = 40;
const FRESH: usize = 200;

/// An account that its author did not name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// As the message has them.
    pub now: Vec<String>,
    /// As earlier messages of the same author had them.
    pub before: Vec<String>,
}

/// Compares accounts.
/// `None`: none is new, or there were none before to compare with.
pub fn compare(now: &[String], before: &[String]) -> Option<Changed> {
    let new: Vec<String> = now.iter().filter(|one| !before.contains(one)).cloned().collect();
    let is_changed = !new.is_empty() && !before.is_empty();
    is_changed.then(|| Changed { now: new, before: before.to_vec() })
}

/// Looks through what the same author wrote to this person before; nothing where the message names no account.
/// Blocks, within the budget.
///
/// # Errors
/// Those of reading; one earlier message that can't be read is passed over.
pub fn look(
    store: &Store,
    account: AccountId,
    message: MessageId,
    (author, text): (&str, &str),
    budget: &Budget,
) -> Result<Option<Changed>, Unread> {
    let now = iban::find(text);
    if now.is_empty() || author.is_empty() {
        return Ok(None);
    }
    let mut before: Vec<String> = Vec::new();
    for earlier in earlier(store, account, message, author)? {
        budget.check()?;
        for number in accounts(store, earlier, author, budget).unwrap_or_default() {
            if !before.contains(&number) {
                before.push(number);
            }
        }
    }
    Ok(compare(&now, &before))
}

/// Earlier messages that may be of the same author.
fn earlier(
    store: &Store,
    account: AccountId,
    message: MessageId,
    author: &str,
) -> Result<Vec<MessageId>, Unread> {
    // What lies in Junk proves nothing.
    let is_of_use = |folder: FolderId| folder != FolderId::JUNK && folder != FolderId::SENT;
    let query = Query::parse(&format!("from:{author}"), &|_| None);
    let page = store.search(account, &query.ask, Some(message), EARLIER)?;
    let known = page.hits.into_iter().filter(|(hit, _)| is_of_use(hit.folder));
    let mut found: Vec<MessageId> = known.map(|(hit, _)| hit.entry.message).collect();
    for folder in store.read(|r| r.unindexed(Some(account), FRESH))? {
        if is_of_use(folder.folder) {
            found.extend(folder.entries.iter().map(|(_, entry)| entry.message));
        }
    }
    found.retain(|one| *one < message);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The accounts that a message names, if it is of this author.
fn accounts(
    store: &Store,
    message: MessageId,
    author: &str,
    budget: &Budget,
) -> Result<Vec<String>, Unread> {
    let Some(content) = store.read(|r| r.content(message))? else { return Ok(Vec::new()) };
    let structure = reading::structure(store, &content, budget)?;
    let is_same = |from: &str| from.eq_ignore_ascii_case(author);
    if !structure.from.iter().any(|from| is_same(&from.address)) {
        return Ok(Vec::new());
    }
    Ok(iban::find(&reading::plain(store, &content, &structure, TEXT, budget)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_that_was_not_named_before_is_a_change() {
        let list = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        for (now, before, changed) in [
            ("A", "A", None),
            ("A", "", None),
            ("", "A", None),
            ("A B", "A B C", None),
            ("B", "A", Some(("B", "A"))),
            ("A B", "A", Some(("B", "A"))),
        ] {
            let expected =
                changed.map(|(now, before)| Changed { now: list(now), before: list(before) });
            assert_eq!(compare(&list(now), &list(before)), expected, "{now} after {before}");
        }
    }
}
