//! How much memory the server may use for mail on its way, by the memory of the machine.

use std::fs;

/// What a machine is taken for that does not say how much memory it has, in octets.
const UNKNOWN: u64 = 512 << 20;
/// Least and most for mail on its way, where the owner set nothing.
/// More would not make anything faster.
const LEAST: u64 = 8 << 20;
const MOST: u64 = 32 << 20;

/// Memory for mail on its way, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// For content that comes in, up to 256 KiB of each message.
    pub content: usize,
    /// For the rest of large messages that come in; what finds no room here goes through a file.
    pub large: usize,
    /// For what is read ahead for mail programs.
    pub ahead: usize,
}

impl InFlight {
    /// Shares of what the owner set; 0: of a part of the machine's memory.
    pub(crate) fn of(set: usize, machine: u64) -> InFlight {
        let octets = match set {
            0 => (machine / 32).clamp(LEAST, MOST) as usize,
            set => set,
        };
        let part = octets / 16;
        InFlight { content: 11 * part, large: part, ahead: 4 * part }
    }
}

/// The machine's memory in octets, as Linux says it (proc_meminfo(5)).
pub(crate) fn of_machine() -> u64 {
    fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text)).unwrap_or(UNKNOWN)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_boards_give_less_and_the_owner_decides() {
        let sum = |shares: InFlight| shares.content + shares.large + shares.ahead;
        for (machine, octets) in
            [(0, 8 << 20), (512 << 20, 16 << 20), (1 << 30, 32 << 20), (64 << 30, 32 << 20)]
        {
            assert_eq!(sum(InFlight::of(0, machine)), octets);
        }
        assert_eq!(sum(InFlight::of(64 << 20, 512 << 20)), 64 << 20);
        assert_eq!(
            InFlight::of(0, 1 << 30),
            InFlight { content: 22 << 20, large: 2 << 20, ahead: 8 << 20 }
        );
    }

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(total("MemTotal:         437508 kB\nMemFree: 1 kB\n"), Some(437_508 * 1024));
        assert_eq!(
            (total(""), total("MemTotal: 99999999999999999 kB"), total("MemTotal: x")),
            (None, None, None)
        );
        assert!(of_machine() > 64 << 20);
    }
}
