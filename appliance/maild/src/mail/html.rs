//! Foreign HTML made harmless: only known elements and attributes stay (ammonia), nothing runs, nothing is fetched that
//! was not allowed. The page shows the result in a sandboxed frame on a policy of its own: two locks, not one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ammonia::{Builder, UrlRelative};

/// Pictures of other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    Blocked,
    Allowed,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clean {
    pub html: String,
    /// Pictures of other servers that were left out.
    pub blocked: usize,
}

/// Elements that old and new mail is made of, besides ammonia's.
const ELEMENTS: [&str; 6] = ["font", "center", "u", "big", "s", "strike"];
/// Attributes that lay mail out.
const ATTRIBUTES: [&str; 14] =
    ["style", "align", "valign", "width", "height", "bgcolor", "color", "border", "cellpadding", "cellspacing", "face", "size", "dir", "title"];

/// Cleans HTML. `pictures` has `data:` addresses for the pictures that came along, by their content-id.
pub fn clean(html: &str, pictures: &HashMap<String, String>, remote: Remote) -> Clean {
    let blocked = Arc::new(AtomicUsize::new(0));
    let html = {
        let (counter, pictures) = (blocked.clone(), pictures.clone());
        let mut builder = Builder::default();
        builder
            .add_tags(ELEMENTS)
            .add_generic_attributes(ATTRIBUTES)
            .add_tag_attributes("img", ["src", "alt"])
            .url_schemes(HashSet::from(["http", "https", "mailto", "cid", "data", "tel"]))
            .url_relative(UrlRelative::Deny)
            .link_rel(Some("noopener noreferrer nofollow"))
            .set_tag_attribute_value("a", "target", "_blank")
            .attribute_filter(move |element, attribute, value| match (element, attribute) {
                ("img", "src") => picture(value, &pictures, remote, &counter),
                (_, "style") => Some(style(value)),
                // Nothing but pictures comes from data addresses.
                (_, "href" | "cite" | "src") if value.trim_start().to_ascii_lowercase().starts_with("data:") => None,
                _ => Some(Cow::Borrowed(value)),
            });
        builder.clean(html).to_string()
    };
    Clean { html, blocked: blocked.load(Ordering::Relaxed) }
}

fn picture<'v>(value: &'v str, pictures: &HashMap<String, String>, remote: Remote, blocked: &AtomicUsize) -> Option<Cow<'v, str>> {
    let lower = value.trim().to_ascii_lowercase();
    if let Some(id) = lower.strip_prefix("cid:") {
        let found = pictures.iter().find(|(known, _)| known.eq_ignore_ascii_case(id));
        return found.map(|(_, data)| Cow::Owned(data.clone()));
    }
    if lower.starts_with("data:") {
        // Vector pictures may hold more than a picture.
        let is_plain = ["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"].iter().any(|kind| lower.starts_with(kind));
        return is_plain.then_some(Cow::Borrowed(value));
    }
    match remote {
        Remote::Allowed => Some(Cow::Borrowed(value)),
        Remote::Blocked => {
            blocked.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

/// Declarations without anything that fetches or leaves its place.
fn style(value: &str) -> Cow<'_, str> {
    let is_harmless = |declaration: &&str| {
        let lower = declaration.to_ascii_lowercase().replace(char::is_whitespace, "");
        !["url(", "expression", "position:", "@", "\\", "-moz-binding", "behavior", "image-set", "/*"].iter().any(|bad| lower.contains(bad))
    };
    Cow::Owned(value.split(';').filter(is_harmless).collect::<Vec<_>>().join(";"))
}

/// Formatted text of our own editor: what it can make, and nothing else.
pub fn written(html: &str) -> String {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(["a", "b", "strong", "i", "em", "u", "s", "p", "br", "div", "ul", "ol", "li", "blockquote"]))
        .clean_content_tags(HashSet::from(["script", "style", "title", "head"]))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None);
    builder.clean(html).to_string()
}

/// The text of HTML, for previews, searching and quoting: blocks become lines.
pub fn to_text(html: &str) -> String {
    let marked = html
        .replace("<br", "\n<br")
        .replace("<BR", "\n<BR")
        .replace("</p", "\n\n</p")
        .replace("</P", "\n\n</P")
        .replace("</div", "\n</div")
        .replace("</tr", "\n</tr")
        .replace("</li", "\n</li")
        .replace("</h", "\n\n</h");
    let bare = Builder::empty().clean_content_tags(HashSet::from(["script", "style", "title", "head"])).clean(&marked).to_string();
    let text = bare.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&nbsp;", " ").replace("&amp;", "&");
    let mut out = String::new();
    let mut blank = true;
    for line in text.lines().map(str::trim) {
        if line.is_empty() && blank {
            continue;
        }
        blank = line.is_empty();
        out.push_str(line);
        out.push('\n');
    }
    out.trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(html: &str) -> String {
        clean(html, &HashMap::from([("p1@a".to_string(), "data:image/png;base64,AAAA".to_string())]), Remote::Blocked).html
    }

    #[test]
    fn nothing_that_runs_or_fetches_stays() {
        for bad in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=\"data:text/html,x\">x</a>",
            "<iframe src=\"https://evil.example\"></iframe>",
            "<img src=\"https://evil.example/pixel\">",
            "<div style=\"background:url(https://evil.example)\">x</div>",
            "<link rel=stylesheet href=\"https://evil.example\">",
            "<svg onload=alert(1)>",
            "<img src=\"data:image/svg+xml,<svg>\">",
            "<form action=\"https://evil.example\"><input name=x></form>",
            "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
            "<base href=\"https://evil.example/\">",
            "<style>@import 'https://evil.example'</style>",
            "<p style=\"position:fixed;b\\61ckground:x\">x</p>",
        ] {
            let out = cleaned(bad).to_ascii_lowercase();
            for word in ["script", "onerror", "onload", "evil.example", "data:", "<form", "position", "\\"] {
                assert!(!out.contains(word), "{bad} left {out}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rubbish_gets_anything_through(text in "[<>a-z /=\"':;&#x\u{0}-\u{20}]{0,200}") {
            let out = cleaned(&text).to_ascii_lowercase();
            proptest::prop_assert!(!out.contains("<script") && !out.contains("<iframe") && !out.contains("<style"));
            to_text(&text);
        }
    }

    #[test]
    fn what_mail_is_made_of_stays() {
        let out = cleaned(
            "<table bgcolor=red><tr><td style=\"color:blue;background:url(x)\"><a href=\"https://a.example\">go</a><img src=\"CID:p1@a\" alt=p></td></tr></table>",
        );
        assert!(out.contains("bgcolor=\"red\"") && out.contains("color:blue") && out.contains("data:image/png;base64,AAAA"), "{out}");
        assert!(out.contains("rel=\"noopener noreferrer nofollow\"") && out.contains("target=\"_blank\""));
        let remote = clean("<img src=\"https://a.example/x.png\"><img src=\"http://b.example/y\">", &HashMap::new(), Remote::Blocked);
        assert_eq!(remote.blocked, 2);
        assert!(clean("<img src=\"https://a.example/x.png\">", &HashMap::new(), Remote::Allowed).html.contains("a.example"));
        assert_eq!(to_text("<head><title>t</title></head><p>Hello &amp; <b>you</b></p><style>x</style><div>a<br>b</div>"), "Hello & you\n\na\nb");
    }
}
