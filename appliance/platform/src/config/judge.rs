//! Whether settings can work: what the settings themselves say, without looking at the machine.

use std::path::Path;

use pillarbox_vocabulary::Domain;

use super::bounds::bounds;
use super::sections::Config;
use crate::error::{Error, Result};
use crate::logging;
use crate::service::Service;

/// Longest path in octets (PATH_MAX of Linux, without the zero at the end).
const PATH_OCTETS: usize = 4095;
/// Longest path of a socket in octets (unix(7), `sun_path`).
const SOCKET_OCTETS: usize = 107;
/// Longest address of a page in octets.
const URL_OCTETS: usize = 2000;
/// Most entries of a list.
const ENTRIES: usize = 64;
/// Most networks that are trusted: each connection is compared with all of them.
const NETWORKS: usize = 1000;

impl Config {
    /// Refuses values that parse but can't work, by the key's name.
    /// Whoever takes settings into use asks this first; `pillarbox check` does as well.
    pub fn judge(&self) -> Result<()> {
        bounds(self).iter().try_for_each(|bound| bound.judge())?;
        self.judge_names()?;
        self.judge_files()?;
        self.judge_lists()?;
        logging::level(&self.log.level)?;
        self.check_test_network(self.listen.smtp.iter().any(|address| address.port() == 25))
    }

    /// Names and addresses of pages, which are sent to others as they are.
    fn judge_names(&self) -> Result<()> {
        if !self.hostname.is_empty() && !is_host_name(&self.hostname) {
            return Err(wrong("hostname", &self.hostname, NAME));
        }
        for (setting, names) in
            [("line.probes", &self.line.probes), ("line.lists", &self.line.lists)]
        {
            if let Some(name) = names.iter().find(|name| !is_host_name(name)) {
                return Err(wrong(setting, name, NAME));
            }
        }
        if !is_url(&self.acme.directory) {
            return Err(wrong("acme.directory", &self.acme.directory, URL));
        }
        if !is_url(&self.acme.terms) {
            return Err(wrong("acme.terms", &self.acme.terms, URL));
        }
        Ok(())
    }

    fn judge_files(&self) -> Result<()> {
        if self.data.as_os_str().is_empty() {
            return Err(wrong("data", "", "name the folder, such as \"/var/lib/pillarbox\""));
        }
        for (setting, path, most) in [
            ("data", &self.data, PATH_OCTETS - 256),
            ("board", &self.board, PATH_OCTETS - 256),
            ("privop", &self.privop, SOCKET_OCTETS),
            ("updates", &self.updates, PATH_OCTETS - 256),
            ("tls.certificate", &self.tls.certificate, PATH_OCTETS),
            ("tls.key", &self.tls.key, PATH_OCTETS),
            ("dns.trust_anchor", &self.dns.trust_anchor, PATH_OCTETS),
            ("outbound.roots", &self.outbound.roots, PATH_OCTETS),
        ] {
            judge_path(setting, path, most)?;
        }
        match (self.tls.certificate.as_os_str().is_empty(), self.tls.key.as_os_str().is_empty()) {
            (false, true) => Err(wrong("tls.key", "", "tls.certificate is set: set both or none")),
            (true, false) => Err(wrong("tls.certificate", "", "tls.key is set: set both or none")),
            _ => Ok(()),
        }
    }

    fn judge_lists(&self) -> Result<()> {
        let listen = Service::ALL
            .map(|service| (listen_key(service), service.addresses(self).len(), ENTRIES));
        for (setting, count, most) in listen.into_iter().chain([
            ("dns.servers", self.dns.servers.len(), ENTRIES),
            ("outbound.retry", self.outbound.retry.len(), ENTRIES),
            ("line.probes", self.line.probes.len(), ENTRIES),
            ("line.lists", self.line.lists.len(), ENTRIES),
            ("trust.networks", self.trust.networks.len(), NETWORKS),
        ]) {
            if count > most {
                return Err(Error::TooManyEntries { setting, count, most });
            }
        }
        if self.outbound.retry.is_empty() {
            return Err(wrong("outbound.retry", "", "needs at least one interval"));
        }
        if let Some(server) = self.dns.servers.iter().find(|server| server.0.port() == 0) {
            return Err(wrong("dns.servers", &server.0.to_string(), "port 0 can't be asked"));
        }
        Ok(())
    }

    /// Other ports than the world's are for test networks; a box that takes the world's mail must not have them.
    pub fn check_test_network(&self, takes_public_mail: bool) -> Result<()> {
        let is_test = self.outbound.remote_port != 25 || self.outbound.https_port != 443;
        match is_test && takes_public_mail {
            true => Err(Error::TestNetwork),
            false => Ok(()),
        }
    }
}

const NAME: &str = "write a domain name such as \"mail.example.org\": letters, digits and hyphens \
    between single dots, no address and no dot at the end; other letters in their form of the DNS, \
    such as \"xn--bcher-kva.example\"";
const URL: &str = "write an address that begins with \"https://\"";

/// Whether a text is a domain name that may stand in a greeting as it is (RFC 5321 §2.3.5).
pub fn is_host_name(text: &str) -> bool {
    // Parsing would drop the dot.
    !text.ends_with('.') && Domain::parse(text).is_ok_and(|domain| domain.is_host_name())
}

fn is_url(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    let rest = text.strip_prefix("https://").unwrap_or_default();
    text.len() <= URL_OCTETS
        && rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && rest.chars().all(fits)
}

fn judge_path(setting: &'static str, path: &Path, most: usize) -> Result<()> {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) {
        return Err(wrong(setting, &text, "control characters can't be part of a path"));
    }
    match path.as_os_str().len() > most {
        true => Err(wrong(setting, &text, "the path is too long")),
        false => Ok(()),
    }
}

/// The key of a service's addresses.
pub fn listen_key(service: Service) -> &'static str {
    match service {
        Service::Smtp => "listen.smtp",
        Service::Submission => "listen.submission",
        Service::Submissions => "listen.submissions",
        Service::Pop3 => "listen.pop3",
        Service::Pop3s => "listen.pop3s",
        Service::Http => "listen.http",
        Service::Https => "listen.https",
    }
}

/// An error that shows the key and the beginning of its value, with nothing in it that could act on a terminal.
fn wrong(key: &str, value: &str, why: &'static str) -> Error {
    let end = value.floor_char_boundary(SHOWN);
    let more = if end < value.len() { "…" } else { "" };
    Error::Setting { setting: format!("{key} = {:?}{more}", &value[..end]), why }
}

/// Octets of a value that an error shows.
const SHOWN: usize = 100;

#[cfg(test)]
mod tests;
