//! The closed list of what can be asked for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::values::{BundleName, Country, HostName, Interface, NetworkName, Passphrase, ZoneName};

/// A request: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Addresses of the cable.
    /// Rolled back after two minutes unless [`Request::ConfirmNetwork`] comes, from the new address.
    SetNetwork {
        network: Network,
    },
    ConfirmNetwork,
    /// Back to how it was; the timer asks for it.
    RollBackNetwork,
    SetWireless {
        name: NetworkName,
        password: Option<Passphrase>,
        #[serde(default)]
        country: Option<Country>,
    },
    SetHostName {
        name: HostName,
    },
    SetTimeZone {
        zone: ZoneName,
    },
    /// Installs a bundle from the folder for updates into the other slot.
    Update {
        bundle: BundleName,
    },
    /// Which systems there are, as RAUC tells it.
    Slots,
    /// Starts the other system at the next start, and starts.
    OtherSlot,
    Reboot,
    PowerOff,
    /// Everything that is the box's own is removed at the next start.
    FactoryReset,
    RestartServer,
    /// The last lines of the server's log.
    Logs,
    /// A memory stick, for backups.
    MountUsb {
        read_only: bool,
    },
    UnmountUsb,
}

/// How the box gets its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Network {
    Automatic,
    Fixed { interface: Interface, gateway: IpAddr, servers: Vec<IpAddr> },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    Done { text: String },
    Refused { why: String },
    Failed { why: String },
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Root,
    Server,
    Beacon,
}

impl Request {
    /// Whether a caller may ask for this.
    /// The beacon is reached by whoever is in the office while the server is down: it may only do what brings the
    /// server back.
    pub fn is_allowed(&self, caller: Caller) -> bool {
        match caller {
            Caller::Root | Caller::Server => true,
            Caller::Beacon => matches!(
                self,
                Request::RestartServer
                    | Request::Reboot
                    | Request::OtherSlot
                    | Request::Slots
                    | Request::Logs
            ),
        }
    }

    /// Understands a line.
    pub fn parse(line: &str) -> Result<Request, String> {
        serde_json::from_str(line).map_err(|error| format!("not understood: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list_is_understood() {
        assert_eq!(Request::parse("{\"do\":\"reboot\"}"), Ok(Request::Reboot));
        let fixed = "{\"do\":\"set-network\",\"network\":{\"by\":\"fixed\",\"interface\":[\"192.168.1.7\",24],\"gateway\":\"192.168.1.1\",\"servers\":[]}}";
        assert!(Request::parse(fixed).is_ok());
        for bad in [
            "",
            "{}",
            "{\"do\":\"run\",\"command\":\"sh\"}",
            "{\"do\":\"update\",\"bundle\":\"../../x.raucb\"}",
            "{\"do\":\"set-host-name\",\"name\":\"a;b\"}",
        ] {
            assert!(Request::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_beacon_may_only_bring_the_server_back() {
        assert!(
            Request::RestartServer.is_allowed(Caller::Beacon)
                && Request::Logs.is_allowed(Caller::Beacon)
        );
        for request in [
            Request::FactoryReset,
            Request::PowerOff,
            Request::MountUsb { read_only: true },
            Request::RollBackNetwork,
        ] {
            assert!(
                !request.is_allowed(Caller::Beacon) && request.is_allowed(Caller::Server),
                "{request:?}"
            );
        }
    }
}
