//! How the box is reached in the office: its addresses, the wireless network, its name there, its time zone.
//! A change of the address is undone by the system after two minutes, unless the owner confirms it at the new address.

use std::net::IpAddr;
use std::time::Instant;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_host::request::Network;
use pillarbox_host::values::{Country, HostName, Interface, NetworkName, Passphrase, ZoneName};
use pillarbox_host::{Request as Wish, net};
use pillarbox_platform::clock::Zone;
use serde::Deserialize;

use super::system::{PATIENCE, ask, is_box};
use crate::frame::{Frame, page};
use crate::memory::NetworkChange;
use crate::session::{Owner, Visit};
use crate::signed::Signed;

#[derive(Template)]
#[template(path = "network.html")]
struct NetworkPage {
    frame: Frame,
    is_box: bool,
    /// Interface and address, as the system has them now.
    addresses: Vec<(String, String)>,
    /// The change that waits, with its seconds; and whether this page is at the new address.
    waiting: Option<Waiting>,
    /// What was typed, after a mistake.
    typed: Typed,
    /// The machine's own name, and how the box is found by it.
    name: String,
    name_how: String,
    /// What to do where a page does not open.
    look_how: String,
    zones: Vec<String>,
}

struct Waiting {
    left: u64,
    /// The new address for a link; empty when it is not known.
    place: String,
    is_proven: bool,
}

/// What is asked of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// The cable's address, fixed.
    Cable,
    /// The cable's address, from the router.
    Automatic,
    /// The new address is kept.
    Confirm,
    Wireless,
    /// The name in the office.
    Name,
    /// The time zone.
    Zone,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Typed {
    token: String,
    order: Order,
    address: String,
    gateway: String,
    servers: String,
    ssid: String,
    password: String,
    country: String,
    name: String,
    zone: String,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = frame(&visit);
    answer(&visit, StatusCode::OK, frame, Typed::default())
}

fn frame(visit: &Visit) -> Frame {
    Frame::new(visit, "/network", "network-title")
}

fn change(visit: &Visit) -> std::sync::MutexGuard<'_, Option<NetworkChange>> {
    visit.memory.network_change.lock().unwrap_or_else(|e| e.into_inner())
}

fn answer(visit: &Visit, status: StatusCode, frame: Frame, typed: Typed) -> Response {
    let now = Instant::now();
    let waiting = change(visit).and_then(|change| {
        Some(Waiting {
            left: change.left(now)?,
            place: change.address.map(crate::frame::in_link).unwrap_or_default(),
            is_proven: change.is_proven_at(&visit.host, now),
        })
    });
    let (t, name, local) = (visit.texts, net::machine_name(), net::local_name());
    let name_how = match local.as_deref() {
        None => t.get("network-name-none").into_owned(),
        // Only a number behind it says that: right after a new name was chosen, the machine's own is the old one here.
        Some(local) if local.strip_prefix(&name[..]).is_some_and(|rest| rest.starts_with('-')) => {
            t.with_two("network-name-other", ("taken", &name), ("name", local))
        }
        Some(local) => t.with("network-name-how", "name", local).into_owned(),
    };
    let look_how = match local.as_deref() {
        None => t.get("network-look-how-none").into_owned(),
        Some(local) => t.with("network-look-how", "name", local).into_owned(),
    };
    page(
        status,
        &NetworkPage {
            frame,
            is_box: is_box(visit),
            addresses: addresses(),
            waiting,
            typed,
            name,
            name_how,
            look_how,
            zones: Zone::names(),
        },
    )
}

/// Addresses that others in the office can use.
fn addresses() -> Vec<(String, String)> {
    let all = net::addresses().into_iter().filter(|(_, address)| net::is_for_others(*address));
    all.map(|(interface, address)| (interface, address.to_string())).collect()
}

