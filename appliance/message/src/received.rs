//! What a trace field says (RFC 5321 §4.4), read from its text without the name.
//! Plain searches: they are for fields that the box itself wrote.

/// The protocol that it names after `with`, or an empty text.
pub fn protocol(received: &str) -> &str {
    received
        .split_once(" with ")
        .and_then(|(_, rest)| rest.split([' ', ';']).next())
        .unwrap_or_default()
}

/// The recipient that it names (`for <ann+shop@example.org>`), which it does where there is one only.
pub fn recipient(received: &str) -> Option<&str> {
    let (address, _) = received.split_once(" for <")?.1.split_once('>')?;
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_names_protocol_and_recipient_or_neither() {
        let whole = "from a by b with ESMTPS id 1 for <ann+shop@b.example>; x";
        assert_eq!((protocol(whole), recipient(whole)), ("ESMTPS", Some("ann+shop@b.example")));
        assert_eq!((protocol("by b with HTTP; x"), recipient("by b with HTTP; x")), ("HTTP", None));
        assert_eq!((protocol(""), recipient("for <a; x")), ("", None));
    }
}
