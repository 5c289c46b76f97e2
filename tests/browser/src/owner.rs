//! What an owner does.

use std::path::Path;

use fantoccini::Locator;
use fantoccini::key::Key;
use tokio::io::AsyncWriteExt;

use crate::driver::{Browser, DESKTOP, Driver, Kind, PHONE, Result};
use crate::product::Product;

const PASSWORD: &str = "a sentence to keep";

/// The owner's and everybody's pages.
const PAGES: [&str; 24] = [
    "/mail/1", "/mail/settings", "/mail/contacts", "/home", "/people", "/people/bob@example.test",
    "/domains", "/line", "/certificate", "/name", "/round", "/log", "/network", "/system",
    "/about", "/queue", "/find", "/doctor", "/spam", "/programs", "/programs/card", "/coach",
    "/security", "/nothing",
];

fn check(is: bool, what: &str) -> Result<()> {
    if is { Ok(()) } else { Err(what.into()) }
}

async fn claim(browser: &Browser, product: &Product, code: &str) -> Result<()> {
    browser.open(&product.url("/")).await?;
    browser.sees("Make this mail box yours").await?;
    for (field, text) in [
        ("code", code),
        ("domain", "example.org"),
        ("name", "Ann"),
        ("local", "ann"),
        ("password", PASSWORD),
    ] {
        browser.fill(field, text).await?;
    }
    browser.click("This is my mail box").await
}

pub async fn sign_in(
    browser: &Browser,
    product: &Product,
    user: &str,
    password: &str,
) -> Result<()> {
    browser.open(&product.url("/login")).await?;
    browser.fill("user", user).await?;
    browser.fill("password", password).await?;
    browser.choose("main button").await?;
    // Whoever goes on before the answer is there is led elsewhere by it.
    browser.client.wait().for_element(Locator::Css("form.who")).await?;
    Ok(())
}

pub async fn a_wrong_claim_code_is_refused(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::fresh().await?;
    let browser = driver.browser(PHONE).await?;
    browser.open(&product.url("/")).await?;
    browser.sees("Make this mail box yours").await?;
    browser.picture(pictures, "setup-claim-390").await?;
    claim(&browser, &product, "0000000").await?;
    browser.sees("That is not the claim code").await?;
    let kept = browser.value("[name=domain]").await?;
    check(kept == "example.org", "what was typed must stay")?;
    for code in ["0000001", "0000002", "0000003", "0000004", "0000005"] {
        browser.fill("code", code).await?;
        browser.fill("password", PASSWORD).await?;
        browser.click("This is my mail box").await?;
        // The page came back with what was typed.
        browser
            .client
            .wait()
            .for_element(Locator::Css(&format!("[name=code][value='{code}']")))
            .await?;
    }
    browser.sees("Too many wrong codes").await?;
    browser.picture(pictures, "setup-wrong-code-390").await?;
    browser.close().await
}

pub async fn the_first_run_from_claim_code_to_mail(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::fresh().await?;
    let browser = driver.browser(DESKTOP).await?;
    let shot =
        async |name: &str| browser.picture(pictures, &format!("first-run-{name}-1280")).await;
    claim(&browser, &product, &product.claim_code()?.to_lowercase()).await?;
    browser.sees("The box's name").await?;
    shot("1-name").await?;
    let suggested = browser.value("main [name=name]").await?;
    check(suggested == "mail.example.org", "the usual name is suggested")?;
    browser.click("Save").await?;
    browser.sees("Examine the line now").await?;
    browser.click("Examine the line now").await?;
    browser.sees("Send through a provider: directly").await?;
    shot("2-line").await?;
    browser.click("Go on").await?;
    browser.sees("v=spf1 mx ~all").await?;
    browser.click("See what is published now").await?;
    browser.sees("could not be looked up").await?;
    shot("3-dns").await?;
    browser.click("Go on").await?;
    browser.sees("The box made it itself").await?;
    shot("4-certificate").await?;
    browser.click("Go on").await?;
    browser.sees("Add a mailbox").await?;
    browser.fill("address", "bob").await?;
    browser.click("Add").await?;
    browser.sees("Hand over this link").await?;
    shot("5-people").await?;
    let text = browser.text().await?;
    let link = text
        .split_whitespace()
        .find(|word| word.contains("/welcome/"))
        .ok_or("no link is shown")?
        .to_string();
    welcome(driver, pictures, &link).await?;
    browser.click("Go on").await?;
    browser.sees("Does mail really come in").await?;
    browser.click("Send it round").await?;
    browser.sees("This is all.").await?;
    let page = browser.text().await?;
    check(
        page.matches("fine").count() == 4 && !page.contains("trouble"),
        &format!("every hop is fine:\n{page}"),
    )?;
    shot("6-test").await?;
    browser.click("Finish").await?;
    browser.sees("The latest").await?;
    browser.sees("It works").await?;
    shot("7-home").await?;
    browser.close().await
}

