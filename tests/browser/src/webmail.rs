//! What an office worker does with mail.

use std::path::Path;

use fantoccini::Locator;
use fantoccini::key::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::driver::{Browser, DESKTOP, Driver, Kind, PHONE, Result};
use crate::owner::sign_in;
use crate::product::Product;

pub fn check(is: bool, what: &str) -> Result<()> {
    if is { Ok(()) } else { Err(what.into()) }
}

/// The demo with one of its people signed in: 0 is Ann, 1 is Bob.
pub async fn inside(
    driver: &Driver,
    kind: Kind,
    product: &Product,
    person: usize,
) -> Result<Browser> {
    let browser = driver.browser(kind).await?;
    let (user, password) = product.people[person].clone();
    sign_in(&browser, product, &user, &password).await?;
    browser.sees("Sign out").await?;
    browser.open(&product.url("/mail")).await?;
    browser.sees("Inbox").await?;
    Ok(browser)
}

/// Brings a message as another server would.
pub async fn bring(product: &Product, to: &str, content: &str) -> Result<()> {
    let mut smtp = TcpStream::connect(("127.0.0.1", product.smtp)).await?;
    let mut answer = [0; 512];
    let stuffed = content.replace("\r\n.", "\r\n..");
    for line in [
        "",
        "HELO x.example\r\n",
        "MAIL FROM:<cy@x.example>\r\n",
        &format!("RCPT TO:<{to}>\r\n"),
        "DATA\r\n",
        &format!("{stuffed}\r\n.\r\n"),
        "QUIT\r\n",
    ] {
        smtp.write_all(line.as_bytes()).await?;
        let count = smtp.read(&mut answer).await?;
        check(
            matches!(answer[..count].first(), Some(b'2' | b'3')),
            &format!("{line:?}: {}", String::from_utf8_lossy(&answer[..count])),
        )?;
    }
    Ok(())
}

fn letter(subject: &str, kind: &str, body: &str) -> String {
    format!("From: Cy Sample <cy@x.example>\r\nTo: ann@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.example>\r\nMIME-Version: 1.0\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{body}")
        .replace("> \r\n", ">\r\n")
}

