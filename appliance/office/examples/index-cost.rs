//! What the search index costs: octets written and on disk for each of 10,000 English text messages of 8 KB to ten
//! accounts, by the size of batches.
//! Needs a file system that counts what is written, so no tmpfs:
//!
//!     TMPDIR=/var/tmp cargo run --release -p pillarbox-office --example index-cost

use pillarbox_vocabulary::Timestamp;
use std::fs;
use std::path::Path;

use pillarbox_office::mail::readers::Budget;
use pillarbox_office::mail::reading::summary;
use pillarbox_office::mail::spoken::Spoken;
use pillarbox_store::*;

const MESSAGES: usize = 10_000;
const ACCOUNTS: usize = 10;
const OCTETS: usize = 8 * 1024;
/// Different words of the language.
const WORDS: usize = 40_000;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Numbers by xorshift64: the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A word's rank, as they are distributed in a language (G. K. Zipf).
    fn rank(&mut self) -> usize {
        ((WORDS as f64).powf(self.part()) as usize).clamp(1, WORDS)
    }
}

/// The word of a rank: the frequent ones are short.
fn word(rank: usize) -> String {
    let mut dice = Dice((rank as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    dice.next();
    let length = 2 + (rank as f64).ln() as usize * 2 / 3;
    (0..length)
        .map(|_| {
            char::from(b"etaoinshrdlcumwfgypbvk"[((dice.part() * dice.part()) * 22.0) as usize])
        })
        .collect()
}

fn message(dice: &mut Dice, words: &[String]) -> String {
    let mut text = format!(
        "From: {} {} <{}@{}.example>\r\nTo: someone@example.org\r\nSubject: {} {} {}\r\nMessage-ID: <{:x}@x>\r\n\r\n",
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        words[dice.rank() - 1],
        dice.next()
    );
    let mut column = 0;
    while text.len() < OCTETS {
        // Numbers, names, parts of addresses: what is met once.
        let next = match dice.next() % 100 {
            0 => format!("{}", dice.next() % 100_000),
            1 => format!("{:x}", dice.next() % (1 << 32)),
            _ => words[dice.rank() - 1].clone(),
        };
        column += next.len() + 1;
        text.push_str(&next);
        text.push_str(if column > 70 { "\r\n" } else { " " });
        column %= 71;
    }
    text
}

/// What this process had the disk write: proc_pid_io(5).
fn written() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .ok_or("no count of what was written")?;
    Ok(line.parse()?)
}

fn size(folder: &Path) -> Outcome<u64> {
    let mut octets = 0;
    for item in fs::read_dir(folder)? {
        octets += item?.metadata()?.len();
    }
    Ok(octets)
}

/// A store with some accounts and nothing in them.
fn store(folder: &Path) -> Outcome<(Store, Vec<AccountId>)> {
    let store = Store::open(folder, Access::Server, &Options::default())?;
    store.change(AddDomain { name: "example.org".into(), at: Timestamp(1) }).wait()?;
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        let address = format!("p{n}@example.org");
        let add = AddAccount {
            address: address.clone(),
            name: String::new(),
            hash: "x".into(),
            policy: MailboxPolicy::Keep,
            at: Timestamp(1),
        };
        store.change(add).wait()?;
        accounts.push(store.read(|r| r.account(&address))?.ok_or("no account")?.0);
    }
    Ok((store, accounts))
}

fn deliver(store: &Store, account: AccountId, text: &str) -> Outcome<Pending<Delivered>> {
    let mut spool = store.spool();
    spool.append(text.as_bytes())?;
    let placement = Placement { account, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(Timestamp(1), Fate::Delivered, ShortCode(9));
    Ok(store.deliver(Delivery::local(spool.finish()?, 0, vec![placement], record)))
}

/// Puts what is new into an account's index.
/// Gives the octets of its file.
fn index(store: &Store, account: AccountId, batch: usize) -> Outcome<usize> {
    let mut octets = 0;
    for Unindexed { folder, from, entries, .. } in
        store.read(|r| r.unindexed(Some(account), batch))?
    {
        let (mut new, mut cards) = (Batch::default(), Vec::new());
        for (uid, entry) in &entries {
            let found = store.read(|r| r.content(entry.message))?.ok_or("no content")?;
            let summary = summary(store, &found, &Budget::of(std::time::Duration::from_secs(60)))
                .map_err(|why| why.to_string())?;
            new.add(entry.message, Spoken::of(&summary.texts).terms());
            cards.push((folder, *uid, entry.message, summary.card));
        }
        store.change(PutCards { account, cards }).wait()?;
        let segment = store.write_segment(account, &new, &mut |slice| {
            octets += slice;
            true
        })?;
        let below = entries.last().map_or(from, |(uid, _)| uid + 1);
        let messages = entries.iter().map(|(uid, entry)| (*uid, entry.message)).collect();
        let folders = vec![Indexed { folder, from, below, messages }];
        store.change(IndexWork { account, folders, segment }).wait()?;
    }
    Ok(octets)
}

/// Merges an account's files while there are enough of them.
/// Gives the octets that were written.
fn merge(store: &Store, account: AccountId) -> Outcome<usize> {
    let mut octets = 0;
    while store.merge_segments(account, &mut |slice| {
        octets += slice;
        true
    })? == Merged::Done
    {}
    Ok(octets)
}

fn run(batch: usize) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (store, accounts) = store(dir.path())?;
    let words: Vec<String> = (1..=WORDS).map(word).collect();
    let mut pending = Vec::new();
    let mut dice = Dice(88_172_645_463_325_252);
    let (mut of_files, mut of_rows, mut of_merges, mut content) = (0, 0, 0, 0);
    for n in 0..MESSAGES {
        let account = accounts[n % ACCOUNTS];
        let text = message(&mut dice, &words);
        content += text.len() as u64;
        pending.push(deliver(&store, account, &text)?);
        let count = n / ACCOUNTS + 1;
        if !count.is_multiple_of(batch) && count != MESSAGES / ACCOUNTS {
            continue;
        }
        for delivered in pending.drain(..) {
            delivered.wait()?;
        }
        let before = written()?;
        let octets = index(&store, account, batch)?;
        of_files += octets;
        of_rows += written()? - before - octets as u64;
        of_merges += merge(&store, account)?;
    }
    let index = size(&dir.path().join("index"))?;
    let each = MESSAGES as u64;
    println!(
        "{batch:>6} | {:>7} | {:>7} | {:>7} | {:>7} | {:>5.1} % | {:>5}",
        of_files as u64 / each,
        of_merges as u64 / each,
        of_rows / each,
        index / each,
        index as f64 * 100.0 / content as f64,
        fs::read_dir(dir.path().join("index"))?.count(),
    );
    Ok(())
}

fn main() -> Outcome<()> {
    println!("octets for each message of {OCTETS}, {MESSAGES} messages, {ACCOUNTS} accounts");
    println!(" batch |   files |  merges |    rows | on disk | of text | files");
    let given: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok())
        .filter(|size| *size > 0)
        .collect();
    let sizes = if given.is_empty() { vec![16, 64, 128, 256] } else { given };
    sizes.into_iter().try_for_each(run)
}
