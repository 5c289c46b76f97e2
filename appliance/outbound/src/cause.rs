//! Why mail could not be delivered, in plain words: what happened, whose fault it likely is, what to do.

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    NoSuchAddress,
    NoSuchDomain,
    TakesNoMail,
    MailboxFull,
    TooLarge,
    Blocked,
    NotAuthenticated,
    TooMany,
    Unreachable,
    Tls,
    NotAscii,
    Loop,
    Provider,
    GivenUp,
    Busy,
    Other,
}

/// A language of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

/// Three sentences for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub what: &'static str,
    pub whose: &'static str,
    pub advice: &'static str,
}

/// The server and its words in a detail as the ledger keeps it: `mx.example.net said: 550 5.1.1 No such user`.
pub fn said(detail: &str) -> (Option<&str>, &str) {
    match detail.split_once(" said: ") {
        Some((host, reply)) if !host.contains(' ') => (Some(host), reply),
        _ => (None, detail),
    }
}

/// The enhanced status code in a detail (RFC 3463), or the one that its reply code stands for.
pub fn status(detail: &str, is_permanent: bool) -> String {
    let (_, reply) = said(detail);
    let is_status = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && matches!(parts[0], "2" | "4" | "5")
            && parts[1..].iter().all(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let found = reply.split(' ').take(2).find(is_status);
    let class = if is_permanent { '5' } else { '4' };
    match found {
        // A message that was given up failed, whatever class its last delay had.
        Some(status) if is_permanent => format!("5{}", &status[1..]),
        Some(status) => status.to_string(),
        None => format!("{class}.0.0"),
    }
}

/// Recognises the cause by status code, then by words that many servers use.
pub fn cause(detail: &str) -> Cause {
    let (host, reply) = said(detail);
    let status = status(detail, false);
    let words = reply.to_lowercase();
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    if words.starts_with("given up by") {
        return Cause::GivenUp;
    }
    match status.get(2..).unwrap_or_default() {
        "1.1" | "1.6" | "1.3" | "2.1" if host.is_some() => return Cause::NoSuchAddress,
        "1.2" => return Cause::NoSuchDomain,
        "1.10" => return Cause::TakesNoMail,
        "2.2" => return Cause::MailboxFull,
        "2.3" | "3.4" => return Cause::TooLarge,
        "4.6" => return Cause::Loop,
        "6.7" | "6.8" => return Cause::NotAscii,
        "7.8" | "7.9" => return Cause::Provider,
        "7.10" | "7.30" => return Cause::Tls,
        "7.20" | "7.21" | "7.22" | "7.23" | "7.24" | "7.25" | "7.26" | "7.27" => return Cause::NotAuthenticated,
        "4.1" | "4.2" | "4.4" | "4.3" if host.is_none() => return Cause::Unreachable,
        _ => {}
    }
    if has(&["spf", "dkim", "dmarc", "unauthenticated", "reverse dns", "ptr record"]) {
        Cause::NotAuthenticated
    } else if has(&["quota", "mailbox full", "mailbox is full", "over quota", "insufficient storage"]) {
        Cause::MailboxFull
    } else if has(&["spam", "block", "blacklist", "reputation", "listed", "banned", "policy", "rejected by"]) {
        Cause::Blocked
    } else if has(&["user unknown", "no such user", "unknown user", "unknown recipient", "does not exist", "mailbox unavailable"]) {
        Cause::NoSuchAddress
    } else if has(&["too large", "too big", "exceeds", "size limit"]) {
        Cause::TooLarge
    } else if has(&["rate", "too many"]) {
        Cause::TooMany
    } else if reply.starts_with('4') {
        Cause::Busy
    } else {
        Cause::Other
    }
}

impl Cause {
    /// What happened, whose fault it likely is, and what to do.
    pub fn explain(self, language: Language) -> Explanation {
        let (english, german) = self.texts();
        let [what, whose, advice] = match language {
            Language::English => english,
            Language::German => german,
        };
        Explanation { what, whose, advice }
    }

    fn texts(self) -> ([&'static str; 3], [&'static str; 3]) {
        match self {
            Cause::NoSuchAddress => (
                [
                    "The recipient's server says that this address does not exist.",
                    "Most likely the address has a typing error, or the person has left.",
                    "Check the spelling and send the message again, or ask the person for the address by telephone.",
                ],
                [
                    "Der Server des Empfängers sagt, dass es diese Adresse nicht gibt.",
                    "Wahrscheinlich ist die Adresse falsch geschrieben, oder die Person ist nicht mehr dort.",
                    "Prüfen Sie die Schreibweise und senden Sie noch einmal, oder fragen Sie am Telefon nach der Adresse.",
                ],
            ),
            Cause::NoSuchDomain => (
                [
                    "The part of the address after the @ does not exist on the internet.",
                    "Most likely it has a typing error.",
                    "Check the spelling and send the message again.",
                ],
                [
                    "Den Teil der Adresse nach dem @ gibt es im Internet nicht.",
                    "Wahrscheinlich ist er falsch geschrieben.",
                    "Prüfen Sie die Schreibweise und senden Sie noch einmal.",
                ],
            ),
            Cause::TakesNoMail => (
                [
                    "The domain of this address says that it takes no mail at all.",
                    "The address can't be right, or the domain is not used for mail.",
                    "Look for another address of the recipient, for example on their web page.",
                ],
                [
                    "Die Domain dieser Adresse sagt, dass sie überhaupt keine Post annimmt.",
                    "Die Adresse kann nicht stimmen, oder die Domain wird nicht für Post benutzt.",
                    "Suchen Sie eine andere Adresse des Empfängers, zum Beispiel auf seiner Webseite.",
                ],
            ),
            Cause::MailboxFull => (
                [
                    "The recipient's mailbox is full.",
                    "Only the recipient can change that.",
                    "Tell the recipient by other means, and send the message again later.",
                ],
                [
                    "Das Postfach des Empfängers ist voll.",
                    "Das kann nur der Empfänger ändern.",
                    "Sagen Sie es dem Empfänger auf anderem Weg, und senden Sie später noch einmal.",
                ],
            ),
            Cause::TooLarge => (
                [
                    "The message is larger than the recipient's server takes.",
                    "It is a limit over there.",
                    "Send it with smaller attachments, in parts, or share the files in another way.",
                ],
                [
                    "Die Nachricht ist größer, als der Server des Empfängers annimmt.",
                    "Das ist eine Grenze dort.",
                    "Senden Sie sie mit kleineren Anhängen oder in Teilen, oder geben Sie die Dateien anders weiter.",
                ],
            ),
            Cause::Blocked => (
                [
                    "The recipient's server refused the message by its rules against unwanted mail.",
                    "Often the sending address or line is on a block list; the message itself is rarely the reason.",
                    "Tell whoever looks after this mail box, and show them the answer of the other server below.",
                ],
                [
                    "Der Server des Empfängers hat die Nachricht nach seinen Regeln gegen unerwünschte Post abgelehnt.",
                    "Oft steht die Absenderadresse oder der Anschluss auf einer Sperrliste; an der Nachricht selbst liegt es selten.",
                    "Zeigen Sie die Antwort des anderen Servers unten der Person, die sich um diese Mail-Box kümmert.",
                ],
            ),
            Cause::NotAuthenticated => (
                [
                    "The recipient's server could not verify that the message really comes from you.",
                    "Most likely a DNS record of your domain (SPF, DKIM, reverse DNS) is missing or wrong.",
                    "Tell whoever looks after this mail box; the records are listed by `pillarbox domain records`.",
                ],
                [
                    "Der Server des Empfängers konnte nicht prüfen, dass die Nachricht wirklich von Ihnen kommt.",
                    "Wahrscheinlich fehlt ein DNS-Eintrag Ihrer Domain (SPF, DKIM, Rückwärtsauflösung) oder er ist falsch.",
                    "Sagen Sie es der Person, die sich um diese Mail-Box kümmert; `pillarbox domain records` zeigt die Einträge.",
                ],
            ),
            Cause::TooMany => (
                [
                    "The recipient's server takes no more mail from here for the moment.",
                    "It limits how much comes in at once.",
                    "Send the message again later.",
                ],
                [
                    "Der Server des Empfängers nimmt im Augenblick keine weitere Post von hier an.",
                    "Er begrenzt, wie viel auf einmal kommt.",
                    "Senden Sie die Nachricht später noch einmal.",
                ],
            ),
            Cause::Unreachable => (
                [
                    "The recipient's server can't be reached.",
                    "It is switched off or disturbed, or the internet line of this mail box is.",
                    "If other mail goes out, the trouble is on the other side: call the recipient. If none does, tell whoever looks after this mail box.",
                ],
                [
                    "Der Server des Empfängers ist nicht zu erreichen.",
                    "Er ist abgeschaltet oder gestört, oder die Internetleitung dieser Mail-Box ist es.",
                    "Wenn andere Post hinausgeht, liegt es an der Gegenseite: Rufen Sie den Empfänger an. Wenn keine hinausgeht, sagen Sie es der Person, die sich um diese Mail-Box kümmert.",
                ],
            ),
            Cause::Tls => (
                [
                    "The message could not be sent protected, and it must not be sent unprotected.",
                    "The recipient's server has a fault in its encryption, or somebody stands in between.",
                    "Tell the recipient's administrator; nothing has left this box.",
                ],
                [
                    "Die Nachricht konnte nicht geschützt gesendet werden, und ungeschützt darf sie nicht gehen.",
                    "Die Verschlüsselung des Servers beim Empfänger ist gestört, oder jemand steht dazwischen.",
                    "Sagen Sie es der Verwaltung des Empfängers; nichts hat diese Box verlassen.",
                ],
            ),
            Cause::NotAscii => (
                [
                    "The address has letters that the recipient's server does not know (such as ü or 字).",
                    "Many servers only know plain letters in addresses.",
                    "Ask the recipient for an address with plain letters.",
                ],
                [
                    "Die Adresse hat Zeichen, die der Server des Empfängers nicht kennt (etwa ü oder 字).",
                    "Viele Server kennen in Adressen nur einfache Buchstaben.",
                    "Fragen Sie den Empfänger nach einer Adresse mit einfachen Buchstaben.",
                ],
            ),
            Cause::Loop => (
                [
                    "Mail for this domain would come back to this box, which does not serve it.",
                    "The domain's DNS records (MX) point here by mistake, or the domain was not added to this box.",
                    "Tell whoever looks after this mail box.",
                ],
                [
                    "Post für diese Domain käme zu dieser Box zurück, die nicht für sie zuständig ist.",
                    "Die DNS-Einträge (MX) der Domain zeigen irrtümlich hierher, oder die Domain fehlt in dieser Box.",
                    "Sagen Sie es der Person, die sich um diese Mail-Box kümmert.",
                ],
            ),
            Cause::Provider => (
                [
                    "The provider through which this box sends refused the login.",
                    "User name or password for the provider are wrong or have changed.",
                    "Tell whoever looks after this mail box.",
                ],
                [
                    "Der Anbieter, über den diese Box sendet, hat die Anmeldung abgelehnt.",
                    "Benutzername oder Passwort für den Anbieter sind falsch oder wurden geändert.",
                    "Sagen Sie es der Person, die sich um diese Mail-Box kümmert.",
                ],
            ),
            Cause::GivenUp => (
                [
                    "The owner of this mail box ended the attempts to deliver the message.",
                    "It was a decision, not a fault.",
                    "Ask the owner if you need to know more.",
                ],
                [
                    "Der Besitzer dieser Mail-Box hat die Zustellversuche beendet.",
                    "Das war eine Entscheidung, kein Fehler.",
                    "Fragen Sie ihn, wenn Sie mehr wissen möchten.",
                ],
            ),
            Cause::Busy => (
                [
                    "The recipient's server asked to try again later, again and again.",
                    "It is overloaded, or careful with senders it does not know yet.",
                    "Send the message again tomorrow, or tell the recipient by other means.",
                ],
                [
                    "Der Server des Empfängers hat immer wieder um einen späteren Versuch gebeten.",
                    "Er ist überlastet oder vorsichtig mit Absendern, die er noch nicht kennt.",
                    "Senden Sie morgen noch einmal, oder sagen Sie es dem Empfänger auf anderem Weg.",
                ],
            ),
            Cause::Other => (
                [
                    "The recipient's server refused the message.",
                    "Its answer stands below.",
                    "If the answer does not help, show it to whoever looks after this mail box.",
                ],
                [
                    "Der Server des Empfängers hat die Nachricht abgelehnt.",
                    "Seine Antwort steht unten.",
                    "Wenn die Antwort nicht hilft, zeigen Sie sie der Person, die sich um diese Mail-Box kümmert.",
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_recognised() {
        for (detail, expected, code) in [
            ("mx.x said: 550 5.1.1 <a@x>: Recipient address rejected", Cause::NoSuchAddress, "5.1.1"),
            ("mx.x said: 550 No such user here", Cause::NoSuchAddress, "5.0.0"),
            ("5.1.2 The domain exmaple.org does not exist", Cause::NoSuchDomain, "5.1.2"),
            ("5.1.10 The domain takes no mail", Cause::TakesNoMail, "5.1.10"),
            ("mx.x said: 452 4.2.2 over quota", Cause::MailboxFull, "5.2.2"),
            ("mx.x said: 552 5.3.4 too big", Cause::TooLarge, "5.3.4"),
            ("mx.x said: 554 5.7.1 Service unavailable; Client host blocked using zen", Cause::Blocked, "5.7.1"),
            ("mx.x said: 550-5.7.26 unauthenticated", Cause::NotAuthenticated, "5.0.0"),
            ("mx.x said: 550 5.7.26 This mail is unauthenticated", Cause::NotAuthenticated, "5.7.26"),
            ("mx.x said: 451 4.7.1 Greylisting in action, please come back later", Cause::Busy, "5.7.1"),
            ("4.4.1 connecting to mx.x [192.0.2.1]: connection refused", Cause::Unreachable, "5.4.1"),
            ("5.7.10 its certificate is for another name", Cause::Tls, "5.7.10"),
            ("given up by the owner of this box", Cause::GivenUp, "5.0.0"),
            ("mx.x said: 554 5.0.0 no", Cause::Other, "5.0.0"),
        ] {
            assert_eq!(cause(detail), expected, "{detail}");
            assert_eq!(status(detail, true), code, "{detail}");
        }
        assert_eq!(status("mx.x said: 451 4.7.1 later", false), "4.7.1");
        assert_eq!(said("mx.x said: 250 ok"), (Some("mx.x"), "250 ok"));
    }
}
