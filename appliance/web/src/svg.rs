//! Pictures made on the server: no script, colours from the stylesheet.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};

const WIDTH: usize = 480;
const HEIGHT: usize = 96;

/// Bars of two numbers each, one above the other, oldest first.
/// `title` is what a screen reader says.
pub fn bars(values: &[(u64, u64)], title: &str) -> String {
    let most = values.iter().map(|(a, b)| a + b).max().unwrap_or(0).max(1);
    let step = WIDTH as f64 / values.len().max(1) as f64;
    let mut out = open(title);
    for (at, (lower, upper)) in values.iter().enumerate() {
        let height = |value: u64| value as f64 / most as f64 * (HEIGHT - 4) as f64;
        let (x, width) = (at as f64 * step, (step - 1.5).max(1.0));
        for (value, below, class) in [(*lower, 0, "in"), (*upper, *lower, "out")] {
            if value > 0 {
                let y = HEIGHT as f64 - height(below) - height(value);
                // Writing into a string can't fail.
                let _ = write!(
                    out,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" \
                     width=\"{width:.1}\" height=\"{:.1}\" rx=\"1\"/>",
                    height(value)
                );
            }
        }
    }
    out.push_str("</svg>");
    out
}

/// A filled curve of one number over time, oldest first, drawn up to `most`.
pub fn curve(values: &[u64], most: u64, title: &str) -> String {
    let step = WIDTH as f64 / (values.len().max(2) - 1) as f64;
    let y = |value: u64| {
        HEIGHT as f64 - value.min(most.max(1)) as f64 / most.max(1) as f64 * (HEIGHT - 4) as f64
    };
    let mut line = String::new();
    for (at, value) in values.iter().enumerate() {
        let _ = write!(
            line,
            "{}{:.1} {:.1}",
            if at == 0 { "M" } else { "L" },
            at as f64 * step,
            y(*value)
        );
    }
    let last = (values.len().max(1) - 1) as f64 * step;
    let mut out = open(title);
    if !values.is_empty() {
        let _ = write!(
            out,
            "<path class=\"area\" d=\"{line}L{last:.1} {HEIGHT}L0 {HEIGHT}Z\"/>\
             <path class=\"line\" d=\"{line}\"/>"
        );
    }
    out.push_str("</svg>");
    out
}

fn open(title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    )
}

/// A QR code as a picture; empty when the text is too long for one.
pub fn qr(text: &str, title: &str) -> String {
    let Ok(code) = QRBuilder::new(text).ecl(ECL::M).build() else { return String::new() };
    let title = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let size = code.size;
    let mut path = String::new();
    for (at, module) in code.data[..size * size].iter().enumerate() {
        if module.value() {
            let _ = write!(path, "M{} {}h1v1h-1z", at % size + 2, at / size + 2);
        }
    }
    let side = size + 4;
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" \
         role=\"img\" aria-label=\"{title}\">\
         <rect width=\"{side}\" height=\"{side}\" class=\"paper\"/>\
         <path class=\"ink\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stay_within_their_frame_and_escape_their_title() {
        let picture = bars(&[(0, 0), (5, 5), (1, 0)], "a \"b\" <c>");
        assert_eq!(picture.matches("<rect").count(), 3);
        assert!(
            picture.contains("&quot;b&quot; &lt;c>") && !picture.contains("y=\"-"),
            "{picture}"
        );
        assert!(curve(&[], 0, "").ends_with("</title></svg>"));
        assert!(curve(&[1, 9, 3], 5, "").contains("M0.0"));
        assert!(!curve(&[1, 9, 3], 5, "").contains(" -"));
        assert!(qr("https://example.org/", "x").contains("M2 2h1v1h-1z"));
        assert!(qr(&"x".repeat(5000), "x").is_empty());
    }
}
