//! The rows of a list, as people see them.

use pillarbox_message::structure::Person as Correspondent;
use pillarbox_message::words::marked;
use pillarbox_store::{Card, Flags, FolderId, Found};
use pillarbox_vocabulary::Timestamp;
use pillarbox_vocabulary::text::one_line;

use crate::text::Texts;

pub struct Row {
    /// `folder.uid`, as forms name it.
    pub id: String,
    pub folder: u32,
    pub uid: u32,
    pub who: String,
    /// Subject and preview in pieces: those that were searched for are marked.
    pub subject: Vec<(String, bool)>,
    pub preview: Vec<(String, bool)>,
    pub plain_subject: String,
    pub at: String,
    pub is_unread: bool,
    pub is_flagged: bool,
    pub is_answered: bool,
    pub attachments: u32,
    /// Messages of the same conversation on this page, this one included.
    pub count: usize,
    /// The folder, where a search found it.
    pub place: String,
}

/// What the rows of a page have in common.
pub struct Look<'a, Place> {
    pub t: Texts,
    pub now: Timestamp,
    /// Messages of one conversation share a row.
    pub joins_conversations: bool,
    /// The list names recipients: all of it was written by the person.
    pub shows_recipient: bool,
    /// The text that a row shows for its folder.
    pub place: Place,
    /// Folded words to be marked.
    pub words: &'a [String],
}

impl<Place: Fn(FolderId) -> String> Look<'_, Place> {
    /// Rows in the order of the messages, newest first.
    pub fn rows(&self, found: Vec<(Found, Card)>) -> Vec<Row> {
        let mut rows: Vec<(u64, Row)> = Vec::new();
        for (one, card) in found {
            let conversation = if self.joins_conversations { card.conversation } else { 0 };
            // Older messages of a conversation on the same page are behind its newest one.
            if conversation != 0
                && let Some((_, known)) = rows
                    .iter_mut()
                    .find(|(of, row)| *of == conversation && row.folder == one.folder.0)
            {
                known.count += 1;
                known.is_unread |= !one.entry.flags.contains(Flags::SEEN);
                continue;
            }
            rows.push((conversation, self.row(one, card)));
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn row(&self, Found { folder, uid, entry }: Found, card: Card) -> Row {
        // What releases before kept may have marks that are not seen.
        let card = Card {
            from_name: one_line(&card.from_name),
            to: one_line(&card.to),
            subject: one_line(&card.subject),
            preview: one_line(&card.preview),
            ..card
        };
        let from = Correspondent { name: card.from_name, address: card.from }.short();
        Row {
            id: format!("{}.{uid}", folder.0),
            folder: folder.0,
            uid,
            who: if self.shows_recipient { card.to } else { from },
            subject: if card.subject.is_empty() {
                vec![(self.t.get("mail-no-subject").into_owned(), false)]
            } else {
                marked(&card.subject, self.words)
            },
            plain_subject: card.subject,
            preview: marked(&card.preview, self.words),
            at: self.t.moment(entry.saved_at, self.now),
            is_unread: !entry.flags.contains(Flags::SEEN),
            is_flagged: entry.flags.contains(Flags::FLAGGED),
            is_answered: entry.flags.contains(Flags::ANSWERED),
            attachments: card.attachments,
            count: 1,
            place: (self.place)(folder),
        }
    }
}
