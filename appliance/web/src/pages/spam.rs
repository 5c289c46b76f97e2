//! What is done with spam and forged senders, and whom the owner trusts to forward mail.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_filter::content::FEWEST;
use pillarbox_filter::verdict::{Group, Handling, Policy};
use pillarbox_office::Office;
use pillarbox_office::filtering::{self, Wrong};
use pillarbox_office::learning::Counts;
use pillarbox_store::off_thread;

use crate::frame::{Frame, page, trouble};
use crate::session::Owner;
use crate::signed::{Fields, Signed};
use crate::text::Texts;

/// The fields of the lists.
const LISTS: [&str; 3] = ["allowed", "banned", "forwarders"];

#[derive(Template)]
#[template(path = "spam.html")]
struct SpamPage {
    frame: Frame,
    /// Names of lists, and what is in them: one to a line, as kept or as typed.
    lists: Vec<(&'static str, String)>,
    switches: Vec<Switch>,
    /// What was learned, in sentences.
    learned: [String; 2],
    /// Public lists of spammers, and how each does.
    public: Vec<(String, String)>,
    /// What becomes of what is in Junk.
    kept: String,
}

impl SpamPage {
    fn of(
        office: &Office,
        t: Texts,
        frame: Frame,
        lists: Vec<(&'static str, String)>,
        policy: &Policy,
    ) -> SpamPage {
        let learned = learned(t, office.learning.counts());
        let state = |(list, state)| {
            let key = match state {
                None => "spam-lists-fresh",
                Some(true) => "spam-lists-good",
                Some(false) => "spam-lists-bad",
            };
            (list, t.get(key).into_owned())
        };
        let public = office.lists.states().into_iter().map(state).collect();
        let days = office.settings.get().retention.junk_days.to_string();
        let kept = t.with("spam-nothing-lost", "days", &days).into_owned();
        SpamPage { frame, lists, switches: switches(policy), learned, public, kept }
    }
}

/// What was learned from so far, and what is still missing.
fn learned(t: Texts, counts: Counts) -> [String; 2] {
    let (wanted, unwanted) = (counts.wanted.to_string(), counts.unwanted.to_string());
    let so_far = match (counts.wanted, counts.unwanted) {
        (0, 0) => t.get("spam-learned-nothing").into_owned(),
        _ => t.with_two("spam-learned", ("wanted", &wanted), ("unwanted", &unwanted)),
    };
    let next = match counts.missing() {
        0 => t.get("spam-learned-enough").into_owned(),
        _ => t.with("spam-learned-missing", "count", &FEWEST.to_string()).into_owned(),
    };
    [so_far, next]
}

/// What is done with files of a group.
struct Switch {
    name: &'static str,
    /// Name, and whether it is chosen.
    choices: Vec<(&'static str, bool)>,
}

fn switches(policy: &Policy) -> Vec<Switch> {
    let of = |group: Group| Switch {
        name: group.name(),
        choices: Handling::ALL.map(|one| (one.name(), policy.handling(group) == one)).to_vec(),
    };
    Group::ALL.into_iter().map(of).collect()
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    match visit.office.store.read_off_thread(filtering::policy).await {
        Ok(policy) => {
            let frame = Frame::new(&visit, "/spam", "spam-title");
            let kept = [&policy.allowed, &policy.banned, &policy.forwarders];
            let lists = LISTS.into_iter().zip(kept.map(|list| list.join("\n"))).collect();
            page(StatusCode::OK, &SpamPage::of(&visit.office, visit.texts, frame, lists, &policy))
        }
        Err(error) => trouble(&visit, &error),
    }
}

/// What was typed.
fn policy(typed: &Fields, files: BTreeMap<Group, Handling>) -> Result<Policy, Wrong> {
    let [allowed, banned, forwarders] = LISTS.map(|list| typed.one(list));
    Ok(Policy {
        forwarders: filtering::forwarders(forwarders)?,
        allowed: filtering::senders(allowed)?,
        banned: filtering::senders(banned)?,
        files,
    })
}

pub async fn change(Signed(Owner(visit, visitor), typed): Signed<Owner, Fields>) -> Response {
    let t = visit.texts;
    let chosen = Group::ALL
        .iter()
        .filter_map(|group| filtering::handling(group.name(), typed.one(group.name())));
    let files: BTreeMap<Group, Handling> = chosen.collect();
    let policy = match policy(&typed, files.clone()) {
        Ok(policy) => policy,
        Err(wrong) => {
            let why = match wrong {
                Wrong::NoDomain(word) => t.with("spam-wrong-domain", "word", &word).into_owned(),
                Wrong::NoSender(word) => t.with("spam-wrong-sender", "word", &word).into_owned(),
                Wrong::TooMany(most) => t.count("spam-wrong-many", most as u64).into_owned(),
            };
            let frame = Frame::new(&visit, "/spam", "spam-title").trouble(why);
            let lists = LISTS.map(|list| (list, typed.one(list).to_string())).to_vec();
            let policy = Policy { files, ..Policy::default() };
            return page(
                StatusCode::BAD_REQUEST,
                &SpamPage::of(&visit.office, visit.texts, frame, lists, &policy),
            );
        }
    };
    let store = visit.office.store.clone();
    match off_thread(move || filtering::set(&store, &policy)).await {
        Ok(()) => {
            tracing::info!(account = visitor.address, "what is done with spam changed");
            Redirect::to("/spam").into_response()
        }
        Err(error) => trouble(&visit, &error),
    }
}
