//! Leaving a mailing list: where its message says that this is done, and what came of it.

use serde::Deserialize;

/// What came of leaving a mailing list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    Left,
    NotLeft,
    #[default]
    #[serde(other)]
    NotAsked,
}

impl Leaving {
    /// As it is written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Leaving::Left => "left",
            Leaving::NotLeft => "not-left",
            Leaving::NotAsked => "",
        }
    }
}

/// The first web address of the field (RFC 2369 §3.2); others are offered by no button.
pub fn unsubscribe(field: &str) -> String {
    let addresses = field.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    let mut usable = addresses
        .map(str::trim)
        .filter(|address| address.starts_with("https://") && !address.contains(['"', ' ']));
    usable.next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_ways_out_of_a_list() {
        assert_eq!(
            unsubscribe("<mailto:x@y>, <https://a.example/u?x=1>"),
            "https://a.example/u?x=1"
        );
        assert_eq!(unsubscribe("<javascript:alert(1)>, <https://a.example/\"x>"), "");
    }
}
