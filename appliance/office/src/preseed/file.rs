//! What can be written in the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The whole file.
/// Whatever is missing is asked in the browser.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// The box's name, such as `mail.example.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Domains the box takes mail for.
    pub domains: Vec<String>,
    /// Seven characters instead of a code that the box makes up; only counts while the box is unclaimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_code: Option<String>,
    /// `direct`, or `provider` with a route below for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// `authority` (by ACME) or `own`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// True: the pages lead through no further steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
    /// Domains that forward mail of others to the box and are trusted with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarders: Vec<String>,
    /// Addresses and domains whose mail is always wanted, and those whose mail is never taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub banned: Vec<String>,
    /// What is done with messages that carry something harmful: `programs`, `macros`, `pages`, `closed` or `endless`,
    /// and `refuse`, `junk` or `warn`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The first one is the owner.
    #[serde(rename = "person")]
    pub people: Vec<Person>,
    #[serde(rename = "alias")]
    pub aliases: Vec<Alias>,
    #[serde(rename = "route")]
    pub routes: Vec<SetupRoute>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    Direct,
    Provider,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    Authority,
    Own,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    pub address: String,
    pub name: String,
    /// In clear, for a first set-up; never exported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// As exported with `--with-passwords`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_hash: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alias {
    /// `@example.org` stands for all addresses that have no mailbox.
    pub address: String,
    pub to: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SetupRoute {
    /// Mail to this domain only; empty: all mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    pub host: String,
    pub port: u16,
    /// False: TLS from the start; true: STARTTLS.
    pub starttls: bool,
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
}

/// Reads a file.
/// The error names the line and never shows what it contains: that may be a password, and errors are kept.
pub fn parse(text: &str) -> Result<Setup> {
    toml::from_str(text).map_err(|error| {
        let message = match error.message().split_once(", expected ") {
            Some((found, wanted)) if found.starts_with("invalid") => format!("expected {wanted}"),
            _ => error.message().to_string(),
        };
        let before = error.span().and_then(|span| text.get(..span.start));
        Error::SetupFile {
            line: before.map(|before| before.matches('\n').count() + 1),
            why: message,
        }
    })
}
