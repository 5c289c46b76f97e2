//! From the file to what is changed in the store: all of it is looked at before anything is changed.

use pillarbox_filter::dkim::registered;
use pillarbox_filter::verdict::Policy;
use pillarbox_outbound::ROUTE_PURPOSE;
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::{
    AddAccount, AddDomain, AnyChange, Detail, Route, RouteTls, SetAlias, SetRoute, SetSetting,
};
use pillarbox_vocabulary::{Address, Domain, Timestamp};

use super::file::{Alias, Certificate, Line, Person, Setup, SetupRoute};
use crate::directory::{self, Password, USUAL_POLICY};
use crate::error::{Error, Result};
use crate::{filtering, naming, settings};

/// The changes that a file asks for, in the order in which they are to be made; or its first mistake.
pub fn plan(secrets: &Secrets, setup: &Setup, at: Timestamp) -> Result<Vec<AnyChange>> {
    let mut changes = Vec::new();
    if let Some(hostname) = &setup.hostname {
        let name = naming::host_name(hostname);
        let value = Some(name.ok_or_else(|| Error::NotADomain { text: hostname.clone() })?);
        changes.push(AnyChange::of(SetSetting { key: settings::HOSTNAME.into(), value }));
    }
    for name in &setup.domains {
        changes.push(AnyChange::of(AddDomain { name: domain(name)?, at }));
    }
    for one in &setup.people {
        changes.push(AnyChange::of(person(one, at)?));
    }
    for one in &setup.aliases {
        changes.push(AnyChange::of(alias(one)?));
    }
    for one in &setup.routes {
        changes.push(AnyChange::of(route(secrets, one)?));
    }
    let lists = [&setup.forwarders, &setup.allowed, &setup.banned];
    if !setup.files.is_empty() || lists.iter().any(|list| !list.is_empty()) {
        changes.extend(filtering::changes(&spam(setup)?).map(AnyChange::of));
    }
    if setup.line == Some(Line::Provider)
        && !setup.routes.iter().any(|route| route.domain.is_empty())
    {
        return Err(Error::NoProvider);
    }
    if let Some(certificate) = setup.certificate {
        let value = (certificate == Certificate::Authority).then(|| "acme".to_string());
        changes.push(AnyChange::of(SetSetting { key: settings::CERTIFICATE.into(), value }));
    }
    Ok(changes)
}

fn spam(setup: &Setup) -> Result<Policy> {
    let files = setup.files.iter().map(|(group, how)| {
        let wrong = || Error::NotAHandling { text: format!("{group} = {how:?}") };
        filtering::handling(group, how).ok_or_else(wrong)
    });
    let forwarders = setup.forwarders.iter().map(|name| domain(name).map(|name| registered(&name)));
    Ok(Policy {
        forwarders: forwarders.collect::<Result<_>>()?,
        allowed: senders(&setup.allowed)?,
        banned: senders(&setup.banned)?,
        files: files.collect::<Result<_>>()?,
    })
}

fn senders(list: &[String]) -> Result<Vec<String>> {
    let text = list.join(" ");
    filtering::senders(&text).map_err(|_| Error::NotSenders { text })
}

fn person(person: &Person, at: Timestamp) -> Result<AddAccount> {
    let wrong = |why: String| Error::SetupPerson { address: person.address.clone(), why };
    let password = match (&person.password[..], &person.password_hash[..]) {
        ("", "") => return Err(wrong("needs password or password_hash".into())),
        ("", hash) => Password::hashed(hash),
        (password, _) => Password::chosen(password),
    };
    let password = password.and_then(Password::prepare).map_err(|why| wrong(why.to_string()))?;
    Ok(directory::person(&address(&person.address)?, &person.name, &password, USUAL_POLICY, at))
}

fn alias(alias: &Alias) -> Result<SetAlias> {
    let address_of = |text: &String| address(text).map(|address| address.canonical());
    let from = match alias.address.strip_prefix('@') {
        Some(name) => format!("@{}", domain(name)?),
        None => address_of(&alias.address)?,
    };
    let targets = alias.to.iter().map(address_of).collect::<Result<Vec<_>>>()?;
    Ok(SetAlias { address: from, targets })
}

fn route(secrets: &Secrets, route: &SetupRoute) -> Result<SetRoute> {
    let usual_port = if route.starttls { 587 } else { 465 };
    let stored = Route {
        host: domain(&route.host)?,
        port: if route.port == 0 { usual_port } else { route.port },
        tls: if route.starttls { RouteTls::StartTls } else { RouteTls::Implicit },
        user: route.user.clone(),
        sealed: secrets.seal(ROUTE_PURPOSE, route.password.as_bytes())?,
        fault: Detail::None,
        told_at: Timestamp(0),
    };
    let name = if route.domain.is_empty() { String::new() } else { domain(&route.domain)? };
    Ok(SetRoute { domain: name, route: stored })
}

fn domain(text: &str) -> Result<String> {
    match Domain::parse(text.trim()) {
        Ok(domain) if !domain.is_literal() => Ok(domain.to_string()),
        _ => Err(Error::NotADomain { text: text.to_string() }),
    }
}

fn address(text: &str) -> Result<Address> {
    Address::parse(text.trim())
        .map_err(|e| Error::NotAnAddress { text: text.to_string(), why: e.to_string() })
}
