use super::*;

fn cleaned(html: &str) -> String {
    clean(
        html,
        &HashMap::from([("p1@a".to_string(), "data:image/png;base64,AAAA".to_string())]),
        Remote::Blocked,
    )
    .unwrap()
    .html
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
        for word in
            ["script", "onerror", "onload", "evil.example", "data:", "<form", "position", "\\"]
        {
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

/// Letters that made the tree builder open, compare or look through more and more: each is small, each did harm.
fn hostile() -> Vec<String> {
    let many =
        |piece: &dyn Fn(usize) -> String, count: usize| (0..count).map(piece).collect::<String>();
    vec![
        many(&|n| format!("<p><font color={n}>"), 20_000),
        many(&|n| format!("<p><a href=https://x/{n}><b><i class={n}>x</p>"), 20_000),
        many(&|_| "<div>".into(), 200_000),
        many(&|_| "<blockquote><b>".into(), 50_000),
        format!("<img {}>", many(&|n| format!("a{n}=1 "), 100_000)),
        many(&|n| format!("<table><font size={n}>x"), 20_000),
        many(&|n| format!("<table><tr><td><u title={n}>"), 20_000),
        many(&|_| "<svg><style><font color=x></style>".into(), 20_000),
        many(&|n| format!("<b id={n}></p></br>"), 20_000),
        many(&|_| "<!--".into(), 200_000),
        many(&|_| "<script></scrip".into(), 50_000),
        many(&|_| "<a '".into(), 200_000),
        many(&|_| "</".into(), 300_000),
        many(&|_| "&amp".into(), 100_000),
        many(&|_| "\u{a0}".into(), 100_000),
        format!("<p title='{}'>", many(&|_| "&".into(), 500_000)),
        format!("<p style='{}'>", many(&|_| ";a:b".into(), 200_000)),
        many(&|n| format!("<i>{n}<div></i>"), 20_000),
        many(&|_| "<select><option><optgroup>".into(), 20_000),
        many(&|_| "<template>".into(), 50_000),
    ]
}

#[test]
fn no_small_letter_costs_much_time_or_room() {
    for html in hostile() {
        let begun = crate::tests::worked();
        let (name, text) = (&html[..40], to_text(&html));
        assert!(text.len() <= html.len() * 2, "{name}");
        for out in
            [clean(&html, &HashMap::new(), Remote::Allowed).map(|clean| clean.html), written(&html)]
                .into_iter()
                .flatten()
        {
            assert!(
                out.len() <= 6 * html.len() + 100,
                "{name}: {} octets of {}",
                out.len(),
                html.len()
            );
        }
        // The whole list took hours before.
        assert!(crate::tests::worked() - begun < std::time::Duration::from_secs(20), "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn a_tree_is_never_much_larger_than_what_was_written_for_it(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<p>", "</p>", "<b>", "</b>", "<font color=1>", "<font color=2>", "</font>", "<a href=x>", "</a>", "<div>", "</div>", "<table>", "</table>", "<tr>", "<td>",
        "</td>", "</tr>", "<caption>", "<ul>", "<li>", "</li>", "<dd>", "<h1>", "</h1>", "<pre>", "x", "<ruby>", "<rt>", "<rp>", "<hr>", "<colgroup>", "<col>", "<tbody>", "<i>",
        "<article>", "</article>", "<small>", "<br>", "<summary>", "<details>", "<main>", "<menu>",
    ]), 0..300)) {
        let html = pieces.concat();
        let out = clean(&html, &HashMap::new(), Remote::Allowed).unwrap().html;
        // Each element that was written, a table's implied parts, and no formatting that is opened anew again and
        // again.
        let (written, built) = (tidy(&html, &Rules { elements: &ELEMENTS, attributes: &ATTRIBUTES }).unwrap().matches('<').count(), out.matches('<').count());
        // And nothing that was said is lost.
        proptest::prop_assert_eq!(to_text(&out).matches('x').count(), pieces.iter().filter(|piece| **piece == "x").count(), "{}", html);
        proptest::prop_assert!(built <= 3 * written + 10, "{} of {}: {}", built, written, html);
    }

    #[test]
    fn what_is_written_rightly_is_shown_as_before(html in rightly()) {
        // Ammonia alone, as it was before: the same rules, without what comes in front of it.
        let before = Builder::default().add_tags(ELEMENTS).add_generic_attributes(LAYOUT).link_rel(Some("noopener noreferrer nofollow"))
            .set_tag_attribute_value("a", "target", "_blank").clean(&html).to_string();
        proptest::prop_assert_eq!(cleaned(&html), before);
    }

    #[test]
    fn the_text_has_no_tags_and_all_words(words in proptest::collection::vec("[a-z]{1,5}", 1..20), tag in proptest::sample::select(vec!["b", "p", "div", "td", "unknown"])) {
        let html: String = words.iter().map(|word| format!("<{tag} title='<x>'>{word}</{tag}> <!-- <i>no</i> --><style>no</style>")).collect();
        let text = to_text(&html);
        proptest::prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), words);
    }
}

