//! A server as its reply to EHLO describes it, and the commands as they are said to one that can so much.

use super::types::{Mailing, Target};
use crate::reply::{Enhanced, Reply};
use crate::smtp::envelope::{Body, Notify, Ret};
use crate::smtp::xtext;

/// What the server said of itself in its reply to EHLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    pub pipelining: bool,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub starttls: bool,
    pub dsn: bool,
    pub requiretls: bool,
    /// `Some(0)`: it declares sizes but no limit.
    pub size: Option<u64>,
    /// SASL mechanisms, upper case.
    pub auth: Vec<String>,
}

impl Peer {
    /// Reads the reply to EHLO (RFC 5321 §4.1.1.1); what is unknown does not matter.
    pub(super) fn of(reply: &Reply) -> Peer {
        let mut peer = Peer::default();
        for line in reply.lines.iter().skip(1) {
            // Some old servers write `AUTH=LOGIN PLAIN`.
            let mut words =
                line.split([' ', '=']).filter(|w| !w.is_empty()).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("PIPELINING") => peer.pipelining = true,
                Some("8BITMIME") => peer.eight_bit_mime = true,
                Some("SMTPUTF8") => peer.smtputf8 = true,
                Some("STARTTLS") => peer.starttls = true,
                Some("DSN") => peer.dsn = true,
                Some("REQUIRETLS") => peer.requiretls = true,
                Some("SIZE") => {
                    peer.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0))
                }
                Some("AUTH") => peer.auth.extend(words),
                _ => {}
            }
        }
        peer
    }

    /// A reason why this server cannot take this message, known before anything is said.
    pub(super) fn impossible(&self, mailing: &Mailing, is_secure: bool) -> Option<Reply> {
        if let Some(limit) = self.size
            && limit > 0
            && mailing.octets > limit
        {
            let text = format!(
                "The message has {} octets; that server takes at most {limit}",
                mailing.octets
            );
            return Some(Reply::new(552, Enhanced(5, 3, 4), text));
        }
        if mailing.smtputf8 && !self.smtputf8 {
            let text = "That server takes no addresses or header fields beyond ASCII (SMTPUTF8)";
            return Some(Reply::new(550, Enhanced(5, 6, 7), text));
        }
        if mailing.requiretls && !(is_secure && self.requiretls) {
            let text = "That server does not promise to pass mail on under TLS only (REQUIRETLS)";
            return Some(Reply::new(550, Enhanced(5, 7, 30), text));
        }
        None
    }

    /// MAIL FROM with the parameters that this server knows (RFC 5321 §4.1.1.2).
    pub(super) fn mail_command(&self, mailing: &Mailing) -> String {
        let mut command = format!("MAIL FROM:<{}>", mailing.reverse_path);
        if self.size.is_some() {
            command.push_str(&format!(" SIZE={}", mailing.octets));
        }
        if self.eight_bit_mime && mailing.body == Body::EightBitMime {
            command.push_str(" BODY=8BITMIME");
        }
        if mailing.smtputf8 {
            command.push_str(" SMTPUTF8");
        }
        if mailing.requiretls {
            command.push_str(" REQUIRETLS");
        }
        if self.dsn {
            match mailing.ret {
                Some(Ret::Full) => command.push_str(" RET=FULL"),
                Some(Ret::Headers) => command.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(envid) = &mailing.envid {
                command.push_str(&format!(" ENVID={}", xtext::encode(envid)));
            }
        }
        command
    }

    /// RCPT TO with the parameters that this server knows (RFC 5321 §4.1.1.3, RFC 3461 §4).
    pub(super) fn rcpt_command(&self, recipient: &Target) -> String {
        let mut command = format!("RCPT TO:<{}>", recipient.address);
        if self.dsn {
            if let Some(notify) = recipient.notify {
                command.push_str(&format!(" NOTIFY={}", notify_text(notify)));
            }
            if let Some((kind, address)) =
                recipient.orcpt.as_deref().and_then(|o| o.split_once(';'))
            {
                command.push_str(&format!(" ORCPT={kind};{}", xtext::encode(address)));
            }
        }
        command
    }
}

fn notify_text(notify: Notify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
    if words.is_empty() { "NEVER".into() } else { words.join(",") }
}
