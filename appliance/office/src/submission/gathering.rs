//! The header of a submitted message, gathered as it comes in.

/// Longest header of a submitted message, in octets.
pub const HEADER_OCTETS: usize = 256 * 1024;

/// Gathers the header of a message on its way in.
#[derive(Default)]
pub struct Gathering {
    header: Vec<u8>,
}

/// What gathering came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered {
    More,
    /// The header with its empty line, and what follows it.
    Header(Vec<u8>, Vec<u8>),
    TooLong,
}

impl Gathering {
    pub fn push(&mut self, octets: &[u8]) -> Gathered {
        let from = self.header.len().saturating_sub(3);
        self.header.extend_from_slice(octets);
        let end = match self.header.starts_with(b"\r\n") {
            true => Some(2),
            false => {
                memchr::memmem::find(&self.header[from..], b"\r\n\r\n").map(|at| from + at + 4)
            }
        };
        match end {
            Some(end) => {
                let rest = self.header.split_off(end);
                Gathered::Header(std::mem::take(&mut self.header), rest)
            }
            None if self.header.len() > HEADER_OCTETS => Gathered::TooLong,
            None => Gathered::More,
        }
    }

    /// The content ended: all of it is header.
    pub fn finish(self) -> Vec<u8> {
        self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_gathered_however_it_is_cut() {
        let content = b"From: a\r\nTo: b\r\n\r\nbody\r\n\r\nmore";
        for piece in 1..=content.len() {
            let mut gathering = Gathering::default();
            let mut body = Vec::new();
            let mut header = None;
            for chunk in content.chunks(piece) {
                match (&header, chunk) {
                    (Some(_), chunk) => body.extend_from_slice(chunk),
                    (None, chunk) => {
                        if let Gathered::Header(whole, rest) = gathering.push(chunk) {
                            header = Some(whole);
                            body = rest;
                        }
                    }
                }
            }
            assert_eq!(header.unwrap(), b"From: a\r\nTo: b\r\n\r\n");
            assert_eq!(body, b"body\r\n\r\nmore");
        }
        assert_eq!(
            Gathering::default().push(b"\r\nbody"),
            Gathered::Header(b"\r\n".to_vec(), b"body".to_vec())
        );
        assert_eq!(Gathering::default().push(&vec![b'x'; HEADER_OCTETS + 1]), Gathered::TooLong);
    }
}