/// HTML as good programs write it.
fn rightly() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let leaf = proptest::sample::select(vec![
        "text",
        "a &amp; b&nbsp;&lt;",
        "<br>",
        "<p align=\"left\">x</p>",
        "<a href=\"https://a.example/?b=1&amp;c\">y</a>",
        "<hr>",
        "ü\n ",
    ]);
    leaf.prop_map(str::to_string).prop_recursive(6, 60, 4, |inner| {
        let wrap = proptest::sample::select(vec![
            ("<div style=\"color:red\">", "</div>"),
            ("<b>", "</b>"),
            ("<font color=\"red\" size=\"2\">", "</font>"),
            ("<span dir=\"rtl\">", "</span>"),
            (
                "<table width=\"100%\"><tbody><tr><td bgcolor=\"red\">",
                "</td><td>z</td></tr></tbody></table>",
            ),
            ("<ul><li>", "</li><li>z</li></ul>"),
            ("<blockquote>", "</blockquote>"),
            ("<center>", "</center>"),
            ("<h2>", "</h2>"),
            ("<dl><dt>q</dt><dd>", "</dd></dl>"),
        ]);
        (wrap, proptest::collection::vec(inner, 0..4))
            .prop_map(|((front, back), within)| format!("{front}{}{back}", within.concat()))
    })
}

#[test]
fn one_picture_named_a_thousand_times_does_not_make_a_document_of_gigabytes() {
    let pictures = HashMap::from([(
        "Big@a".to_string(),
        format!("data:image/png;base64,{}", "A".repeat(3 << 20)),
    )]);
    let out =
        clean(&"<img src=\"cid:big@A\">".repeat(1000), &pictures, Remote::Blocked).unwrap().html;
    assert!(out.len() < PICTURES + 100_000 && out.contains("AAAA"));
}

#[test]
fn text_is_laid_out_as_it_is_read() {
    for (html, text) in [
        ("<div>a</div><div><br></div><div>b<br></div><div>c</div>", "a\n\nb\nc"),
        ("  a\n  b<p>c</p>\n<p>d", "a b\n\nc\n\nd"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c", "a b\nc"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<pre>a\n  b</pre>c", "a\nb\n\nc"),
        ("Gr&uuml;&szlig;e&nbsp;&#8212;&#150; <title>no</title>&lt;b&gt;", "Grüße —– <b>"),
        ("<HEAD><TITLE>t</TITLE></HEAD><BODY>x<BR>y</BODY>", "x\ny"),
    ] {
        assert_eq!(to_text(html), text, "{html}");
    }
}

#[test]
fn what_mail_is_made_of_stays() {
    let out = cleaned(
        "<table bgcolor=red><tr><td style=\"color:blue;background:url(x)\"><a href=\"https://a.example\">go</a><img src=\"CID:p1@a\" alt=p></td></tr></table>",
    );
    assert!(
        out.contains("bgcolor=\"red\"")
            && out.contains("color:blue")
            && out.contains("data:image/png;base64,AAAA"),
        "{out}"
    );
    assert!(
        out.contains("rel=\"noopener noreferrer nofollow\"") && out.contains("target=\"_blank\"")
    );
    let remote = clean(
        "<img src=\"https://a.example/x.png\"><img src=\"http://b.example/y\">",
        &HashMap::new(),
        Remote::Blocked,
    )
    .unwrap();
    assert_eq!(remote.blocked, 2);
    assert!(
        clean("<img src=\"https://a.example/x.png\">", &HashMap::new(), Remote::Allowed)
            .unwrap()
            .html
            .contains("a.example")
    );
    assert_eq!(
        to_text(
            "<head><title>t</title></head><p>Hello &amp; <b>you</b></p><style>x</style><div>a<br>b</div>"
        ),
        "Hello & you\n\na\nb"
    );
}
