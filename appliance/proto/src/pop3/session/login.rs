//! Before the login: capabilities, TLS, and the two ways to say who one is.

use crate::smtp::{Secret, base64};

use super::super::types::{Credentials, Expire, Offer, PlaintextLogin, Security};
use super::{Open, Session, State};

impl Session {
    fn may_log_in(&self) -> bool {
        self.security == Security::Tls || self.config.plaintext_login == PlaintextLogin::Allowed
    }

    fn offers_stls(&self) -> bool {
        self.security == Security::Plain
            && self.config.stls == Offer::Yes
            && self.maildrop.is_none()
    }

    /// RFC 2449 §5.
    pub(super) fn capa(&mut self) {
        self.ok("This server can");
        let mut lines: Vec<String> =
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8"]
                .map(String::from)
                .to_vec();
        lines.push(match self.config.expire {
            Expire::Never => "EXPIRE NEVER".into(),
            Expire::Days(days) => format!("EXPIRE {days}"),
        });
        if let Some(delay) = self.config.login_delay {
            lines.push(format!("LOGIN-DELAY {}", delay.as_secs()));
        }
        if self.maildrop.is_none() && self.may_log_in() {
            lines.extend(["USER".into(), "SASL PLAIN".into()]);
        }
        if self.offers_stls() {
            lines.push("STLS".into());
        }
        lines.push(format!("IMPLEMENTATION {}", self.config.implementation));
        for line in lines {
            self.put_text(&line);
        }
        self.output.extend_from_slice(b".\r\n");
    }

    pub(super) fn stls(&mut self) {
        if !self.offers_stls() {
            return self.error("TLS is on already, or not offered here");
        }
        // RFC 2595 §4: what was sent along in the clear may be an attacker's.
        (self.input, self.done) = (Vec::new(), 0);
        self.ok("Begin TLS now");
        self.state = State::StartTls;
    }

    fn refuse_plaintext(&mut self) -> bool {
        if self.may_log_in() {
            return false;
        }
        // RFC 3206 is about wrong credentials; this is about how they came, so there is no code.
        self.error("Passwords only under encryption: switch on SSL/TLS (port 995) or STARTTLS in your mail program");
        true
    }

    pub(super) fn user(&mut self, name: &str) {
        if self.refuse_plaintext() {
            return;
        }
        if name.is_empty() {
            return self.error("USER wants the full e-mail address");
        }
        self.user = Some(name.to_string());
        self.ok("Now the password");
    }

    pub(super) fn pass(&mut self, password: &str) {
        if self.refuse_plaintext() {
            return;
        }
        let Some(user) = self.user.take() else { return self.error("Say USER first") };
        let password = Secret::new(password.to_string());
        self.state = State::Asking(Open::Login(Credentials {
            authorization: String::new(),
            user,
            password,
        }));
    }

    /// RFC 5034 §4.
    pub(super) fn auth(&mut self, rest: &str) {
        if rest.is_empty() {
            self.ok("Mechanisms");
            let list: &[u8] = if self.may_log_in() { b"PLAIN\r\n.\r\n" } else { b".\r\n" };
            return self.output.extend_from_slice(list);
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !mechanism.eq_ignore_ascii_case("PLAIN") {
            return self.error("Use AUTH PLAIN, or USER and PASS");
        }
        if self.refuse_plaintext() {
            return;
        }
        match initial.trim() {
            "" => {
                self.output.extend_from_slice(b"+ \r\n");
                self.state = State::SaslResponse;
            }
            response => self.sasl(response),
        }
    }

    pub(super) fn sasl(&mut self, response: &str) {
        if response == "*" {
            return self.error("Login cancelled");
        }
        match sasl_plain(response) {
            Some(credentials) => self.state = State::Asking(Open::Login(credentials)),
            None => self.error("The login is not proper base64"),
        }
    }
}

/// RFC 4616: authorization identity, user name and password, separated by NUL, in base64.
fn sasl_plain(response: &str) -> Option<Credentials> {
    let text = String::from_utf8(base64::decode(response)?).ok()?;
    let mut parts = text.split('\0');
    let (authorization, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !user.is_empty()).then(|| Credentials {
        authorization: authorization.to_string(),
        user: user.to_string(),
        password: Secret::new(password.to_string()),
    })
}
