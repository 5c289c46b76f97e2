//! Text whose lines flow (RFC 3676), as it was written.

/// How the lines of a text go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Each line stands for itself.
    #[default]
    Fixed,
    /// A line that ends in a blank goes on in the next one.
    Flowed,
    /// The same, and that blank is none of the text's: languages without blanks are written so, and long words.
    WithoutBlank,
}

impl Flow {
    /// By the parameters `format` and `delsp` (RFC 3676 §4.1, §4.2).
    pub fn parse(format: &str, delsp: &str) -> Flow {
        match (format.eq_ignore_ascii_case("flowed"), delsp.eq_ignore_ascii_case("yes")) {
            (false, _) => Flow::Fixed,
            (true, false) => Flow::Flowed,
            (true, true) => Flow::WithoutBlank,
        }
    }
}

const SIGNATURE: &str = "-- ";
/// Octets of a link that some program may have broken to fit a line.
const LONG_LINK: usize = 40;

/// Joins lines that go on; quotes keep their marks.
pub fn unflow(text: &str, flow: Flow) -> String {
    if flow == Flow::Fixed {
        return text.replace("\r\n", "\n");
    }
    let mut out = String::with_capacity(text.len());
    let (mut was_flowed, mut begun): (Option<usize>, usize) = (None, 0);
    for line in text.lines() {
        let depth = line.bytes().take_while(|&b| b == b'>').count();
        // One blank in front was stuffed (§4.4).
        let rest = line[depth..].strip_prefix(' ').unwrap_or(&line[depth..]);
        if was_flowed == Some(depth) && rest != SIGNATURE {
            if flow == Flow::WithoutBlank && is_broken_link(&out[begun..], rest) {
                out.truncate(out.trim_end_matches(' ').len());
            }
        } else {
            if !out.is_empty() {
                out.push('\n');
            }
            if depth > 0 {
                out.push_str(&">".repeat(depth));
                out.push(' ');
            }
        }
        begun = out.len();
        // A signature's separator is never flowed (§4.3).
        was_flowed = (rest.ends_with(' ') && rest != SIGNATURE).then_some(depth);
        let is_cut = was_flowed.is_some() && flow == Flow::WithoutBlank;
        out.push_str(if is_cut { &rest[..rest.len() - 1] } else { rest });
    }
    out
}

/// Whether a line is a long link alone that stops where no link stops, and the next one reads like the rest of it.
/// Some programs break links so and leave a blank of their own: with it the link would lead elsewhere.
fn is_broken_link(line: &str, next: &str) -> bool {
    let link = line.trim_end_matches(' ');
    let is_link =
        ["https://", "http://", "ftp://", "www."].iter().any(|front| link.starts_with(front))
            && !link.contains(' ');
    let word = next.split(' ').next().unwrap_or_default();
    let is_rest = word
        .trim_end_matches(['.', ',', ':', ')', '?', '!'])
        .trim_start_matches('(')
        .contains(['.', '/', '=', '&', '?', '%']);
    is_link
        && link.len() >= LONG_LINK
        && link.ends_with(['/', '-', '?', '&', '=', '_', '%'])
        && is_rest
        && !word.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowed_lines_are_joined_and_quotes_stay_quotes() {
        let long = "https://remote.test/a/very/long/link/that/goes/on/";
        for (text, flowed, without) in [
            (
                "a long \r\nline\r\n> quoted \r\n> text\r\nmine",
                "a long line\n> quoted text\nmine",
                "a longline\n> quotedtext\nmine",
            ),
            ("words  \r\ngo on \r\n-- \r\nAnn", "words  go on \n-- \nAnn", "words go on\n-- \nAnn"),
            (
                " From stuffed\r\n  two\r\n>> a \r\n> b", "From stuffed\n two\n>> a \n> b",
                "From stuffed\n two\n>> a\n> b",
            ),
            ("これ \r\nは", "これ は", "これは"),
            ("", "", ""),
            (" ", "", ""),
        ] {
            assert_eq!(
                (unflow(text, Flow::Flowed).as_str(), unflow(text, Flow::WithoutBlank).as_str()),
                (flowed, without),
                "{text}"
            );
        }
        let joined = |second: &str| unflow(&format!("{long}  \r\n{second}"), Flow::WithoutBlank);
        assert_eq!(
            joined("lines.html and more"),
            format!("{long}lines.html and more"),
            "a link that was broken"
        );
        assert_eq!(
            (joined("goes on."), joined("http://x.test/")),
            (format!("{long} goes on."), format!("{long} http://x.test/")),
            "one that was not"
        );
        assert_eq!(
            unflow(&format!("{long} \r\nx.html"), Flow::WithoutBlank),
            format!("{long}x.html")
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_flows(text in "[> a\r\n-]{0,60}") {
            for flow in [Flow::Fixed, Flow::Flowed, Flow::WithoutBlank] {
                proptest::prop_assert!(unflow(&text, flow).len() <= 2 * text.len() + 1);
            }
        }
    }
}
