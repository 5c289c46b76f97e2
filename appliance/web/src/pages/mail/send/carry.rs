//! What goes along from stored messages: files, messages in messages, and messages as a whole.

use pillarbox_message::draft::{self, Lines};
use pillarbox_message::extract::Extractor;
use pillarbox_message::names::message_name;
use pillarbox_message::structure::{Part, Structure};
use pillarbox_office::mail::reading;
use pillarbox_outbound::Source;
use pillarbox_store::{Content, Error, FolderId};

use super::stop::Stop;
use super::writing::Writing;
use crate::pages::mail::act::parse_id;
use crate::pages::mail::compose::{WHOLE, whole_name};
use crate::pages::mail::open;

/// A message whose files go along.
struct Opened {
    id: (FolderId, u32),
    content: Content,
    structure: Structure,
}

impl Writing<'_> {
    /// Files of other messages go along (`folder.uid.part`), or these messages as a whole.
    /// A message is taken apart once for all files that are named one behind the other.
    pub async fn carry(&mut self, files: &[String]) -> Result<(), Stop> {
        let mut last: Option<Opened> = None;
        for file in files {
            let (message, number) = file.rsplit_once('.').ok_or(Stop::Stale)?;
            let id = parse_id(message).ok_or(Stop::Stale)?;
            let message = match last.take() {
                Some(known) if known.id == id => known,
                _ => self.opened(id).await?,
            };
            self.carry_file(&message, number).await?;
            last = Some(message);
        }
        Ok(())
    }

    async fn opened(&self, id: (FolderId, u32)) -> Result<Opened, Stop> {
        let (visit, account) = (self.visit, self.visitor.account);
        let found = open(visit, account, id.0, id.1).await?;
        let (_, content) = found.ok_or(Stop::Stale)?;
        let (store, own) = (visit.office.store.clone(), content.clone());
        let structure = visit
            .office
            .readers
            .message(account, content.message, move |budget| {
                reading::structure(&store, &own, budget)
            })
            .await?;
        Ok(Opened { id, content, structure })
    }

    /// `number` is that of a part, or the word for the whole message.
    async fn carry_file(&mut self, message: &Opened, number: &str) -> Result<(), Stop> {
        let Opened { content, structure, .. } = message;
        if number == WHOLE {
            return self.copy_message(&whole_name(structure), content, Extractor::whole()).await;
        }
        let number: usize = number.parse().map_err(|_| Stop::Stale)?;
        let part = structure.parts.get(number).ok_or(Stop::Stale)?;
        if part.is_message() {
            return self.carry_message(content, part).await;
        }
        let name = if part.file_name.is_empty() { "file" } else { &part.file_name };
        self.copy_file(&part.kind, name, content, Extractor::new(part)).await
    }

    /// A message that is a part goes along as it is (RFC 2046 §5.2.1: never encoded).
    /// If a line of it can't travel so, it goes along as octets.
    async fn carry_message(&mut self, content: &Content, part: &Part) -> Result<(), Stop> {
        let office = &self.visit.office;
        let (store, own, wanted) = (office.store.clone(), content.clone(), part.clone());
        let read = office.readers.message(self.visitor.account, content.message, move |budget| {
            let subject = reading::subject(&store, &own, std::slice::from_ref(&wanted), budget)?;
            Ok((subject, reading::travels_as_it_is(&store, &own, &wanted, budget)?))
        });
        let (subject, travels) = read.await?;
        let name = message_name(&part.file_name, &subject);
        if travels {
            self.copy_message(&name, content, Extractor::new(part)).await
        } else {
            let kind = "application/octet-stream";
            self.copy_file(kind, &name, content, Extractor::new(part)).await
        }
    }

    /// Copies a message as a part, as it is.
    async fn copy_message(
        &mut self,
        name: &str,
        content: &Content,
        extractor: Extractor,
    ) -> Result<(), Stop> {
        let header = draft::message_header(&self.boundary, name);
        self.write(header.as_bytes()).await?;
        self.copy(content, extractor, None).await?;
        Ok(self.write(b"\r\n").await?)
    }

    /// Copies a file as a part, in base64.
    async fn copy_file(
        &mut self,
        kind: &str,
        name: &str,
        content: &Content,
        extractor: Extractor,
    ) -> Result<(), Stop> {
        let header = draft::part_header(&self.boundary, kind, name);
        self.write(header.as_bytes()).await?;
        self.copy(content, extractor, Some(Lines::default())).await
    }

    /// Copies what an extractor takes out of a message, as lines of base64 or as it is.
    async fn copy(
        &mut self,
        content: &Content,
        mut extractor: Extractor,
        mut lines: Option<Lines>,
    ) -> Result<(), Stop> {
        let mut source = Source::new(&self.visit.office.store, content, Vec::new(), false);
        let mut is_over = false;
        while !is_over {
            let mut out = Vec::new();
            let piece = source.piece().await;
            match piece.map_err(|error| Error::Invalid { why: error.to_string() })? {
                Some(piece) => extractor.push(&piece, &mut out),
                None => is_over = true,
            }
            is_over |= extractor.is_over();
            if is_over {
                extractor.finish(&mut out);
            }
            match &mut lines {
                Some(lines) => self.write(lines.take(&out, is_over).as_bytes()).await?,
                None => self.write(&out).await?,
            }
        }
        Ok(())
    }
}
