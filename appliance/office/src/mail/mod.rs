//! Stored messages for people: opened within a budget, indexed and searched.
//! What a message is and says is decided in `pillarbox_message`.

pub mod index;
pub mod marks;
pub mod pace;
pub mod payment;
pub mod preferences;
pub mod query;
pub mod readers;
pub mod reading;
pub mod spoken;
