//! ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).

use super::envelope::{Body, ForwardPath, MailCommand, Notify, Recipient, Ret, ReversePath};
use super::xtext;

/// Longest decoded envelope identifier (RFC 3461 §4.4).
const ENVID_OCTETS: usize = 100;
/// Longest encoded original recipient (RFC 3461 §4.2).
const ORCPT_OCTETS: usize = 500;

/// Why a parameter is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamError {
    /// The server doesn't know it: 555 (RFC 5321 §4.1.1.11).
    Unknown(String),
    /// Its value makes no sense, or it is there twice: 501.
    Bad(&'static str),
}

/// Whether the server offers delivery notices, and so knows their parameters (RFC 3461).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dsn {
    Offered,
    NotOffered,
}

/// Reads the parameters of MAIL (RFC 1870, 3461, 4954, 6152, 6531, 8689).
pub fn mail(reverse_path: ReversePath, text: &str, dsn: Dsn) -> Result<MailCommand, ParamError> {
    let mut mail = MailCommand {
        reverse_path,
        size: None,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        ret: None,
        envid: None,
        auth: None,
    };
    let mut body = None;
    for (name, value) in words(text) {
        match (name.to_ascii_uppercase().as_str(), value) {
            ("SIZE", value) => once(&mut mail.size, value.and_then(size), "SIZE")?,
            ("BODY", value) => {
                once(&mut body, value.and_then(parse_body), "BODY (7BIT or 8BITMIME)")?
            }
            ("SMTPUTF8", None) if !mail.smtputf8 => mail.smtputf8 = true,
            ("SMTPUTF8", _) => return Err(ParamError::Bad("SMTPUTF8")),
            ("REQUIRETLS", None) if !mail.requiretls => mail.requiretls = true,
            ("REQUIRETLS", _) => return Err(ParamError::Bad("REQUIRETLS")),
            // RFC 5321 §4.1.1.11: what was not offered is not known.
            ("RET" | "ENVID", _) if dsn == Dsn::NotOffered => {
                return Err(ParamError::Unknown(name.to_string()));
            }
            ("RET", value) => once(&mut mail.ret, value.and_then(ret), "RET (FULL or HDRS)")?,
            ("ENVID", value) => once(&mut mail.envid, value.and_then(envid), "ENVID")?,
            ("AUTH", value) => once(&mut mail.auth, value.and_then(xtext::decode), "AUTH")?,
            _ => return Err(ParamError::Unknown(name.to_string())),
        }
    }
    mail.body = body.unwrap_or_default();
    Ok(mail)
}

/// Reads the parameters of RCPT (RFC 3461).
pub fn recipient(path: ForwardPath, text: &str, dsn: Dsn) -> Result<Recipient, ParamError> {
    let mut recipient = Recipient { path, notify: None, orcpt: None };
    for (name, value) in words(text) {
        match (name.to_ascii_uppercase().as_str(), value) {
            ("NOTIFY" | "ORCPT", _) if dsn == Dsn::NotOffered => {
                return Err(ParamError::Unknown(name.to_string()));
            }
            ("NOTIFY", value) => once(&mut recipient.notify, value.and_then(notify), "NOTIFY")?,
            ("ORCPT", value) => once(&mut recipient.orcpt, value.and_then(orcpt), "ORCPT")?,
            _ => return Err(ParamError::Unknown(name.to_string())),
        }
    }
    Ok(recipient)
}

fn words(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split([' ', '\t']).filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

/// Sets a parameter that has a value and is there once.
fn once<T>(slot: &mut Option<T>, value: Option<T>, name: &'static str) -> Result<(), ParamError> {
    match (&slot, value) {
        (None, Some(value)) => {
            *slot = Some(value);
            Ok(())
        }
        _ => Err(ParamError::Bad(name)),
    }
}

/// Up to 20 digits (RFC 1870 §5); what is beyond 64 bits is too big in any case.
fn size(value: &str) -> Option<u64> {
    let is_number = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

fn parse_body(value: &str) -> Option<Body> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(Body::SevenBit),
        "8BITMIME" => Some(Body::EightBitMime),
        _ => None,
    }
}

