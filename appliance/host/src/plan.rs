//! From a request to the steps that fulfil it: a pure function, so that a test sees every path and every command line.

use crate::request::{Network, Request};
use crate::values::{HostName, usable};
use crate::wireless::Wireless;

/// The owner's settings for the cable; what they were before is beside it until the new ones are confirmed.
/// A start with both there goes back, too: `systemd/bin/firstboot`.
pub const NETWORK: &str = "/data/system/network/10-owner.network";
const NETWORK_BEFORE: &str = "/data/system/network/10-owner.before";
/// Where systemd-networkd finds it while the system runs.
const NETWORK_IN_USE: &str = "/run/systemd/network/10-owner.network";
const WIRELESS: &str = "/data/system/wifi.conf";
const HOST_NAME: &str = "/data/system/hostname";
const ZONE: &str = "/data/system/zone";
const RESET: &str = "/data/system/reset";
/// Where bundles are before they are installed.
pub const UPDATES: &str = "/data/update";
const USB: &str = "/run/pillarbox-usb";
/// The timer that undoes a change of the network, and the seconds until it does.
const UNDO: &str = "pillarbox-undo-network";
pub const UNDO_SECONDS: u64 = 120;
/// Timers are not moved to meet others.
const EXACT: &str = "--timer-property=AccuracySec=100ms";

/// What can be done, in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes a file whole: beside it first, then in its place, on stable storage.
    Write {
        path: &'static str,
        content: String,
    },
    Remove {
        path: &'static str,
    },
    /// Puts back what [`Step::Remember`] kept, and forgets it.
    /// Where nothing was kept, nothing is done.
    Restore {
        from: &'static str,
        to: &'static str,
    },
    /// Keeps a copy, unless one is kept already: of two changes in a row, the state before the first one is what comes
    /// back.
    /// Where there is nothing to copy, an empty file says so.
    Remember {
        from: &'static str,
        to: &'static str,
    },
    /// Keeps a copy, if there is something to copy.
    Keep {
        from: &'static str,
        to: &'static str,
    },
    Folder {
        path: &'static str,
    },
    Run {
        program: &'static str,
        arguments: Vec<String>,
    },
    /// The same, and its failure is none.
    Try {
        program: &'static str,
        arguments: Vec<String>,
    },
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn run(program: &'static str, arguments: &[&str]) -> Step {
    Step::Run { program, arguments: words(arguments) }
}

/// What takes the connection away is done in five seconds: whoever asked for it is answered first.
fn soon(order: &[&str]) -> Step {
    run(
        "/usr/bin/systemd-run",
        &[&["--on-active=5", EXACT, "/usr/bin/systemctl", "--no-block"], order].concat(),
    )
}

fn attempt(program: &'static str, arguments: &[&str]) -> Step {
    Step::Try { program, arguments: words(arguments) }
}

