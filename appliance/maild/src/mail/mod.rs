//! Messages as people read them: their parts, their text, their words for searching.

pub mod index;
pub mod marks;
pub mod preferences;
pub mod query;
pub mod readers;
pub mod reading;
