//! From the settings of a box to the file.

use pillarbox_outbound::ROUTE_PURPOSE;
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::{AddressTarget, DeviceId, Route, RouteTls, Store};

use super::file::{Alias, Certificate, Line, Person, Setup, SetupRoute};
use crate::error::Result;
use crate::filtering;
use crate::settings::{self, Progress, Step};

/// What an export contains of passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    Left,
    /// Hashes of people's passwords, and providers' passwords in clear: for moving to another box.
    Included,
}

/// The settings of a box.
pub fn export(store: &Store, secrets: &Secrets, passwords: Passwords) -> Result<Setup> {
    let read = store.read(|r| {
        let accounts = r.accounts()?;
        let credentials =
            accounts.iter().map(|(id, _)| r.credentials(*id)).collect::<Result<Vec<_>, _>>()?;
        let chosen =
            (r.setting(settings::HOSTNAME)?, r.setting(settings::CERTIFICATE)?, Progress::read(r)?);
        let policy = filtering::policy(r)?;
        Ok((accounts, credentials, r.domains()?, r.addresses()?, r.routes()?, chosen, policy))
    });
    let (accounts, credentials, domains, addresses, routes, chosen, policy) = read?;
    let (hostname, certificate, progress) = chosen;
    let files = policy.files.iter().map(|(group, how)| (group.name().into(), how.name().into()));
    let people = accounts.into_iter().zip(credentials).map(|((_, account), credentials)| {
        let main = credentials
            .into_iter()
            .find(|(device, _)| *device == DeviceId::MAIN)
            .map(|(_, c)| c.hash);
        let password_hash = main.filter(|_| passwords == Passwords::Included).unwrap_or_default();
        Person {
            address: account.address,
            name: account.name,
            password: String::new(),
            password_hash,
        }
    });
    let aliases = addresses.into_iter().filter_map(|(address, target)| match target {
        AddressTarget::Alias(to) => Some(Alias { address, to }),
        AddressTarget::Account(_) => None,
    });
    let routes = routes
        .into_iter()
        .map(|(domain, route)| exported(secrets, passwords, domain, route))
        .collect::<Result<Vec<_>>>()?;
    let is_done = |step| progress.as_ref().is_none_or(|p| p.is_done(step));
    let line = match routes.iter().any(|route| route.domain.is_empty()) {
        true => Line::Provider,
        false => Line::Direct,
    };
    let certificate = match certificate.as_deref() {
        Some("acme") => Certificate::Authority,
        _ => Certificate::Own,
    };
    Ok(Setup {
        hostname,
        domains,
        claim_code: None,
        line: is_done(Step::Line).then_some(line),
        certificate: is_done(Step::Certificate).then_some(certificate),
        finished: Some(progress.is_none()),
        forwarders: policy.forwarders,
        allowed: policy.allowed,
        banned: policy.banned,
        files: files.collect(),
        people: people.collect(),
        aliases: aliases.collect(),
        routes,
    })
}

/// A route, with its password in clear if that is wanted.
fn exported(
    secrets: &Secrets,
    passwords: Passwords,
    domain: String,
    route: Route,
) -> Result<SetupRoute> {
    let password = match passwords {
        Passwords::Included if !route.user.is_empty() => {
            let opened = secrets.open_sealed(ROUTE_PURPOSE, &route.sealed)?;
            String::from_utf8_lossy(&opened).into_owned()
        }
        _ => String::new(),
    };
    Ok(SetupRoute {
        domain,
        host: route.host,
        port: route.port,
        starttls: route.tls == RouteTls::StartTls,
        user: route.user,
        password,
    })
}
