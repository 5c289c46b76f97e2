//! A blocking connection, plain or under TLS.
//! Certificates are not checked: speed is measured, not trust.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Octets read at once.
const BUFFER: usize = 256 * 1024;

enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Transport {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(tcp) => tcp.read(out),
            Transport::Tls(tls) => tls.read(out),
        }
    }
}

/// A connection that speaks in lines.
pub struct Connection {
    stream: BufReader<Transport>,
    /// Ends of responses that were read along with earlier ones, and what came behind the last.
    ends_ahead: usize,
    tail: Vec<u8>,
}

impl Connection {
    /// Connects without TLS.
    pub fn plain(address: &str) -> io::Result<Connection> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        Ok(Connection::over(Transport::Plain(tcp)))
    }

    /// Goes over to TLS.
    pub fn into_tls(self, config: &Arc<ClientConfig>) -> io::Result<Connection> {
        let Transport::Plain(tcp) = self.stream.into_inner() else {
            return Err(io::Error::other("TLS is on already"));
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let tls = Transport::Tls(Box::new(StreamOwned::new(client, tcp)));
        Ok(Connection::over(tls))
    }

    fn over(transport: Transport) -> Connection {
        Connection {
            stream: BufReader::with_capacity(BUFFER, transport),
            ends_ahead: 0,
            tail: Vec::new(),
        }
    }

    /// Sends octets.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match self.stream.get_mut() {
            Transport::Plain(tcp) => tcp.write_all(octets),
            Transport::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
        }
    }

    /// The next line with its line end.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    /// An SMTP reply, all its lines; an error unless it is positive.
    pub fn smtp_reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let line = self.line()?;
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if is_last {
                break;
            }
        }
        if reply.starts_with(['2', '3']) { Ok(reply) } else { Err(io::Error::other(reply)) }
    }

    /// A POP3 status line; an error unless it is positive.
    pub fn pop3_status(&mut self) -> io::Result<String> {
        let line = self.line()?;
        if line.starts_with("+OK") { Ok(line) } else { Err(io::Error::other(line)) }
    }

    /// Reads past `count` ends of multi-line responses; returns the octets.
    pub fn skip_responses(&mut self, count: usize) -> io::Result<u64> {
        const END: &[u8] = b"\r\n.\r\n";
        let mut octets = 0;
        while self.ends_ahead < count {
            let piece = self.stream.fill_buf()?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length = piece.len();
            self.tail.extend_from_slice(piece);
            self.stream.consume(length);
            octets += length as u64;
            let mut last = 0;
            for at in memchr::memmem::find_iter(&self.tail, END) {
                self.ends_ahead += 1;
                last = at + END.len();
            }
            let keep = last.max(self.tail.len().saturating_sub(END.len() - 1));
            self.tail.drain(..keep);
        }
        self.ends_ahead -= count;
        Ok(octets)
    }

    /// Reads to the end of the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => Err(e),
            _ => Ok(rest),
        }
    }
}

/// A TLS client that takes any certificate.
pub fn tls() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
