//! The bounds of every number in the settings, in one table.
//!
//! The upper ones are far above what anybody needs.
//! They are there so that sums of the server can't overflow and a slip of the finger is found when the file is read.

use super::sections::Config;
use crate::error::{Error, Result};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 366 * DAY;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// More than disks of such machines have.
const DISK: u64 = 1 << 46;
/// What is multiplied and added up in 64 bits, and counted in 32.
const MANY: u64 = 1_000_000_000;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Hours,
    Days,
    Octets,
    Things,
}

/// What 0 stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// A number as any other.
    Number,
    /// No bound, or one that the server finds itself.
    Unset,
}

/// A key with its values as they are set: one, or those of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As `section.key`.
    pub setting: &'static str,
    pub unit: Unit,
    pub zero: Zero,
    pub least: u64,
    pub most: u64,
    pub values: Vec<u64>,
}

macro_rules! table {
    ($($section:ident.$key:ident $unit:ident $zero:ident $least:expr, $most:expr;)*) => {
        /// All numbers of the settings with their bounds, both included.
        pub fn bounds(config: &Config) -> Vec<Bound> {
            vec![$(Bound {
                setting: concat!(stringify!($section), ".", stringify!($key)),
                unit: Unit::$unit,
                zero: Zero::$zero,
                least: $least,
                most: $most,
                values: config.$section.$key.numbers(),
            },)*]
        }
    };
}

table! {
    dns.deadline Seconds Number 1, 10 * MINUTE;
    outbound.retry Seconds Number 1, 30 * DAY;
    outbound.lifetime Seconds Number 1, YEAR;
    outbound.warn_after Seconds Number 0, YEAR;
    outbound.connections Things Number 1, 10_000;
    outbound.connections_per_destination Things Number 1, 10_000;
    outbound.messages_per_connection Things Number 1, 1_000_000;
    outbound.recipients_per_message Things Number 1, 100_000;
    outbound.daily_recipients Things Number 0, MANY;
    outbound.connect Seconds Number 1, DAY;
    outbound.greeting Seconds Number 1, DAY;
    outbound.command Seconds Number 1, DAY;
    outbound.data Seconds Number 1, DAY;
    outbound.final_reply Seconds Number 1, DAY;
    outbound.remote_port Things Number 1, 65_535;
    outbound.https_port Things Number 1, 65_535;
    web.session_hours Hours Number 1, 87_600;
    store.max_octets Octets Unset MIB, DISK;
    store.reserve_octets Octets Number 0, DISK;
    store.batch_messages Things Number 1, 100_000;
    store.batch_octets Octets Number 1, GIB;
    // 2 GiB: sizes of messages are kept in 32 bits.
    limits.message_octets Octets Number 64 << 10, 2 * GIB - 1;
    // RFC 5321 §4.5.3.1.8.
    limits.recipients Things Number 100, 100_000;
    limits.messages Things Number 1, MANY;
    limits.errors Things Number 1, MANY;
    limits.commands Things Number 1, MANY;
    // RFC 5321 §4.5.3.1.4.
    limits.command_line Octets Number 512, 64 << 10;
    limits.received_fields Things Number 1, 10_000;
    limits.connections Things Number 1, 1_000_000;
    limits.connections_per_address Things Number 1, 1_000_000;
    limits.octets_in_flight Octets Unset MIB, GIB;
    limits.failed_logins Things Number 1, MANY;
    limits.password_checks Things Number 1, 1000;
    timeouts.smtp_command Seconds Number 1, DAY;
    timeouts.smtp_data Seconds Number 1, DAY;
    timeouts.send Seconds Number 1, DAY;
    timeouts.tls_handshake Seconds Number 1, DAY;
    timeouts.pop3_idle Seconds Number 1, DAY;
    timeouts.pop3_login Seconds Number 1, DAY;
    timeouts.shutdown Seconds Number 0, DAY;
    login.failures Things Number 0, MANY;
    login.wait Seconds Number 0, HOUR;
    login.remember Seconds Number 0, 30 * DAY;
    login.delay Seconds Number 0, DAY;
    retention.trash_days Days Number 0, 36_500;
    retention.junk_days Days Number 1, 36_500;
    retention.ledger_days Days Number 0, 36_500;
    retention.ledger_octets Octets Unset 1, DISK;
}

impl Bound {
    /// Whether a value may be set.
    pub fn allows(&self, value: u64) -> bool {
        (self.least..=self.most).contains(&value) || value == 0 && self.zero == Zero::Unset
    }

    /// Refuses a value outside by the key's name.
    pub fn judge(&self) -> Result<()> {
        match self.values.iter().find(|value| !self.allows(**value)) {
            Some(&value) => Err(Error::OutOfBounds {
                setting: self.setting,
                value,
                bounds: match self.zero {
                    Zero::Number => format!("from {} to {}", self.least, self.most),
                    Zero::Unset => format!("0, or from {} to {}", self.least, self.most),
                },
            }),
            None => Ok(()),
        }
    }
}

/// What a key holds, as numbers.
trait Numbers {
    fn numbers(&self) -> Vec<u64>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Numbers for $type {
            fn numbers(&self) -> Vec<u64> {
                vec![*self as u64]
            }
        }
    )*};
}

numbers! { u16 u32 u64 usize }

impl Numbers for Vec<u64> {
    fn numbers(&self) -> Vec<u64> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of numbers in a table, as `section.key`.
    fn numeric(table: &toml::Table) -> Vec<String> {
        let of = |value: &toml::Value| match value {
            toml::Value::Array(values) => values.iter().any(toml::Value::is_integer),
            value => value.is_integer(),
        };
        let keys = table.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?)));
        keys.flat_map(|(section, keys)| {
            keys.iter().filter(|(_, v)| of(v)).map(move |(key, _)| format!("{section}.{key}"))
        })
        .collect()
    }

    #[test]
    fn every_number_of_the_settings_has_bounds_and_its_default_lies_within() {
        let default = toml::Table::try_from(Config::default()).unwrap();
        let mut keys = numeric(&default);
        let mut bounded: Vec<_> =
            bounds(&Config::default()).iter().map(|bound| bound.setting.to_string()).collect();
        keys.sort();
        bounded.sort();
        assert_eq!(keys, bounded);
        assert!(default.values().all(|value| !value.is_integer()), "only sections have numbers");
        for bound in bounds(&Config::default()) {
            assert_eq!(bound.judge(), Ok(()));
            assert!(bound.least <= bound.most && bound.most < i64::MAX as u64 / 2);
        }
    }
}
