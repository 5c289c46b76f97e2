//! What is sent of a message: its content as it is stored, or made into what another server needs.

use pillarbox_message::eight_bit::{Downgrade, Needs};
use pillarbox_store::{Content, ContentReader, Store, off_thread};

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;

/// The content of a stored message on its way out: fields in front, what belongs to final delivery left off.
pub struct Source {
    front: Vec<u8>,
    /// Octets that are left off.
    skip: usize,
    place: Place,
    downgrade: Option<Downgrade>,
    is_finished: bool,
}

/// Where the content is read.
enum Place {
    Start(Store, Content),
    Inline(Vec<u8>, usize),
    File(Box<ContentReader>),
}

impl Source {
    /// `front` is put before the content; with `to_seven_bits` wide content is converted.
    pub fn new(store: &Store, content: &Content, front: Vec<u8>, to_seven_bits: bool) -> Source {
        Source::converted(store, content, front, to_seven_bits.then_some(Needs::SEVEN_BITS))
    }

    /// The same, made into what another server needs.
    pub fn converted(
        store: &Store,
        content: &Content,
        front: Vec<u8>,
        needs: Option<Needs>,
    ) -> Source {
        Source {
            skip: content.delivery_octets(),
            front,
            place: Place::Start(store.clone(), content.clone()),
            downgrade: needs.map(Downgrade::new),
            is_finished: false,
        }
    }

    /// Content that is in no store.
    pub fn of_octets(octets: Vec<u8>) -> Source {
        Source {
            skip: 0,
            front: Vec::new(),
            place: Place::Inline(octets, 0),
            downgrade: None,
            is_finished: false,
        }
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> pillarbox_store::Result<Option<Vec<u8>>> {
        if !self.front.is_empty() {
            return Ok(Some(std::mem::take(&mut self.front)));
        }
        loop {
            if self.is_finished {
                return Ok(None);
            }
            let read = self.read().await?;
            let Some(downgrade) = &mut self.downgrade else {
                self.is_finished = read.is_none();
                return Ok(read);
            };
            let mut out = Vec::new();
            match read {
                Some(piece) => downgrade.push(&piece, &mut out),
                None => {
                    self.is_finished = true;
                    std::mem::replace(downgrade, Downgrade::new(Needs::SEVEN_BITS))
                        .finish(&mut out);
                }
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
    }

    async fn read(&mut self) -> pillarbox_store::Result<Option<Vec<u8>>> {
        if let Place::Start(store, content) = &self.place {
            let (store, content) = (store.clone(), content.clone());
            self.place = off_thread(move || match store.open_large(&content)? {
                Some(file) => Ok(Place::File(Box::new(file))),
                None => {
                    let mut octets = Vec::new();
                    store.read(|r| r.read_inline(&content, &mut octets))?;
                    Ok(Place::Inline(octets, 0))
                }
            })
            .await?;
        }
        let piece = match &mut self.place {
            Place::Start(..) => Vec::new(),
            Place::Inline(octets, from) => {
                let start = (*from).max(self.skip).min(octets.len());
                let end = (start + PIECE).min(octets.len());
                *from = end;
                self.skip = 0;
                octets[start..end].to_vec()
            }
            Place::File(_) => {
                let Place::File(mut file) =
                    std::mem::replace(&mut self.place, Place::Inline(Vec::new(), 0))
                else {
                    return Ok(None);
                };
                let skip = std::mem::take(&mut self.skip);
                let (file, piece) =
                    off_thread(move || read_behind(&mut file, skip).map(|piece| (file, piece)))
                        .await?;
                self.place = Place::File(file);
                piece
            }
        };
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// All of it, through a callback, on a thread that may block: for signing and counting.
    pub fn blocking(
        store: &Store,
        content: &Content,
        to_seven_bits: bool,
        take: &mut dyn FnMut(&[u8]),
    ) -> pillarbox_store::Result<()> {
        Source::blocking_converted(store, content, to_seven_bits.then_some(Needs::SEVEN_BITS), take)
    }

    /// The same, made into what another server needs.
    pub fn blocking_converted(
        store: &Store,
        content: &Content,
        needs: Option<Needs>,
        take: &mut dyn FnMut(&[u8]),
    ) -> pillarbox_store::Result<()> {
        let mut downgrade = needs.map(Downgrade::new);
        let mut give = |piece: &[u8]| match &mut downgrade {
            None => take(piece),
            Some(downgrade) => {
                let mut out = Vec::new();
                downgrade.push(piece, &mut out);
                take(&out);
            }
        };
        let mut skip = content.delivery_octets();
        match store.open_large(content)? {
            None => {
                let mut octets = Vec::new();
                store.read(|r| r.read_inline(content, &mut octets))?;
                give(&octets[skip.min(octets.len())..]);
            }
            Some(mut file) => {
                let mut piece = vec![0; PIECE];
                loop {
                    let count = file.read(&mut piece)?;
                    if count == 0 {
                        break;
                    }
                    let skipped = skip.min(count);
                    skip -= skipped;
                    give(&piece[skipped..count]);
                }
            }
        }
        if let Some(downgrade) = downgrade {
            let mut out = Vec::new();
            downgrade.finish(&mut out);
            take(&out);
        }
        Ok(())
    }
}

/// The next piece of a file after so many octets, which may be more than one read gives; empty at the end.
fn read_behind(file: &mut ContentReader, mut skip: usize) -> pillarbox_store::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = file.read(&mut piece)?;
        let skipped = skip.min(count);
        skip -= skipped;
        if count == 0 || skipped < count {
            piece.truncate(count);
            piece.drain(..skipped);
            return Ok(piece);
        }
    }
}