/// Bob opens his link, in a browser of his own.
async fn welcome(driver: &Driver, pictures: &Path, link: &str) -> Result<()> {
    let browser = driver.browser(PHONE).await?;
    browser.open(link).await?;
    browser.sees("Choose your password").await?;
    browser.picture(pictures, "welcome-390").await?;
    browser.fill("password", "bob has a sentence").await?;
    browser.click("Use this password").await?;
    browser.sees("Inbox").await?;
    browser.open(link).await?;
    browser.sees("This link no longer works").await?;
    browser.close().await
}

pub async fn the_set_up_is_left_and_resumed(driver: &Driver, _: &Path) -> Result<()> {
    let product = Product::fresh().await?;
    let browser = driver.browser(DESKTOP).await?;
    claim(&browser, &product, &product.claim_code()?).await?;
    browser.sees("The box's name").await?;
    browser.click("Save").await?;
    browser.sees("Examine the line now").await?;
    browser.close().await?;
    let again = driver.browser(PHONE).await?;
    sign_in(&again, &product, "ann@example.org", PASSWORD).await?;
    again.sees("Examine the line now").await?;
    again.open(&product.url("/home")).await?;
    again.sees("The set-up is not finished").await?;
    again.click("Go on with it").await?;
    again.sees("Examine the line now").await?;
    again.close().await
}

/// The demo with Ann signed in.
async fn demo(driver: &Driver, kind: Kind) -> Result<(Product, Browser)> {
    let product = Product::demo()?;
    let browser = driver.browser(kind).await?;
    let (user, password) = product.people[0].clone();
    sign_in(&browser, &product, &user, &password).await?;
    Ok((product, browser))
}

pub async fn every_page_fits_a_phone_and_a_desk(driver: &Driver, pictures: &Path) -> Result<()> {
    let (product, browser) = demo(driver, DESKTOP).await?;
    for kind in [DESKTOP, PHONE] {
        browser.become_kind(kind).await?;
        for page in PAGES {
            browser.open(&product.url(page)).await?;
            let name = page.trim_matches('/').replace(['/', '@', '.'], "-");
            browser.picture(pictures, &format!("{name}-{}", kind.width)).await?;
            check(
                !browser.is_wider_than(kind.width).await?,
                &format!("{page} is wider than {} px", kind.width),
            )?;
            let unnamed = browser
                .script("return [...document.querySelectorAll('input:not([type=hidden]),select,textarea')].filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.name).join()")
                .await?;
            check(unnamed == "", &format!("{page} has fields without a name: {unnamed}"))?;
        }
    }
    browser.open(&product.url("/login")).await?;
    browser.close().await
}

pub async fn dark_colours_follow_the_system(driver: &Driver, pictures: &Path) -> Result<()> {
    let (product, browser) = demo(driver, Kind { dark: true, ..DESKTOP }).await?;
    for page in ["/home", "/people", "/domains", "/programs", "/security"] {
        browser.open(&product.url(page)).await?;
        let name = page.trim_matches('/');
        browser.picture(pictures, &format!("{name}-dark")).await?;
        // The contrast of text on its ground (WCAG 2, at least 4.5), over all elements with text of their own.
        let worst = browser.script(CONTRAST).await?;
        let ratio = worst["ratio"].as_f64().unwrap_or(0.0);
        check(ratio >= 4.5, &format!("{page}: contrast {ratio:.2} at {}", worst["text"]))?;
    }
    browser.become_kind(DESKTOP).await?;
    for page in ["/home", "/queue", "/programs", "/security", "/line"] {
        browser.open(&product.url(page)).await?;
        let worst = browser.script(CONTRAST).await?;
        let ratio = worst["ratio"].as_f64().unwrap_or(0.0);
        check(ratio >= 4.5, &format!("{page}: contrast {ratio:.2} at {} in light", worst["text"]))?;
    }
    browser.close().await
}

