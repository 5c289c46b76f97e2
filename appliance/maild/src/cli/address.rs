//! `pillarbox domain` and `pillarbox alias`.

use clap::Subcommand;
use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::secrets::Secrets;
use pillarbox_platform::tls;
use pillarbox_store::{AddDomain, AddressTarget, RemoveAlias, RemoveDomain, SetAlias};
use pillarbox_vocabulary::Domain as DomainName;
use serde_json::json;

use super::tools::{Output, Place, canonical, change, say, say_json};
use pillarbox_office::records::{self, Facts};
use pillarbox_office::settings;

#[derive(Subcommand)]
pub enum Domain {
    /// Take mail for a domain.
    Add { name: String },
    /// Take no more mail for a domain; its addresses must be gone.
    Remove { name: String },
    /// List the domains.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Print the DNS records that a domain should have, as lines of a zone file.
    Records {
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Make new signing keys (DKIM) for a domain; publish the new records then.
    RotateKeys { name: String },
}

#[derive(Subcommand)]
pub enum Alias {
    /// Add an address that leads to others, or change where it leads.
    Add {
        /// The address; `@example.org` stands for all that have no mailbox.
        address: String,
        /// Where its mail goes: one or more addresses of this box.
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Remove an alias.
    Remove { address: String },
    /// List the aliases.
    List {
        #[command(flatten)]
        output: Output,
    },
}

pub fn domain_name(text: &str) -> Result<String, String> {
    let name = DomainName::parse(text).map_err(|e| format!("{text:?} is no domain name: {e}"))?;
    match name.as_str().starts_with('[') {
        true => Err(format!("{text:?} is an address of a machine, not a domain name")),
        false => Ok(name.as_str().to_string()),
    }
}

/// `@domain` is allowed here: the catch-all.
fn alias_address(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        Some(domain) => Ok(format!("@{}", domain_name(domain)?)),
        None => canonical(text),
    }
}

pub fn domain(place: &Place, command: Domain) -> Result<(), String> {
    let store = place.store()?;
    match command {
        Domain::Add { name } => {
            let name = domain_name(&name)?;
            change(&store, AddDomain { name: name.clone(), at: clock::now() })?;
            say(&format!("Mail for {name} is accepted now. Next: pillarbox account add ann@{name}"))
        }
        Domain::Remove { name } => {
            let name = domain_name(&name)?;
            change(&store, RemoveDomain { name: name.clone() })?;
            say(&format!("Mail for {name} is refused from now on."))
        }
        Domain::List { output } => {
            let domains = store.read(|r| r.domains()).map_err(|e| e.to_string())?;
            match output.json {
                true => say_json(&json!(domains)),
                false => domains.iter().try_for_each(|name| say(name)),
            }
        }
        Domain::Records { name, output } => {
            let (name, config, now) = (domain_name(&name)?, place.config()?, clock::now());
            dkim::ensure_keys(&store, &Secrets::open(&config.data)?, &name, now)?;
            let chosen = store
                .read(|r| {
                    Ok((r.setting(settings::HOSTNAME)?, r.setting(settings::PUBLIC_ADDRESS)?))
                })
                .map_err(|e| e.to_string())?;
            let hostname = chosen
                .0
                .filter(|_| config.hostname.is_empty())
                .unwrap_or_else(|| config.hostname());
            let facts = Facts {
                address: chosen.1.and_then(|address| address.parse().ok()),
                // The same question that the policy's page asks: records and page go together.
                has_certificate: tls::in_use(
                    &config.tls_files().0,
                    config.issued_file().as_deref(),
                )
                .is_some_and(|certificate| certificate.is_believed(&hostname, now)),
                hostname,
                ..Facts::default()
            };
            let records = store
                .read(|r| records::records(r, &name, &facts, now))
                .map_err(|e| e.to_string())?;
            if output.json {
                let list = records.iter().map(
                    |r| json!({"name": r.name, "type": r.kind, "value": r.value, "why": r.why}),
                );
                return say_json(&json!(list.collect::<Vec<_>>()));
            }
            say(records::zone_lines(&records).trim_end())
        }
        Domain::RotateKeys { name } => {
            let name = domain_name(&name)?;
            dkim::rotate(&store, &Secrets::open(&place.config()?.data)?, &name, clock::now())?;
            say(&format!(
                "New keys sign mail of {name} within a minute. Publish their records now: pillarbox domain records {name}"
            ))
        }
    }
}

pub fn alias(place: &Place, command: Alias) -> Result<(), String> {
    let store = place.store()?;
    match command {
        Alias::Add { address, targets } => {
            let address = alias_address(&address)?;
            let targets = targets.iter().map(|t| canonical(t)).collect::<Result<Vec<_>, _>>()?;
            change(&store, SetAlias { address: address.clone(), targets: targets.clone() })?;
            say(&format!("Mail for {address} goes to {}.", targets.join(", ")))
        }
        Alias::Remove { address } => {
            let address = alias_address(&address)?;
            change(&store, RemoveAlias { address: address.clone() })?;
            say(&format!("{address} is gone."))
        }
        Alias::List { output } => {
            let addresses = store.read(|r| r.addresses()).map_err(|e| e.to_string())?;
            let aliases = addresses.into_iter().filter_map(|(address, target)| match target {
                AddressTarget::Alias(targets) => Some((address, targets)),
                AddressTarget::Account(_) => None,
            });
            match output.json {
                true => {
                    let list: Vec<_> = aliases
                        .map(|(address, targets)| json!({"address": address, "targets": targets}))
                        .collect();
                    say_json(&json!(list))
                }
                false => aliases.into_iter().try_for_each(|(address, targets)| {
                    say(&format!("{address}  {}", targets.join(", ")))
                }),
            }
        }
    }
}
