//! `pillarbox route`: sending through a provider instead of directly.

use clap::{Subcommand, ValueEnum};
use pillarbox_outbound::{ROUTE_PURPOSE, release_after_login};
use pillarbox_platform::clock;
use pillarbox_platform::secrets::Secrets;
use pillarbox_store::{Detail, RemoveRoute, Route as StoredRoute, RouteTls, SetRoute};
use pillarbox_vocabulary::Timestamp;
use serde_json::json;

use super::address::domain_name;
use super::tools::{Output, Place, change, say, say_json};

#[derive(Subcommand)]
pub enum Route {
    /// Send through a provider: everything, or only what goes to one domain.
    Set {
        /// The provider's server for outgoing mail.
        host: String,
        /// 465 with TLS from the start, 587 with STARTTLS.
        #[arg(long)]
        port: Option<u16>,
        /// How TLS begins.
        #[arg(long, value_enum, default_value_t = Tls::Implicit)]
        tls: Tls,
        /// User name there.
        #[arg(long)]
        user: Option<String>,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
        /// Only for mail to this domain.
        #[arg(long)]
        domain: Option<String>,
    },
    /// Send directly again.
    Remove {
        /// The route of this domain; without it, the one for everything.
        #[arg(long)]
        domain: Option<String>,
    },
    /// List the routes.
    List {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Tls {
    Implicit,
    Starttls,
}

fn name(domain: Option<String>) -> Result<String, String> {
    domain.map_or(Ok(String::new()), |domain| domain_name(&domain))
}

fn shown(name: &str) -> String {
    if name.is_empty() { "everything".into() } else { format!("mail to {name}") }
}

pub fn run(place: &Place, command: Route) -> Result<(), String> {
    let store = place.store()?;
    match command {
        Route::Set { host, port, tls, user, password_stdin, domain } => {
            let (tls, usual) = match tls {
                Tls::Implicit => (RouteTls::Implicit, 465),
                Tls::Starttls => (RouteTls::StartTls, 587),
            };
            let password = match (&user, password_stdin) {
                (Some(_), true) => super::account::password_from_stdin()?,
                (Some(_), false) => {
                    return Err("give the password on standard input, with --password-stdin".into());
                }
                (None, _) => String::new(),
            };
            let secrets = Secrets::open(&place.config()?.data)?;
            let route = StoredRoute {
                host: domain_name(&host)?,
                port: port.unwrap_or(usual),
                tls,
                user: user.unwrap_or_default(),
                sealed: secrets.seal(ROUTE_PURPOSE, password.as_bytes())?,
                fault: Detail::None,
                told_at: Timestamp(0),
            };
            let domain = name(domain)?;
            change(&store, SetRoute { domain: domain.clone(), route })?;
            let released = release_after_login(&store, clock::now()).map_err(|e| e.to_string())?;
            say(&format!("{} goes through {host} now.", shown(&domain)))?;
            if released > 0 {
                say(&format!("{released} recipients that waited for this are tried at once."))?;
            }
            Ok(())
        }
        Route::Remove { domain } => {
            let domain = name(domain)?;
            change(&store, RemoveRoute { domain: domain.clone() })?;
            release_after_login(&store, clock::now()).map_err(|e| e.to_string())?;
            say(&format!("{} goes directly to the recipients' servers now.", shown(&domain)))
        }
        Route::List { output } => {
            let routes = store.read(|r| r.routes()).map_err(|e| e.to_string())?;
            if output.json {
                let list = routes.iter().map(|(name, r)| json!({"domain": name, "host": r.host, "port": r.port, "user": r.user, "fault": r.fault.to_string()}));
                return say_json(&json!(list.collect::<Vec<_>>()));
            }
            if routes.is_empty() {
                return say("Everything goes directly to the recipients' servers.");
            }
            routes.iter().try_for_each(|(name, route)| {
                let user = if route.user.is_empty() {
                    "without login".to_string()
                } else {
                    format!("as {}", route.user)
                };
                say(&format!("{}  through {}:{} {user}", shown(name), route.host, route.port))?;
                match route.fault.is_none() {
                    true => Ok(()),
                    false => say(&format!("    stopped: {}", route.fault)),
                }
            })
        }
    }
}