const CONTRAST: &str = r#"
const rgb = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
let worst = { ratio: 21, text: "" };
for (const element of document.querySelectorAll("main *, header *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || element.closest(".hidden, svg, .skip")) continue;
  const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst.ratio) worst = { ratio, text: element.textContent.trim().slice(0, 60) };
}
return worst;
"#;

pub async fn pages_speak_german(driver: &Driver, pictures: &Path) -> Result<()> {
    let (product, browser) = demo(driver, Kind { language: "de", ..PHONE }).await?;
    for (page, wanted) in [
        ("/home", "Platte"),
        ("/people", "Postfach"),
        ("/domains", "Nötig"),
        ("/line", "Leitung"),
        ("/programs", "Post abholen"),
    ] {
        browser.open(&product.url(page)).await?;
        browser.sees(wanted).await?;
        check(
            browser.script("return document.documentElement.lang").await? == "de",
            "the page says that it is German",
        )?;
        check(
            !browser.is_wider_than(PHONE.width).await?,
            &format!("{page} in German is wider than a phone"),
        )?;
        browser.picture(pictures, &format!("{}-german", page.trim_matches('/'))).await?;
    }
    browser.close().await
}

pub async fn everything_works_without_scripts(driver: &Driver, _: &Path) -> Result<()> {
    let (product, browser) = demo(driver, Kind { script: false, ..DESKTOP }).await?;
    browser.open(&product.url("/people")).await?;
    browser.fill("address", "cy").await?;
    browser.choose("main input[name=how][value=make]").await?;
    browser.click("Add").await?;
    browser.sees("cy@example.test has a mailbox now").await?;
    browser.open(&product.url("/round")).await?;
    browser.click("Send it round").await?;
    browser.sees("This is all.").await?;
    browser.open(&product.url("/doctor")).await?;
    browser.fill("address", "x@nowhere.invalid").await?;
    browser.click("Examine").await?;
    browser.sees("This is all.").await?;
    browser.click("Sign out").await?;
    browser.sees("Sign in").await?;
    browser.close().await
}

pub async fn everything_works_by_keyboard(driver: &Driver, _: &Path) -> Result<()> {
    let product = Product::demo()?;
    let browser = driver.browser(DESKTOP).await?;
    browser.open(&product.url("/login")).await?;
    let press = async |keys: &str| -> Result<()> {
        Ok(browser.client.active_element().await?.send_keys(keys).await?)
    };
    let (user, password) = &product.people[0];
    // The first field has the focus.
    press(user).await?;
    press(&Key::Tab.to_string()).await?;
    press(password).await?;
    press(&Key::Enter.to_string()).await?;
    browser.sees("The latest").await?;
    // The first stop is the way to the content; then every link can be reached, and what has the focus can be seen.
    let tab = Key::Tab.to_string();
    press(&tab).await?;
    let first = browser.script("return document.activeElement.outerHTML.slice(0, 200)").await?;
    check(
        first.as_str().is_some_and(|html| html.contains("skip")),
        &format!("the first stop leads to the content, not {first}"),
    )?;
    let mut seen = Vec::new();
    for _ in 0..12 {
        press(&tab).await?;
        let stop = browser.script("const e = document.activeElement; return [e.textContent.trim(), getComputedStyle(e).outlineStyle]").await?;
        check(stop[1] != "none", &format!("the focus can be seen on {}", stop[0]))?;
        seen.push(stop[0].as_str().unwrap_or_default().to_string());
        if seen.last().is_some_and(|text| text == "People") {
            press(&Key::Enter.to_string()).await?;
            browser.sees("Add a mailbox").await?;
            return browser.close().await;
        }
    }
    Err(format!("People was not reached: {seen:?}").into())
}

pub async fn the_coach_shows_what_arrives_without_a_reload(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let (product, browser) = demo(driver, DESKTOP).await?;
    browser.open(&product.url("/coach")).await?;
    browser.sees("Nothing yet").await?;
    browser.script("window.same = true").await?;
    let mut program = tokio::net::TcpStream::connect(("127.0.0.1", product.pop3s)).await?;
    program.write_all(b"USER ann\r\n").await?;
    drop(program);
    browser.sees("broke the encryption off").await?;
    check(browser.script("return window.same").await? == true, "the page was not loaded again")?;
    browser.picture(pictures, "coach-seen-1280").await?;
    browser.close().await
}
