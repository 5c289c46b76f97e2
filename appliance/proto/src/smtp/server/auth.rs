//! Logging in (RFC 4954) with PLAIN (RFC 4616) and LOGIN, which old mail programs insist on.
//!
//! Under TLS only: both mechanisms send the password as it is.

use super::{Asked, Hello, Phase, Session, replies};
use crate::reply::{Enhanced, Reply};
use crate::smtp::base64;
use crate::smtp::envelope::{Credentials, Secret};

/// A login on its way: what the next line is.
#[derive(Debug)]
pub enum Exchange {
    /// Authorization identity, user and password, separated by NUL.
    Plain,
    LoginUser,
    LoginPassword {
        user: String,
    },
}

/// `Username:` and `Password:`, the prompts of LOGIN that programs expect to the letter.
const LOGIN_USER: &str = "VXNlcm5hbWU6";
const LOGIN_PASSWORD: &str = "UGFzc3dvcmQ6";

/// 235 (RFC 4954 §6).
pub fn welcome() -> Reply {
    Reply::new(235, Enhanced(2, 7, 0), "You are logged in")
}

impl Session {
    pub(super) fn auth(&mut self, rest: &str) {
        if let Err(reply) = self.check_auth() {
            return self.say(&reply);
        }
        let (mechanism, initial) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let exchange = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => Exchange::Plain,
            "LOGIN" => Exchange::LoginUser,
            "" => {
                return self.say(&replies::bad_argument("AUTH takes a mechanism: PLAIN or LOGIN"));
            }
            _ => {
                return self.say(&Reply::new(
                    504,
                    Enhanced(5, 5, 4),
                    "This mechanism is not offered; use PLAIN or LOGIN",
                ));
            }
        };
        match (initial.trim(), &exchange) {
            ("", Exchange::Plain) => self.prompt(exchange, ""),
            ("", _) => self.prompt(exchange, LOGIN_USER),
            // RFC 4954 §4: "=" is an initial response of no octets.
            ("=", _) => self.auth_response(exchange, ""),
            (response, _) => self.auth_response(exchange, response),
        }
    }

    fn check_auth(&self) -> Result<(), Reply> {
        if !self.is_submission() {
            return Err(replies::not_offered(
                "Nobody logs in on this port; mail programs use port 465 or 587",
            ));
        }
        if !self.is_tls() {
            let text = "Switch on TLS (STARTTLS) first; passwords are not taken without it";
            return Err(Reply::new(538, Enhanced(5, 7, 11), text));
        }
        // RFC 4954 §3 has AUTH after EHLO.
        // Printers and scanners say HELO and log in all the same, and there is no way to teach them.
        if matches!(self.hello, Hello::None) {
            return Err(replies::bad_sequence("Say EHLO first"));
        }
        match (&self.identity, &self.envelope.mail) {
            (Some(_), _) => Err(replies::bad_sequence("You are already logged in")),
            (_, Some(_)) => Err(replies::bad_sequence("AUTH can't stand within a message")),
            _ => Ok(()),
        }
    }

    fn prompt(&mut self, exchange: Exchange, challenge: &str) {
        self.phase = Phase::Auth(exchange);
        self.say(&Reply::plain(334, challenge));
    }

    /// A line of an exchange.
    pub(super) fn auth_line(&mut self, line: &str) {
        let Phase::Auth(exchange) = std::mem::replace(&mut self.phase, Phase::Command) else {
            return;
        };
        match line {
            "*" => self.say(&Reply::new(501, Enhanced(5, 7, 0), "Login cancelled")),
            line => self.auth_response(exchange, line),
        }
    }

    fn auth_response(&mut self, exchange: Exchange, response: &str) {
        let Some(text) = base64::decode(response).and_then(|octets| String::from_utf8(octets).ok())
        else {
            return self.say(&Reply::new(
                501,
                Enhanced(5, 5, 2),
                "That is not UTF-8 text in base64",
            ));
        };
        match exchange {
            Exchange::Plain => match plain(&text) {
                Some(credentials) => self.check_credentials(credentials),
                None => self.say(&Reply::new(
                    501,
                    Enhanced(5, 5, 2),
                    "PLAIN needs user name and password, separated by NUL",
                )),
            },
            Exchange::LoginUser => {
                self.prompt(Exchange::LoginPassword { user: text }, LOGIN_PASSWORD)
            }
            Exchange::LoginPassword { user } => {
                let password = Secret::new(text);
                self.check_credentials(Credentials {
                    mechanism: "LOGIN",
                    authorization: String::new(),
                    user,
                    password,
                });
            }
        }
    }

    fn check_credentials(&mut self, credentials: Credentials) {
        match credentials.user.is_empty() || credentials.password.as_str().is_empty() {
            true => self.login_failed(&replies::wrong_credentials()),
            false => self.asked = Some(Asked::Authenticate(credentials)),
        }
    }

    /// Counts and tells a failed login; too many end the session.
    pub(super) fn login_failed(&mut self, reply: &Reply) {
        self.tally.failed_logins += 1;
        self.say(reply);
        if self.tally.failed_logins >= self.config.limits.failed_logins {
            self.say(&replies::too_many_logins(&self.config));
        }
    }
}

/// RFC 4616 §2: `authzid NUL authcid NUL passwd`.
fn plain(text: &str) -> Option<Credentials> {
    let mut parts = text.split('\0');
    let (authorization, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let password = Secret::new(password.to_string());
    let credentials = Credentials {
        mechanism: "PLAIN",
        authorization: authorization.to_string(),
        user: user.to_string(),
        password,
    };
    parts.next().is_none().then_some(credentials)
}