/// The steps of a request.
/// Refusals are for what can't be known from one value alone.
pub fn plan(request: &Request) -> Result<Vec<Step>, String> {
    Ok(match request {
        Request::SetNetwork { network } => change_network(network_file(network)?),
        Request::ConfirmNetwork => vec![stop_undo(), Step::Remove { path: NETWORK_BEFORE }],
        Request::RollBackNetwork => vec![
            Step::Restore { from: NETWORK_BEFORE, to: NETWORK },
            Step::Remove { path: NETWORK_IN_USE },
            Step::Keep { from: NETWORK, to: NETWORK_IN_USE },
            reload_network(),
        ],
        Request::SetWireless { name, password, country } => {
            let (name, password, country) = (name.clone(), password.clone(), country.clone());
            vec![
                join(&Wireless { name, password, country }),
                attempt("/usr/bin/systemctl", &["restart", "pillarbox-wireless.service"]),
            ]
        }
        Request::SetHostName { name } => change_host_name(name),
        Request::SetTimeZone { zone } => vec![
            Step::Write { path: ZONE, content: format!("{}\n", zone.as_str()) },
            run(
                "/usr/bin/ln",
                &["-sfn", &format!("/usr/share/zoneinfo/{}", zone.as_str()), "/run/localtime"],
            ),
        ],
        Request::Update { bundle } => {
            vec![run("/usr/bin/rauc", &["install", &format!("{UPDATES}/{}", bundle.as_str())])]
        }
        Request::Slots => vec![run("/usr/bin/rauc", &["status", "--output-format=json"])],
        Request::OtherSlot => {
            vec![run("/usr/bin/rauc", &["status", "mark-active", "other"]), soon(&["reboot"])]
        }
        Request::Reboot => vec![soon(&["reboot"])],
        Request::PowerOff => vec![soon(&["poweroff"])],
        Request::FactoryReset => {
            vec![Step::Write { path: RESET, content: "yes\n".into() }, soon(&["reboot"])]
        }
        Request::RestartServer => vec![
            attempt("/usr/bin/systemctl", &["reset-failed", "pillarbox.service"]),
            run("/usr/bin/systemctl", &["--no-block", "restart", "pillarbox.service"]),
        ],
        // What was kept of earlier starts (`systemd/bin/keep-log`), then what the server says now.
        Request::Logs => vec![
            attempt("/usr/bin/tail", &["-n", "100", "/data/log/box.log"]),
            run(
                "/usr/bin/journalctl",
                &["--unit=pillarbox.service", "--lines=200", "--no-pager", "--output=short-iso"],
            ),
        ],
        Request::MountUsb { read_only: true } => mount_usb("ro,nosuid,nodev,noexec"),
        Request::MountUsb { read_only: false } => mount_usb("rw,nosuid,nodev,noexec"),
        Request::UnmountUsb => vec![run("/usr/bin/systemd-umount", &[USB])],
    })
}

/// Puts new settings for the cable in use; the way back is ready before the change is made.
fn change_network(file: String) -> Vec<Step> {
    vec![
        Step::Remember { from: NETWORK, to: NETWORK_BEFORE },
        stop_undo(),
        run(
            "/usr/bin/systemd-run",
            &[
                &format!("--on-active={UNDO_SECONDS}"),
                EXACT,
                &format!("--unit={UNDO}"),
                "/usr/bin/pillarbox-privop",
                "--roll-back-network",
            ],
        ),
        Step::Write { path: NETWORK, content: file.clone() },
        Step::Write { path: NETWORK_IN_USE, content: file },
        reload_network(),
    ]
}

/// Stops the timer that would undo a change of the network.
fn stop_undo() -> Step {
    attempt("/usr/bin/systemctl", &["stop", &format!("{UNDO}.timer")])
}

/// By way of the system's manager: `networkctl` refuses to work from another network than the daemon's, and a request
/// has one of its own.
fn reload_network() -> Step {
    soon(&["reload-or-restart", "systemd-networkd.service"])
}

/// The name, and the services that see the name of their start only; the server's sockets stay meanwhile.
/// They are not waited for: the page that asked would wait for as long as a busy box takes.
fn change_host_name(name: &HostName) -> Vec<Step> {
    vec![
        Step::Write { path: HOST_NAME, content: format!("{}\n", name.as_str()) },
        run("/usr/bin/hostname", &[name.as_str()]),
        attempt(
            "/usr/bin/systemctl",
            &[
                "--no-block", "try-restart", "pillarbox-name.service", "pillarbox-beacon.service",
                "pillarbox.service",
            ],
        ),
    ]
}

/// Mounts by way of the system itself: this program sees other mounts than the server does.
fn mount_usb(options: &str) -> Vec<Step> {
    let mount = ["-o", options, "/dev/disk/by-label/PILLARBOX-USB", USB];
    vec![Step::Folder { path: USB }, run("/usr/bin/systemd-mount", &mount)]
}

