//! The files of a message: one, those in a `winmail.dat`, all of them in one, the message itself.
//! All of it streams.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pillarbox_message::extract::Extractor;
use pillarbox_message::names::{disposition, distinct, message_name};
use pillarbox_message::structure::{Part, Structure};
use pillarbox_outbound::Source;
use pillarbox_store::{Content, FolderId};
use serde::Deserialize;
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;

use super::{failed, missing, open, unread};
use crate::error::Error;
use crate::session::{Person, Visit, Visitor};
use crate::stream;
use pillarbox_office::mail::reading;

/// What a file is shown under when it is opened in the browser: as nothing but itself.
const FILE: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox";
/// Kinds that browsers show as pictures and nothing else.
pub const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Pieces that wait for a slow browser.
const WAITING: usize = 2;

#[derive(Deserialize)]
pub struct FileAsked {
    /// Any value: shown in the browser, if it is a picture, instead of saved.
    #[serde(default)]
    open: String,
}

/// A message of the visitor's with its structure.
pub async fn taken_apart(
    visit: &Visit,
    visitor: &Visitor,
    folder: u32,
    uid: u32,
) -> Result<(Content, Structure), Response> {
    let content = match open(visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => content,
        Ok(None) => return Err(missing(visit)),
        Err(error) => return Err(failed(visit, &error)),
    };
    let (store, own) = (visit.office.store.clone(), content.clone());
    let read = visit
        .office
        .readers
        .message(visitor.account, content.message, move |budget| {
            reading::structure(&store, &own, budget)
        })
        .await;
    let structure = read.map_err(|why| unread(visit, &why))?;
    Ok((content, structure))
}

/// One part as a file.
pub async fn part(
    Person(visit, visitor): Person,
    Path((folder, uid, way)): Path<(u32, u32, String)>,
    Query(asked): Query<FileAsked>,
) -> Response {
    let (content, structure) = match taken_apart(&visit, &visitor, folder, uid).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Ok(numbers) = way.split('.').map(str::parse).collect::<Result<Vec<usize>, _>>() else {
        return missing(&visit);
    };
    let (store, own) = (visit.office.store.clone(), content.clone());
    let reached = visit.office.readers.message(visitor.account, content.message, move |budget| {
        let Some(parts) = reading::reached(&store, &own, &structure, &numbers, budget)? else {
            return Ok(None);
        };
        let subject = match parts.last() {
            // Its beginning says what it is about.
            Some(part) if part.is_message() && part.file_name.is_empty() => {
                reading::subject(&store, &own, &parts, budget)?
            }
            _ => String::new(),
        };
        Ok(Some((parts, subject)))
    });
    let (parts, subject) = match reached.await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(&visit),
        Err(why) => return unread(&visit, &why),
    };
    let Some(part) = parts.last() else { return missing(&visit) };
    let is_shown = !asked.open.is_empty() && PICTURES.contains(&part.kind.as_str());
    let kind = if is_shown { part.kind.clone() } else { "application/octet-stream".into() };
    let name = match part.file_name.is_empty() {
        _ if part.is_message() => message_name(&part.file_name, &subject),
        true => format!("part-{way}"),
        false => part.file_name.clone(),
    };
    let disposition = disposition(&name, if is_shown { "inline" } else { "attachment" });
    file(&kind, disposition, body(&visit, content, Extractor::along(&parts), 0, u64::MAX))
}

/// A file in a `winmail.dat`.
pub async fn inside(
    Person(visit, visitor): Person,
    Path((folder, uid, number, at)): Path<(u32, u32, usize, usize)>,
) -> Response {
    let (content, structure) = match taken_apart(&visit, &visitor, folder, uid).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Some(part) = structure.parts.into_iter().nth(number) else { return missing(&visit) };
    let (store, own, wrapping) = (visit.office.store.clone(), content.clone(), part.clone());
    let read = visit.office.readers.message(visitor.account, content.message, move |budget| {
        reading::winmail(&store, &own, &wrapping, budget)
    });
    let found = match read.await {
        Ok(winmail) => winmail.files.into_iter().nth(at),
        Err(why) => return unread(&visit, &why),
    };
    let Some(found) = found else { return missing(&visit) };
    let name = if found.name.is_empty() { format!("file-{at}") } else { found.name };
    file(
        "application/octet-stream",
        disposition(&name, "attachment"),
        body(&visit, content, Extractor::new(&part), found.start, found.end),
    )
}

