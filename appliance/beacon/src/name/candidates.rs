//! The names that are tried, in their order.

/// Names that are tried before none is: the machine's own, then the same with "-2" to "-9" (RFC 6762 §9).
pub const TRIES: usize = 9;
/// Octets of a label (RFC 1035 §2.3.4).
const LABEL: usize = 63;

/// The labels for a machine's name; only letters, digits and hyphens of its first label count, in lower case.
pub fn candidates(machine: &str) -> Vec<String> {
    let first = machine.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let kept: String = first
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(LABEL - "-9".len())
        .collect();
    let base = match kept.trim_matches('-') {
        "" => "pillarbox",
        base => base,
    };
    (1..=TRIES)
        .map(|number| if number == 1 { base.to_string() } else { format!("{base}-{number}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_machines() {
        let names = candidates("Pillarbox");
        assert_eq!(
            (names.len(), &names[0][..], &names[1][..], &names[8][..]),
            (9, "pillarbox", "pillarbox-2", "pillarbox-9")
        );
        for (machine, first) in [
            ("", "pillarbox"),
            ("post.office.example", "post"),
            ("--", "pillarbox"),
            ("büro-1", "bro-1"),
            ("post-2", "post-2"),
        ] {
            assert_eq!(candidates(machine)[0], first, "{machine}");
        }
        assert!(candidates(&"x".repeat(300)).iter().all(|name| name.len() <= LABEL));
    }
}
