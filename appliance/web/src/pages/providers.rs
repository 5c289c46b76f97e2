//! Providers that people often have, with what they publish for mail programs.

/// A provider people often have.
pub struct Preset {
    pub name: &'static str,
    pub host: &'static str,
    pub port: u16,
    pub starttls: bool,
    /// What to know before logging in there; the key of a text, or empty.
    pub hint: &'static str,
}

pub const PRESETS: [Preset; 12] = [
    Preset {
        name: "Gmail / Google Workspace",
        host: "smtp.gmail.com",
        port: 465,
        starttls: false,
        hint: "line-app-password",
    },
    Preset {
        name: "Microsoft 365",
        host: "smtp.office365.com",
        port: 587,
        starttls: true,
        hint: "line-smtp-auth",
    },
    Preset {
        name: "GMX",
        host: "mail.gmx.net",
        port: 465,
        starttls: false,
        hint: "line-allow-pop",
    },
    Preset {
        name: "WEB.DE",
        host: "smtp.web.de",
        port: 465,
        starttls: false,
        hint: "line-allow-pop",
    },
    Preset {
        name: "T-Online",
        host: "securesmtp.t-online.de",
        port: 465,
        starttls: false,
        hint: "line-mail-password",
    },
    Preset { name: "IONOS", host: "smtp.ionos.de", port: 465, starttls: false, hint: "" },
    Preset { name: "Strato", host: "smtp.strato.de", port: 465, starttls: false, hint: "" },
    Preset { name: "mailbox.org", host: "smtp.mailbox.org", port: 465, starttls: false, hint: "" },
    Preset { name: "Posteo", host: "posteo.de", port: 465, starttls: false, hint: "" },
    Preset {
        name: "Yahoo",
        host: "smtp.mail.yahoo.com",
        port: 465,
        starttls: false,
        hint: "line-app-password",
    },
    Preset {
        name: "iCloud",
        host: "smtp.mail.me.com",
        port: 587,
        starttls: true,
        hint: "line-app-password",
    },
    Preset {
        name: "Fastmail",
        host: "smtp.fastmail.com",
        port: 465,
        starttls: false,
        hint: "line-app-password",
    },
];
