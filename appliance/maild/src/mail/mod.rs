//! Messages as people read them: their parts, their text, their words for searching.

pub mod addresses;
pub mod calendar;
pub mod choice;
pub mod extract;
pub mod index;
pub mod letter;
pub mod marks;
pub mod preferences;
pub mod query;
pub mod readers;
pub mod reading;
pub mod repair;
pub mod structure;
pub mod vcard;
pub mod winmail;

/// How long this thread has worked: what a busy machine lets it wait does not count.
#[cfg(test)]
fn worked() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
