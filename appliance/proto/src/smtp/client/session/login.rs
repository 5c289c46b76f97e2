//! From the list of extensions to a session that can send: TLS (RFC 3207) and login (RFC 4954).

use super::{Expect, Phase, Session};
use crate::reply::Reply;
use crate::smtp::base64;
use crate::smtp::client::types::{Failure, Stage, StartTls};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Login,
}

impl Session {
    /// What comes after the list of extensions: TLS, then the login.
    pub(super) fn after_hello(&mut self) {
        if !self.is_secure && self.config.starttls != StartTls::Never {
            if self.peer.starttls {
                return self.queue("STARTTLS".into(), Expect::StartTls);
            }
            if self.config.starttls == StartTls::Must {
                return self.fail(Failure::NoTls);
            }
        }
        match self.config.login.is_some() && !self.is_logged_in {
            true => self.log_in(),
            false => self.phase = Phase::Ready,
        }
    }

    fn log_in(&mut self) {
        let Some(login) = self.config.login.clone() else { return };
        let has = |name: &str| self.peer.auth.iter().any(|m| m == name);
        if self.is_secure && has("PLAIN") {
            let message = format!("\0{}\0{}", login.user, login.password.as_str());
            let command = format!("AUTH PLAIN {}", base64::encode(message.as_bytes()));
            self.queue(command, Expect::Auth(Mechanism::Plain, 0));
        } else if self.is_secure && has("LOGIN") {
            self.queue("AUTH LOGIN".into(), Expect::Auth(Mechanism::Login, 0));
        } else {
            self.fail(Failure::NoLogin);
        }
    }

    /// The next step of the exchange, or its end.
    pub(super) fn auth(&mut self, mechanism: Mechanism, step: u8, reply: Reply) {
        if reply.code / 100 == 2 {
            self.is_logged_in = true;
            self.phase = Phase::Ready;
            return;
        }
        let Some(login) = self.config.login.clone() else { return };
        let answer = match (mechanism, step) {
            (Mechanism::Login, 0) => base64::encode(login.user.as_bytes()),
            (Mechanism::Login, 1) => base64::encode(login.password.as_str().as_bytes()),
            // It overlooked the initial response.
            (Mechanism::Plain, 0) => {
                base64::encode(format!("\0{}\0{}", login.user, login.password.as_str()).as_bytes())
            }
            _ => return self.fail(Failure::NotSmtp { stage: Stage::Login }),
        };
        self.queue(answer, Expect::Auth(mechanism, step + 1));
    }
}