/// The cable's settings as typed; the text for what is wrong with them.
fn fixed(typed: &Typed) -> Result<Network, &'static str> {
    let (address, prefix) = typed.address.trim().split_once('/').ok_or("network-wrong-address")?;
    let address = address.trim().parse::<IpAddr>().map_err(|_| "network-wrong-address")?;
    let prefix = prefix.trim().parse::<u8>().map_err(|_| "network-wrong-address")?;
    let interface = Interface::try_from((address, prefix)).map_err(|_| "network-wrong-address")?;
    let gateway = typed.gateway.trim().parse::<IpAddr>().map_err(|_| "network-wrong-gateway")?;
    if !interface.reaches(gateway) || gateway == address {
        return Err("network-wrong-gateway");
    }
    let mut servers = Vec::new();
    for server in typed.servers.split([' ', ',', ';']).filter(|server| !server.is_empty()) {
        servers.push(server.parse::<IpAddr>().map_err(|_| "network-wrong-servers")?);
    }
    // Without one the box finds no other mail server; the gateway of a small office answers names as well.
    if servers.is_empty() {
        servers.push(gateway);
    }
    if servers.len() > 4 {
        return Err("network-wrong-servers");
    }
    Ok(Network::Fixed { interface, gateway, servers })
}

/// What is asked of the system, and what is said when it is done; the text for what is wrong.
fn wish(typed: &Typed) -> Result<(Wish, &'static str), &'static str> {
    let text = |text: &str| text.trim().to_string();
    Ok(match typed.order {
        Order::Cable => (Wish::SetNetwork { network: fixed(typed)? }, "network-changes"),
        Order::Automatic => (Wish::SetNetwork { network: Network::Automatic }, "network-changes"),
        Order::Confirm => (Wish::ConfirmNetwork, "network-kept"),
        Order::Wireless => {
            let name =
                NetworkName::try_from(typed.ssid.clone()).map_err(|_| "network-wrong-ssid")?;
            let password = match typed.password.as_str() {
                "" => None,
                password => Some(
                    Passphrase::try_from(password.to_string())
                        .map_err(|_| "network-wrong-password")?,
                ),
            };
            let country = match text(&typed.country).to_ascii_uppercase() {
                none if none.is_empty() => None,
                letters => Some(Country::try_from(letters).map_err(|_| "network-wrong-country")?),
            };
            (Wish::SetWireless { name, password, country }, "network-wireless-set")
        }
        // One label: it is followed by ".local".
        Order::Name if typed.name.contains('.') => return Err("network-wrong-name"),
        Order::Name => (
            Wish::SetHostName {
                name: HostName::try_from(text(&typed.name).to_ascii_lowercase())
                    .map_err(|_| "network-wrong-name")?,
            },
            "network-named",
        ),
        Order::Zone if Zone::named(typed.zone.trim()).is_none() => {
            return Err("network-wrong-zone");
        }
        Order::Zone => (
            Wish::SetTimeZone {
                zone: ZoneName::try_from(text(&typed.zone)).map_err(|_| "network-wrong-zone")?,
            },
            "network-zoned",
        ),
        Order::Unknown => return Err("network-wrong-address"),
    })
}

pub async fn order(Signed(Owner(visit, visitor), typed): Signed<Owner, Typed>) -> Response {
    let t = visit.texts;
    let (wish, said) = match wish(&typed) {
        Ok(found) => found,
        Err(wrong) => {
            return answer(
                &visit,
                StatusCode::BAD_REQUEST,
                frame(&visit).trouble(t.get(wrong)),
                typed,
            );
        }
    };
    let waits = *change(&visit);
    if let (Wish::ConfirmNetwork, Some(waits)) = (&wish, waits)
        && !waits.is_proven_at(&visit.host, Instant::now())
    {
        return answer(
            &visit,
            StatusCode::CONFLICT,
            frame(&visit).trouble(t.get("network-not-here")),
            typed,
        );
    }
    tracing::warn!(account = visitor.address, order = ?typed.order, "asked of the network");
    let asked = match &wish {
        Wish::SetNetwork { network: Network::Fixed { interface, .. } } => {
            Some(Some(NetworkChange { asked: Instant::now(), address: Some(interface.address) }))
        }
        Wish::SetNetwork { network: Network::Automatic } => {
            Some(Some(NetworkChange { asked: Instant::now(), address: None }))
        }
        Wish::ConfirmNetwork => Some(None),
        _ => None,
    };
    match ask(&visit, wish, PATIENCE).await {
        Ok(_) => {
            if let Some(asked) = asked {
                *change(&visit) = asked;
            }
            answer(&visit, StatusCode::OK, frame(&visit).done(t.get(said)), Typed::default())
        }
        Err(why) => {
            answer(&visit, StatusCode::BAD_GATEWAY, frame(&visit).trouble(why.said(t)), typed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SETTLED;
    use std::time::Duration;

    #[test]
    fn what_is_typed_becomes_a_wish_or_a_text() {
        let cable = |address: &str, gateway: &str, servers: &str| Typed {
            order: Order::Cable,
            address: address.into(),
            gateway: gateway.into(),
            servers: servers.into(),
            ..Typed::default()
        };
        let asked = |typed: &Typed| match wish(typed) {
            Ok((Wish::SetNetwork { network: Network::Fixed { servers, .. } }, _)) => {
                Ok(servers.len())
            }
            Ok(_) => Ok(0),
            Err(wrong) => Err(wrong),
        };
        assert_eq!(asked(&cable(" 192.168.1.7/24 ", "192.168.1.1", "")), Ok(1));
        assert_eq!(asked(&cable("192.168.1.7/24", "192.168.1.1", "9.9.9.9, 1.1.1.1")), Ok(2));
        for (address, gateway, servers, wrong) in [
            ("192.168.1.7", "192.168.1.1", "", "network-wrong-address"),
            ("192.168.1.7/33", "192.168.1.1", "", "network-wrong-address"),
            ("192.168.1.7/24", "10.0.0.1", "", "network-wrong-gateway"),
            ("192.168.1.7/24", "192.168.1.7", "", "network-wrong-gateway"),
            ("192.168.1.7/24", "192.168.1.1", "nine", "network-wrong-servers"),
            (
                "192.168.1.7/24",
                "192.168.1.1",
                "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5",
                "network-wrong-servers",
            ),
        ] {
            assert_eq!(
                asked(&cable(address, gateway, servers)),
                Err(wrong),
                "{address} {gateway} {servers}"
            );
        }
        let named = Typed { order: Order::Name, name: "Post".into(), ..Typed::default() };
        let is_post =
            |wish: Wish| matches!(wish, Wish::SetHostName { name } if name.as_str() == "post");
        assert!(wish(&named).is_ok_and(|(wish, _)| is_post(wish)));
        assert!(
            wish(&Typed { order: Order::Name, name: "a.b".into(), ..Typed::default() }).is_err()
        );
        assert!(
            wish(&Typed {
                order: Order::Wireless,
                ssid: "Office".into(),
                password: "short".into(),
                ..Typed::default()
            })
            .is_err()
        );
        assert!(
            wish(&Typed {
                order: Order::Wireless,
                ssid: "Office".into(),
                country: "Germany".into(),
                ..Typed::default()
            })
            .is_err()
        );
        assert!(
            wish(&Typed { order: Order::Zone, zone: "Mars/Base".into(), ..Typed::default() })
                .is_err()
        );
        assert!(wish(&Typed::default()).is_err());
    }

    #[test]
    fn a_change_is_proven_at_its_own_address_and_in_time() {
        let asked = Instant::now();
        let change = NetworkChange { asked, address: Some("192.168.1.7".parse().unwrap()) };
        assert!(
            change.is_proven_at("192.168.1.7", asked)
                && change.is_proven_at("192.168.1.7:80", asked)
        );
        assert!(
            !change.is_proven_at("192.168.1.8", asked)
                && !change.is_proven_at("pillarbox.local", asked + SETTLED)
        );
        assert!(
            NetworkChange { asked, address: Some("fd00::7".parse().unwrap()) }
                .is_proven_at("[fd00::7]:443", asked)
        );
        // The router gives an address that is not known before: the page must only not be the old one's last moment.
        let automatic = NetworkChange { asked, address: None };
        assert!(
            !automatic.is_proven_at("pillarbox.local", asked)
                && automatic.is_proven_at("pillarbox.local", asked + SETTLED)
        );
        assert_eq!(
            (change.left(asked), change.left(asked + Duration::from_secs(121))),
            (Some(120), None)
        );
    }
}