/// Writes a wireless network down; it is joined at the next start, or when its service is started anew.
pub fn join(wireless: &Wireless) -> Step {
    Step::Write { path: WIRELESS, content: wireless.file() }
}

/// The file for systemd-networkd.
fn network_file(network: &Network) -> Result<String, String> {
    const MATCH: &str = "[Match]\nType=ether\n\n[Network]\nMulticastDNS=no\n";
    Ok(match network {
        Network::Automatic => format!("{MATCH}DHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n"),
        Network::Fixed { interface, gateway, servers } => {
            if !interface.reaches(*gateway) || *gateway == interface.address {
                return Err(format!(
                    "the gateway {gateway} is not in the network of {}/{}",
                    interface.address, interface.prefix
                ));
            }
            if servers.len() > 4 || !servers.iter().all(|server| usable(*server)) {
                return Err("name servers are at most four addresses of machines".into());
            }
            let servers: String = servers.iter().map(|server| format!("DNS={server}\n")).collect();
            format!(
                "{MATCH}Address={}/{}\nGateway={gateway}\n{servers}",
                interface.address, interface.prefix
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::{BundleName, Country, Interface, NetworkName, Passphrase, ZoneName};

    fn steps(json: &str) -> Vec<Step> {
        plan(&Request::parse(json).unwrap()).unwrap()
    }

    #[test]
    fn the_way_back_is_ready_before_the_network_changes() {
        let steps = steps(
            "{\"do\":\"set-network\",\"network\":{\"by\":\"fixed\",\"interface\":[\"192.168.1.7\",24],\"gateway\":\"192.168.1.1\",\"servers\":[\"9.9.9.9\"]}}",
        );
        let at = |wanted: &dyn Fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
        let undo = at(
            &|step| matches!(step, Step::Run { program: "/usr/bin/systemd-run", arguments } if arguments.contains(&"--roll-back-network".to_string())),
        );
        let write = at(
            &|step| matches!(step, Step::Write { path: NETWORK, content } if content.contains("Address=192.168.1.7/24\nGateway=192.168.1.1\nDNS=9.9.9.9\n")),
        );
        assert!(
            at(&|step| *step == Step::Remember { from: NETWORK, to: NETWORK_BEFORE }) < undo
                && undo < write
        );
        let foreign = Network::Fixed {
            interface: Interface::try_from(("192.168.1.7".parse().unwrap(), 24)).unwrap(),
            gateway: "10.0.0.1".parse().unwrap(),
            servers: vec![],
        };
        assert!(plan(&Request::SetNetwork { network: foreign }).is_err());
    }

    proptest! {
        /// Whatever comes in: no path is made of it but the bundle's name, no word of it becomes an option, no line a
        /// new one.
        #[test]
        fn input_stays_in_its_place(text in "\\PC{0,40}", password in "\\PC{0,70}") {
            let mut requests = Vec::new();
            requests.extend(HostName::try_from(text.clone()).ok().map(|name| Request::SetHostName { name }));
            requests.extend(ZoneName::try_from(text.clone()).ok().map(|zone| Request::SetTimeZone { zone }));
            requests.extend(BundleName::try_from(text.clone()).ok().map(|bundle| Request::Update { bundle }));
            if let (Ok(name), Ok(password)) = (NetworkName::try_from(text), Passphrase::try_from(password)) {
                requests.push(Request::SetWireless { name, password: Some(password), country: Country::try_from("DE".to_string()).ok() });
            }
            for request in requests {
                for step in plan(&request).unwrap_or_default() {
                    match step {
                        Step::Write { path, content } => {
                            prop_assert!(path.starts_with("/data/system/") || path.starts_with("/run/systemd/"));
                            prop_assert!(content.lines().count() <= 8);
                        }
                        Step::Run { arguments, .. } | Step::Try { arguments, .. } => {
                            for argument in arguments {
                                prop_assert!(!argument.contains("..") || !argument.contains('/'), "{argument}");
                                prop_assert!(!argument.contains('\n'));
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
