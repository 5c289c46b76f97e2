//! What the box can do, each rule once: the edges, the pages and the command line all call these.
//!
//! - whose mail is taken: [`routing`]; how it gets into mailboxes and queue: [`delivery`]; what a person sends: [`submission`]
//! - who signs in: [`auth`], with [`history`]; people, aliases and passwords: [`directory`]
//! - stored messages for people, indexed and searched: [`mail`]
//! - what a domain publishes: [`records`]; the internet connection: [`line`]; certificates: [`acme`]
//! - settings of the owner: [`settings`], as a file: [`preseed`]; how the box is: [`condition`], [`board`], [`hours`]; updates: [`update`]; the loopback test: [`round`]

pub mod acme;
pub mod auth;
pub mod board;
pub mod condition;
pub mod context;
pub mod delivery;
pub mod directory;
pub mod history;
pub mod hours;
pub mod line;
pub mod mail;
pub mod oneclick;
pub mod preseed;
pub mod records;
pub mod round;
pub mod routing;
pub mod settings;
pub mod submission;
pub mod update;
#[cfg(any(test, feature = "world"))]
pub mod world;
