//! What a message that was sent or kept changes elsewhere.

use pillarbox_message::addresses::recipients;
use pillarbox_message::draft::Draft;
use pillarbox_office::code;
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, AnyChange, Flags, FolderId, MailOrder, MailWhat, NoteWritten, Service,
};

use crate::pages::mail::act::parse_id;
use crate::session::{Visit, Visitor};

/// The draft that was gone on with is of no more use; what was answered gets its mark; recipients become contacts.
pub async fn after(visit: &Visit, visitor: &Visitor, draft: &Draft) {
    let mut changes = Vec::new();
    changes.extend(old_draft(visitor.account, draft));
    if !draft.is_draft() {
        changes.extend(answered(visitor.account, draft));
        changes.push(contacts(visit, visitor.account, draft).await);
    }
    for change in changes {
        if let Err(error) = visit.office.store.change(change).done().await {
            tracing::warn!(%error, "a draft, a mark or a contact stays as it was");
        }
    }
}

fn old_draft(account: AccountId, draft: &Draft) -> Option<AnyChange> {
    let Some((FolderId::DRAFTS, uid)) = parse_id(&draft.continues) else { return None };
    let what = MailWhat::Delete { code: code::fresh() };
    Some(order(account, FolderId::DRAFTS, uid, what))
}

fn answered(account: AccountId, draft: &Draft) -> Option<AnyChange> {
    let Some((id, "reply" | "all")) = draft.answers.rsplit_once(':') else { return None };
    let (folder, uid) = parse_id(id)?;
    let what = MailWhat::Flag { add: Flags::ANSWERED, remove: Flags::default() };
    Some(order(account, folder, uid, what))
}

fn order(account: AccountId, folder: FolderId, uid: u32, what: MailWhat) -> AnyChange {
    AnyChange::of(MailOrder {
        account,
        folder,
        uids: vec![uid],
        what,
        at: clock::now(),
        service: Service::Web,
    })
}

async fn contacts(visit: &Visit, account: AccountId, draft: &Draft) -> AnyChange {
    let lists = [draft.to.clone(), draft.cc.clone(), draft.bcc.clone()];
    let written = visit.office.readers.run(account, move |_| {
        Ok(lists.iter().filter_map(|text| recipients(text).ok()).flatten().collect::<Vec<_>>())
    });
    let people = written
        .await
        .unwrap_or_default()
        .into_iter()
        .map(|person| (person.name, person.address.to_lowercase()))
        .collect();
    AnyChange::of(NoteWritten { account, people, at: clock::now() })
}