/// The message as it came.
pub async fn raw(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
) -> Response {
    match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => {
            let disposition = disposition(&format!("message-{uid}.eml"), "attachment");
            file(
                "message/rfc822",
                disposition,
                body(&visit, content, Extractor::whole(), 0, u64::MAX),
            )
        }
        Ok(None) => missing(&visit),
        Err(error) => failed(&visit, &error),
    }
}

/// All files of a message in one, each as it is: what travels as files is mostly packed already.
pub async fn all(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
) -> Response {
    let (content, structure) = match taken_apart(&visit, &visitor, folder, uid).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let parts: Vec<Part> =
        structure.attachments().into_iter().map(|(_, part)| part.clone()).collect();
    if parts.is_empty() {
        return missing(&visit);
    }
    let (sender, receiver) = mpsc::channel(WAITING);
    let office = visit.office.clone();
    tokio::spawn(async move {
        let mut source = Source::new(&office.store, &content, Vec::new(), false);
        if let Err(why) = pack(&mut source, parts, &sender).await {
            tracing::warn!(%why, "the files of a message can't be packed");
            let _ = sender.send(Err(why)).await;
        }
    });
    file(
        "application/zip",
        disposition(&format!("message-{uid}.zip"), "attachment"),
        Body::new(stream::Octets::new(receiver)),
    )
}

/// Octets on their way out of the packer.
#[derive(Clone, Default)]
struct Outlet(Arc<Mutex<Vec<u8>>>);

impl Outlet {
    fn drain(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner())).into()
    }
}

impl Write for Outlet {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads the message once: its parts lie one behind the other.
async fn pack(
    source: &mut Source,
    parts: Vec<Part>,
    sender: &mpsc::Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    let names =
        distinct(parts.iter().enumerate().map(|(at, part)| match part.file_name.is_empty() {
            _ if part.is_message() => message_name(&part.file_name, ""),
            true => format!("part-{}", at + 1),
            false => part.file_name.clone(),
        }));
    let mut waiting: Vec<(Extractor, String)> =
        parts.iter().map(Extractor::new).zip(names).collect();
    let outlet = Outlet::default();
    let mut packer = zip::ZipWriter::new_stream(outlet.clone());
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .large_file(false);
    let wrong = |error: zip::result::ZipError| Error::Packing { why: error.to_string() };
    let (mut is_begun, mut out) = (false, Vec::new());
    while let Some(piece) = source.piece().await? {
        for (extractor, name) in &mut waiting {
            extractor.push(&piece, &mut out);
            if extractor.is_over() {
                extractor.finish(&mut out);
            }
            if out.is_empty() && !extractor.is_over() {
                continue;
            }
            if !is_begun {
                packer.start_file(name.as_str(), options).map_err(wrong)?;
            }
            packer.write_all(&out).map_err(|error| wrong(error.into()))?;
            out.clear();
            is_begun = !extractor.is_over();
        }
        waiting.retain(|(extractor, _)| !extractor.is_over());
        // A browser that has gone ends it.
        sender.send(Ok(outlet.drain())).await.map_err(|_| Error::BrowserGone)?;
    }
    packer.finish().map_err(wrong)?;
    sender.send(Ok(outlet.drain())).await.map_err(|_| Error::BrowserGone)
}

fn file(kind: &str, disposition: String, body: Body) -> Response {
    let mut response = (
        [(header::CONTENT_TYPE, kind.to_string()), (header::CONTENT_DISPOSITION, disposition)],
        body,
    )
        .into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FILE));
    response
}

/// What an extractor takes out of a message, from one octet up to another.
fn body(visit: &Visit, content: Content, mut extractor: Extractor, from: u64, to: u64) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    let store = visit.office.store.clone();
    tokio::spawn(async move {
        let mut source = Source::new(&store, &content, Vec::new(), false);
        let mut at = 0u64;
        let mut cut = |mut out: Vec<u8>| {
            let end = at + out.len() as u64;
            let (first, last) = (from.clamp(at, end) - at, to.clamp(at, end) - at);
            at = end;
            out.truncate(last as usize);
            out.drain(..first as usize);
            Bytes::from(out)
        };
        while !extractor.is_over() {
            let mut out = Vec::new();
            match source.piece().await {
                Ok(Some(piece)) => extractor.push(&piece, &mut out),
                Ok(None) => break,
                Err(why) => {
                    tracing::warn!(%why, "a file can't be read");
                    let _ = sender.send(Err(why.into())).await;
                    return;
                }
            }
            // A browser that has gone is no failure.
            if sender.send(Ok(cut(out))).await.is_err() {
                return;
            }
        }
        let mut out = Vec::new();
        extractor.finish(&mut out);
        let _ = sender.send(Ok(cut(out))).await;
    });
    Body::new(stream::Octets::new(receiver))
}