pub async fn mail_is_read_answered_and_found(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::demo()?;
    let html = "<h1>Offer</h1><p>Dear Ann, <b>here</b> it is: <a href=\"https://x.example/offer\">the offer</a></p><img src=\"https://x.example/pixel.png\">";
    bring(&product, "ann@example.test", &letter("Offer", "text/html", html)).await?;
    for kind in [DESKTOP, PHONE] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser.picture(pictures, &format!("mail-list-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the list fits")?;
        browser.open(&product.url("/mail/1?q=offer+from:cy")).await?;
        browser.sees("Offer").await?;
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        browser.sees("Pictures from other servers are not shown").await?;
        browser.picture(pictures, &format!("mail-message-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the message fits")?;
        browser.client.find(Locator::Css("iframe.body")).await?.enter_frame().await?;
        browser.sees("Dear Ann").await?;
        browser.client.enter_parent_frame().await?;
        browser.click("Reply").await?;
        browser.sees("Keep as a draft").await?;
        let body = browser.value("textarea").await?;
        check(body.contains("> Dear Ann, here it is"), &format!("the answer quotes: {body}"))?;
        browser.picture(pictures, &format!("mail-compose-{}", kind.width)).await?;
        browser.close().await?;
    }
    Ok(())
}

pub async fn what_is_dangerous_is_told_and_what_is_in_junk_says_why(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let product = Product::demo()?;
    let with = |subject: &str, name: &str, content: &str| {
        let kind = "multipart/mixed; boundary=b";
        let body = format!(
            "--b\r\n\r\nPlease look at this.\r\n--b\r\nContent-Type: application/octet-stream; \
             name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--b--"
        );
        letter(subject, kind, &body).replace("; charset=utf-8", "")
    };
    let page = "<html><form action=\"https://x.example\"><input name=password></form></html>";
    bring(&product, "ann@example.test", &with("Statement", "statement.html", page)).await?;
    bring(&product, "ann@example.test", &with("Costs", "costs.xlsm", "x")).await?;
    let program = bring(&product, "ann@example.test", &with("Game", "game.exe", "x")).await;
    check(
        program.is_err_and(|why| why.to_string().contains("\"game.exe\" is a program")),
        "a program is refused with the reason",
    )?;
    for (kind, language) in [(DESKTOP, "en"), (PHONE, "de")] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser.open(&product.url("/mail/1?q=costs")).await?;
        if language == "de" {
            choose_german(&browser).await?;
            browser.open(&product.url("/mail/1?q=costs")).await?;
        }
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        browser.sees(if language == "en" { "has macros" } else { "enth\u{e4}lt Makros" }).await?;
        browser.picture(pictures, &format!("mail-warning-{}", kind.width)).await?;
        browser.open(&product.url("/mail/5")).await?;
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        let why =
            if language == "en" { "Why is this in Junk?" } else { "Warum liegt das unter Spam?" };
        browser.sees(why).await?;
        browser.sees("statement.html").await?;
        browser.picture(pictures, &format!("mail-junk-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the page fits")?;
        browser.open(&product.url("/spam")).await?;
        browser.picture(pictures, &format!("spam-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the page of spam fits")?;
        if language == "de" {
            browser.open(&product.url("/mail/5")).await?;
            browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
            browser.click("Kein Spam").await?;
            browser.sees("Tasten und Suche").await?;
            browser.open(&product.url("/mail/1?q=statement")).await?;
            browser.sees("Statement").await?;
        }
        browser.close().await?;
    }
    Ok(())
}

pub async fn the_box_learns_what_is_junk_and_takes_it_back(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let product = Product::demo()?;
    let prize = |number: usize| {
        let text =
            format!("You are a winner, number {number}. Click here to claim your prize money.");
        letter(&format!("Prize {number}"), "text/plain", &text)
    };
    for number in 0..20 {
        bring(&product, "ann@example.test", &prize(number)).await?;
        let text = format!("Here is drawing {number} of the pump, as we agreed in the meeting.");
        let pump = letter(&format!("Pump {number}"), "text/plain", &text);
        bring(&product, "ann@example.test", &pump).await?;
    }
    let without = Kind { script: false, ..DESKTOP };
    let browser = inside(driver, without, &product, 0).await?;
    for (list, button) in
        [("/mail/1?q=prize", "junk"), ("/mail/1?q=pump", "junk"), ("/mail/5?q=pump", "not-junk")]
    {
        browser.open(&product.url(list)).await?;
        for row in browser.client.find_all(Locator::Css(".row-mail [name=id]")).await? {
            row.click().await?;
        }
        browser.choose(&format!("button[value={button}]")).await?;
        browser.sees("Moved.").await?;
    }
    browser.close().await?;
    let browser = inside(driver, DESKTOP, &product, 0).await?;
    browser.open(&product.url("/spam")).await?;
    becomes_text(&browser, "It has learned from 20 wanted and 20 unwanted messages.").await?;
    browser.sees("It judges by this.").await?;
    browser.picture(pictures, "spam-learned-1280").await?;
    bring(&product, "ann@example.test", &prize(99)).await?;
    for (kind, language) in [(DESKTOP, "en"), (PHONE, "de")] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser.open(&product.url("/mail/5?q=prize")).await?;
        if language == "de" {
            choose_german(&browser).await?;
            browser.open(&product.url("/mail/5?q=prize")).await?;
        }
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        let why = if language == "en" {
            "that were marked as junk here"
        } else {
            "als Spam markiert wurden"
        };
        browser.sees(why).await?;
        browser.sees("prize").await?;
        browser.picture(pictures, &format!("mail-learned-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the page fits")?;
        if language == "de" {
            browser.click("Kein Spam").await?;
            browser.sees("Tasten und Suche").await?;
        }
        browser.close().await?;
    }
    browser.open(&product.url("/spam")).await?;
    // She chose German meanwhile.
    becomes_text(&browser, "aus 21 erw\u{fc}nschten und 20 unerw\u{fc}nschten").await?;
    bring(&product, "ann@example.test", &prize(100)).await?;
    browser.open(&product.url("/mail/1?q=prize")).await?;
    browser.sees("Prize 100").await?;
    browser.close().await
}

pub async fn another_bank_account_is_marked_in_red(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::demo()?;
    let bill = |month: &str, account: &str| {
        let text = format!("Please pay to IBAN {account}, as always.");
        letter(&format!("Bill-{month}"), "text/plain", &text)
    };
    bring(&product, "ann@example.test", &bill("May", "DE89 3704 0044 0532 0130 00")).await?;
    bring(&product, "ann@example.test", &bill("June", "DE89370400440532013000")).await?;
    bring(&product, "ann@example.test", &bill("July", "GB82 WEST 1234 5698 7654 32")).await?;
    let without = Kind { script: false, ..DESKTOP };
    for (kind, language) in [(without, "en"), (DESKTOP, "en"), (PHONE, "de")] {
        let browser = inside(driver, kind, &product, 0).await?;
        if language == "de" {
            choose_german(&browser).await?;
        }
        let words = ["Another bank account than before", "Eine andere Bankverbindung als bisher"];
        let warning = if language == "en" { words[0] } else { words[1] };
        browser.open(&product.url("/mail/1?q=june")).await?;
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        browser.sees("as always").await?;
        check(!browser.text().await?.contains(warning), "the same account is no change")?;
        browser.open(&product.url("/mail/1?q=july")).await?;
        browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
        browser.sees(warning).await?;
        browser.sees("GB82 WEST 1234 5698 7654 32").await?;
        browser.sees("DE89 3704 0044 0532 0130 00").await?;
        browser.picture(pictures, &format!("mail-payment-{}", kind.width)).await?;
        check(!browser.is_wider_than(kind.width).await?, "the page fits")?;
        browser.close().await?;
    }
    Ok(())
}

/// Changes the language on a page of mail, and waits for the page that this leads to: it must not overtake the next.
async fn choose_german(browser: &Browser) -> Result<()> {
    browser.client.find(Locator::Css("button[value=de]")).await?.click().await?;
    browser.sees("Posteingang").await
}

/// Waits until a page, opened again and again, says something.
async fn becomes_text(browser: &Browser, wanted: &str) -> Result<()> {
    let address = browser.client.current_url().await?.to_string();
    for _ in 0..60 {
        if browser.text().await?.contains(wanted) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        browser.open(&address).await?;
    }
    Err(format!("the page does not say: {wanted}").into())
}

pub async fn two_people_write_to_each_other_and_see_it_at_once(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let product = Product::demo()?;
    let ann = inside(driver, DESKTOP, &product, 0).await?;
    let bob = inside(driver, DESKTOP, &product, 1).await?;
    ann.script("window.same = true").await?;
    bob.click("Write").await?;
    bob.fill("to", "Ann <ann@example.test>").await?;
    bob.fill("subject", "Lunch, Grüße").await?;
    bob.fill("body", "At noon? The menu is attached.").await?;
    bob.click("Send").await?;
    bob.sees("none is attached").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("Menü.txt");
    std::fs::write(&file, "soup")?;
    bob.client
        .find(Locator::Css("input[type=file]"))
        .await?
        .send_keys(&file.display().to_string())
        .await?;
    bob.click("Send").await?;
    bob.sees("Call it back").await?;
    bob.click("Call it back").await?;
    bob.sees("Keep as a draft").await?;
    let kept = bob.value("[name=subject]").await?;
    check(kept == "Lunch, Grüße", "what was called back is as it was")?;
    bob.sees("Files that go along").await?;
    bob.click("Send").await?;
    bob.sees("Call it back").await?;
    // Ann's page has it without a reload, and its title counts.
    ann.sees("Lunch, Grüße").await?;
    check(ann.script("return window.same").await? == true, "the list was not loaded again")?;
    let title = ann.client.title().await?;
    check(title.starts_with('('), &format!("the title counts: {title}"))?;
    ann.client.find(Locator::XPath("//a[contains(., 'Lunch')]")).await?.click().await?;
    ann.sees("Menü.txt").await?;
    ann.picture(pictures, "mail-with-file-1280").await?;
    // The same mailbox in two browsers: what one deletes is gone in the other.
    let second = inside(driver, DESKTOP, &product, 0).await?;
    second.sees("Lunch").await?;
    ann.click("Delete").await?;
    ann.sees("Take it back").await?;
    let gone = async || -> Result<bool> { Ok(!second.text().await?.contains("Lunch")) };
    for _ in 0..100 {
        if gone().await? {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    check(gone().await?, "the other browser sees that it is gone")?;
    ann.click("Take it back").await?;
    second.sees("Lunch").await?;
    for browser in [ann, bob, second] {
        browser.close().await?;
    }
    Ok(())
}

pub async fn mail_works_without_scripts(driver: &Driver, _: &Path) -> Result<()> {
    let product = Product::demo()?;
    let browser = inside(driver, Kind { script: false, ..PHONE }, &product, 0).await?;
    browser.fill("q", "buro").await?;
    browser.click("Find").await?;
    browser.sees("Grüße aus dem Büro").await?;
    browser.client.find(Locator::Css(".row-mail a")).await?.click().await?;
    browser.sees("der Termin am Montag steht").await?;
    browser.click("Reply").await?;
    browser.fill("body", "Danke!").await?;
    browser.click("Send").await?;
    browser.sees("The message goes out in a moment").await?;
    browser.open(&product.url("/mail/1")).await?;
    browser.choose(".row-mail [name=id]").await?;
    browser.click("Delete").await?;
    browser.sees("Take it back").await?;
    browser.click("Take it back").await?;
    browser.sees("Grüße aus dem Büro").await?;
    browser.close().await
}

pub async fn mail_works_by_keys(driver: &Driver, _: &Path) -> Result<()> {
    let product = Product::demo()?;
    let browser = inside(driver, DESKTOP, &product, 0).await?;
    let press = async |keys: &str| -> Result<()> {
        Ok(browser.client.active_element().await?.send_keys(keys).await?)
    };
    press("j").await?;
    press("j").await?;
    press("k").await?;
    press(&Key::Enter.to_string()).await?;
    browser.sees("Reply to all").await?;
    press("r").await?;
    browser.sees("Keep as a draft").await?;
    browser.open(&product.url("/mail/1")).await?;
    press("j").await?;
    press("e").await?;
    browser.sees("Moved.").await?;
    press("/").await?;
    let focused = browser.script("return document.activeElement.name").await?;
    check(focused == "q", "the slash leads to the search")?;
    browser.close().await
}
