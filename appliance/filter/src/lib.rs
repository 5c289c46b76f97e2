//! What is known of a message from outside, as far as it can be proven.
//!
//! Gathering asks the DNS, within a time; judging is pure.
//! [`authentication`] puts together what [`spf`], [`dkim`], [`dmarc`], [`iprev`] and [`listing`] find, and [`results`]
//! writes it down for programs; [`files`] looks into what a message carries, [`content`] into what it says; [`verdict`]
//! decides.

pub mod authentication;
pub mod content;
pub mod dkim;
pub mod dmarc;
pub mod files;
pub mod iprev;
pub mod listing;
pub mod results;
pub mod spf;
#[cfg(test)]
mod tests;
pub mod verdict;
