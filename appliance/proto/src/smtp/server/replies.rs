//! The session's own words.
//! Each says what is wrong and, where there is something to do, what.

use crate::reply::{Enhanced, Reply};
use crate::smtp::command::PathError;
use crate::smtp::config::Config;
use crate::smtp::params::ParamError;
use pillarbox_vocabulary::AddressError;

/// The greeting (RFC 5321 §4.2): the host name first.
pub fn greeting(config: &Config) -> Reply {
    Reply::plain(220, format!("{} ESMTP Pillarbox ready", config.hostname))
}

pub fn ok(text: &str) -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), text)
}

/// 500: not a command (RFC 5321 §4.2.4).
pub fn not_understood(text: &str) -> Reply {
    Reply::new(500, Enhanced(5, 5, 2), text)
}

/// 501: a command with wrong arguments.
pub fn bad_argument(text: impl Into<String>) -> Reply {
    Reply::new(501, Enhanced(5, 5, 4), text)
}

/// 503: a command at the wrong time.
pub fn bad_sequence(text: &str) -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), text)
}

/// 502: a command that this server does not have.
pub fn not_offered(text: &str) -> Reply {
    Reply::new(502, Enhanced(5, 5, 1), text)
}

pub fn line_too_long() -> Reply {
    Reply::new(500, Enhanced(5, 5, 6), "That line is too long")
}

/// After this the session closes: where the next command would begin is a matter of opinion.
pub fn bare_line_feed() -> Reply {
    not_understood("Lines must end with CR LF, not with LF alone; closing the connection")
}

pub fn not_the_web() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 5, 1),
        "This is a mail server, not a web server; closing the connection",
    )
}

pub fn turned_away() -> Reply {
    bad_sequence("This server takes no mail from you now; say QUIT")
}

pub fn timed_out(config: &Config) -> Reply {
    Reply::new(
        421,
        Enhanced(4, 4, 2),
        format!("{} waited too long for you; closing the connection", config.hostname),
    )
}

pub fn stopping(config: &Config) -> Reply {
    Reply::new(421, Enhanced(4, 3, 2), format!("{} is stopping; try again soon", config.hostname))
}

pub fn too_many_errors(config: &Config) -> Reply {
    Reply::new(
        421,
        Enhanced(4, 7, 0),
        format!("{} saw too many errors; closing the connection", config.hostname),
    )
}

pub fn too_many_commands(config: &Config) -> Reply {
    let text =
        format!("{} saw too many commands without mail; closing the connection", config.hostname);
    Reply::new(421, Enhanced(4, 7, 0), text)
}

pub fn too_many_messages(config: &Config) -> Reply {
    let text =
        format!("{} takes no more messages in this session; please connect again", config.hostname);
    Reply::new(421, Enhanced(4, 7, 0), text)
}

pub fn too_many_logins(config: &Config) -> Reply {
    Reply::new(
        421,
        Enhanced(4, 7, 0),
        format!("{} saw too many failed logins; closing the connection", config.hostname),
    )
}

pub fn too_many_recipients(most: usize) -> Reply {
    // RFC 5321 §4.5.3.1.10: 452, so that the peer sends the rest in another transaction.
    Reply::new(
        452,
        Enhanced(4, 5, 3),
        format!("A message can have {most} recipients here; send to the others separately"),
    )
}

pub fn too_big(most: u64) -> Reply {
    Reply::new(
        552,
        Enhanced(5, 3, 4),
        format!("The message is too big; this server takes up to {most} octets"),
    )
}

/// RFC 1870 §6.3: content beyond the size announced may be refused as too big.
pub fn bigger_than_announced() -> Reply {
    Reply::new(
        552,
        Enhanced(5, 3, 4),
        "The message is bigger than the SIZE that was announced for it",
    )
}

pub fn loops() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 4, 6),
        "The message has passed too many servers; it seems to go in circles",
    )
}

pub fn stray_line_end() -> Reply {
    Reply::new(
        554,
        Enhanced(5, 6, 0),
        "The message holds a CR or LF alone; every line must end with CR LF",
    )
}

pub fn no_valid_recipients() -> Reply {
    Reply::new(554, Enhanced(5, 5, 1), "No valid recipients; name one with RCPT first")
}

/// A fault of ours: the driver gave an answer that does not fit.
pub fn confused() -> Reply {
    Reply::new(451, Enhanced(4, 3, 0), "Something went wrong here; try again later")
}

/// The address of MAIL is not valid.
pub fn bad_sender(error: PathError) -> Reply {
    bad_path(error, "MAIL FROM:<user@example.org>", Enhanced(5, 1, 7), "sender")
}

/// The address of RCPT is not valid.
pub fn bad_recipient(error: PathError) -> Reply {
    bad_path(error, "RCPT TO:<user@example.org>", Enhanced(5, 1, 3), "recipient")
}

fn bad_path(error: PathError, model: &str, enhanced: Enhanced, whose: &str) -> Reply {
    match error {
        PathError::NoKeyword => bad_argument(format!("Write it as {model}")),
        PathError::NoBrackets => {
            bad_argument(format!("The address must stand in angle brackets: {model}"))
        }
        PathError::Address(error) => {
            Reply::new(501, enhanced, format!("Bad {whose} address: {error}"))
        }
    }
}

/// The recipient's address is empty.
pub fn empty_recipient() -> Reply {
    bad_recipient(PathError::Address(AddressError::NoDomain))
}

/// RFC 6531 §3.4.
pub fn needs_smtputf8() -> Reply {
    Reply::new(
        553,
        Enhanced(5, 6, 7),
        "An address with letters beyond ASCII needs the SMTPUTF8 parameter of MAIL",
    )
}

pub fn bad_parameter(error: ParamError) -> Reply {
    match error {
        ParamError::Unknown(name) => Reply::new(
            555,
            Enhanced(5, 5, 4),
            format!(
                "The parameter {} is not known here",
                name.chars().take(40).collect::<String>()
            ),
        ),
        ParamError::Bad(name) => {
            bad_argument(format!("The parameter {name} has no valid value, or stands there twice"))
        }
    }
}

/// RFC 5321 §2.3.8, RFC 5322 §2.1: a message has no NUL.
/// Some servers drop it, and then `CRLF NUL . CRLF` ends a message for them and not for others.
pub fn holds_nul() -> Reply {
    Reply::new(
        550,
        Enhanced(5, 6, 0),
        "The message holds NUL octets, which no mail may have; send such data as an attachment",
    )
}

/// RFC 1869 §4: parameters belong to a session that began with EHLO.
pub fn no_parameters_after_helo() -> Reply {
    Reply::new(555, Enhanced(5, 5, 4), "Parameters need a session that began with EHLO")
}

/// The reply to wrong credentials (RFC 4954 §6), in words that help with the usual mistake.
pub fn wrong_credentials() -> Reply {
    Reply::new(
        535,
        Enhanced(5, 7, 8),
        "Wrong user name or password. The user name is the full e-mail address",
    )
}
