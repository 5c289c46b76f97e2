//! What the box can do, each rule once: the edges, the pages and the command line all call these.
//!
//! - whose mail is taken: [`routing`]; how it gets into mailboxes and queue: [`delivery`]; what a person sends:
//!   [`submission`]
//! - who signs in: [`auth`], with [`history`]; people, aliases and passwords: [`directory`]
//! - stored messages for people, indexed and searched: [`mail`]
//! - what a domain publishes: [`records`]; the internet connection: [`internet_connection`]; certificates: [`acme`]
//! - settings of the owner: [`settings`], as a file: [`preseed`]; how the box is: [`condition`], [`status_file`],
//!   [`statistics`]; updates: [`update`]; the loopback test: [`loopback`]

pub mod acme;
pub mod auth;
pub mod claim;
pub mod code;
pub mod condition;
pub mod delivery;
pub mod digest;
pub mod directory;
mod error;
pub mod filtering;
pub mod history;
pub mod internet_connection;
pub mod learning;
pub mod loopback;
pub mod mail;
pub mod naming;
pub mod oneclick;
pub mod preseed;
pub mod records;
pub mod routing;
pub mod settings;
pub mod statistics;
pub mod status_file;
pub mod submission;
pub mod update;
#[cfg(any(test, feature = "world"))]
pub mod world;

use std::sync::Arc;

pub use error::{Error, Result};
use pillarbox_filter::listing::Lists;
use pillarbox_outbound::{Handles, Outbound};
use pillarbox_platform::config::Live;
use pillarbox_platform::connections::Connections;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::Store;

/// What a running box can do.
/// Edges and pages are made from it and keep what they use; nothing in this crate knows it.
#[derive(Clone)]
pub struct Office {
    pub settings: Live,
    pub store: Store,
    pub certificates: Arc<Certificates>,
    pub outbound: Arc<Outbound>,
    /// Names, TLS, secrets, and how the end of the server is heard of.
    pub handles: Handles,
    pub connections: Arc<Connections>,
    pub sign_ins: Arc<auth::SignIns>,
    pub submission: Arc<submission::SubmissionAgent>,
    pub acme: Arc<acme::Acme>,
    /// Where mail is taken apart for pages.
    pub readers: Arc<mail::readers::Readers>,
    pub statistics: Arc<statistics::Statistics>,
    pub condition: Arc<condition::Condition>,
    /// What was learned of wanted and unwanted messages.
    pub learning: Arc<learning::Learning>,
    /// Lists of spammers that are asked.
    pub lists: Arc<Lists>,
}

impl Office {
    /// `settings` are those in use: with the name the owner chose.
    pub fn new(
        settings: Live,
        certificates: Arc<Certificates>,
        outbound: Arc<Outbound>,
        handles: Handles,
    ) -> Office {
        let (config, store, tasks) = (settings.get(), handles.store.clone(), handles.tasks.clone());
        let connections = Arc::new(Connections::default());
        let octets = config.limits.in_flight().content;
        let readers = Arc::new(mail::readers::Readers::new(&config.data));
        let learning = Arc::new(learning::Learning::new(store.clone(), readers.clone()));
        let (signer, dns) = (outbound.signer.clone(), handles.dns.clone());
        let delivery = delivery::DeliveryAgent::new(store.clone(), signer, dns, octets);
        let lists = Arc::new(Lists::new(config.line.lists.clone()));
        let delivery = delivery.knowing(learning.learned.clone()).asking(lists.clone());
        let delivery = Arc::new(delivery);
        let submission = submission::SubmissionAgent {
            settings: settings.clone(),
            store: store.clone(),
            delivery,
            outbound: outbound.clone(),
        };
        Office {
            sign_ins: Arc::new(auth::SignIns::new(store.clone(), &config, connections.clone())),
            submission: Arc::new(submission),
            acme: Arc::new(acme::Acme::new(
                settings.clone(),
                certificates.clone(),
                handles.clone(),
            )),
            readers: readers.clone(),
            statistics: Arc::new(statistics::Statistics::new(
                settings.clone(),
                store.clone(),
                tasks,
            )),
            condition: Arc::new(condition::Condition::new(
                settings.clone(),
                store.clone(),
                readers,
            )),
            learning,
            lists,
            settings,
            store,
            certificates,
            outbound,
            handles,
            connections,
        }
    }
}