fn ret(value: &str) -> Option<Ret> {
    match value.to_ascii_uppercase().as_str() {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

fn envid(value: &str) -> Option<String> {
    xtext::decode(value).filter(|id| (1..=ENVID_OCTETS).contains(&id.len()))
}

fn notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        let slot = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return None,
        };
        if std::mem::replace(slot, true) {
            return None;
        }
    }
    Some(notify)
}

fn orcpt(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';')?;
    let is_atom = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address = xtext::decode(address).filter(|a| !a.is_empty())?;
    (is_atom && value.len() <= ORCPT_OCTETS).then(|| format!("{kind};{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<MailCommand, ParamError> {
        mail(ReversePath::Null, text, Dsn::Offered)
    }

    #[test]
    fn mail_parameters() {
        let all =
            parsed(" size=42  body=8bitmime SMTPUTF8 RequireTLS RET=hdrs ENVID=a+2Bb AUTH=<>")
                .unwrap();
        let expected = MailCommand {
            reverse_path: ReversePath::Null,
            size: Some(42),
            body: Body::EightBitMime,
            smtputf8: true,
            requiretls: true,
            ret: Some(Ret::Headers),
            envid: Some("a+b".into()),
            auth: Some("<>".into()),
        };
        assert_eq!(all, expected);
        assert_eq!(parsed("SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
        assert_eq!(parsed("").unwrap().size, None);
    }

    #[test]
    fn bad_mail_parameters() {
        for text in [
            "SIZE", "SIZE=", "SIZE=-1", "SIZE=1 SIZE=1", "BODY=BINARYMIME", "SMTPUTF8=1",
            "RET=SOME", "ENVID=", "AUTH",
        ] {
            assert!(matches!(parsed(text), Err(ParamError::Bad(_))), "{text}");
        }
        for text in ["XSPECIAL", "NOTIFY=NEVER", "=", "X=Y=Z"] {
            assert!(matches!(parsed(text), Err(ParamError::Unknown(_))), "{text}");
        }
    }

    #[test]
    fn parameters_of_notices_are_unknown_where_notices_are_not_offered() {
        for text in ["RET=HDRS", "ret=full", "RET", "RET=SOME", "ENVID=x", "SIZE=1 ENVID="] {
            let answer = mail(ReversePath::Null, text, Dsn::NotOffered);
            assert!(matches!(answer, Err(ParamError::Unknown(name)) if name.len() <= 5), "{text}");
        }
        for text in ["NOTIFY=NEVER", "NOTIFY=SOON", "ORCPT=rfc822;a", "orcpt"] {
            assert!(
                matches!(
                    recipient(ForwardPath::Postmaster, text, Dsn::NotOffered),
                    Err(ParamError::Unknown(_))
                ),
                "{text}"
            );
        }
        assert!(mail(ReversePath::Null, "SIZE=1 BODY=8BITMIME SMTPUTF8", Dsn::NotOffered).is_ok());
    }

    #[test]
    fn recipient_parameters() {
        let parsed = |text| recipient(ForwardPath::Postmaster, text, Dsn::Offered);
        let both = parsed("NOTIFY=success,DELAY ORCPT=rfc822;Ann+2Bx@example.org").unwrap();
        assert_eq!(both.notify, Some(Notify { success: true, failure: false, delay: true }));
        assert_eq!(both.orcpt.as_deref(), Some("rfc822;Ann+x@example.org"));
        assert_eq!(parsed("NOTIFY=NEVER").unwrap().notify, Some(Notify::NEVER));
        for text in [
            "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,DELAY", "ORCPT=ann", "ORCPT=;a",
            "ORCPT=rfc822;", "ORCPT=rfc822;a+0Ab",
        ] {
            assert!(matches!(parsed(text), Err(ParamError::Bad(_))), "{text}");
        }
    }
}
