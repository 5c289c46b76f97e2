//! More of what an office worker does with mail: formatted letters with files, contacts, folders, what became of a
//! letter.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;

use crate::driver::{Browser, DESKTOP, Driver, Kind, PHONE, Result};
use crate::product::Product;
use crate::webmail::{bring, check, inside};

/// Waits until a script says true.
async fn becomes(browser: &Browser, what: &str, script: &str) -> Result<()> {
    for _ in 0..100 {
        if browser.script(script).await? == Value::Bool(true) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{what} did not happen: {script}").into())
}

async fn fits(browser: &Browser, kind: Kind, what: &str) -> Result<()> {
    check(!browser.is_wider_than(kind.width).await?, &format!("{what} fits"))
}

/// Files as they come by drop or paste.
const FILES: &str = "const bag = new DataTransfer(); bag.items.add(new File([new Uint8Array(SIZE)], 'NAME', { type: 'text/plain' }));";

fn files(size: usize, name: &str, event: &str) -> String {
    format!("{}{event}", FILES.replace("SIZE", &size.to_string()).replace("NAME", name))
}

pub async fn letters_are_formatted_and_take_files_by_drop_and_paste(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    const DROP: &str = "document.dispatchEvent(new DragEvent('drop', { dataTransfer: bag, cancelable: true, bubbles: true }))";
    const PASTE: &str = "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: bag, cancelable: true, bubbles: true }))";
    let product = Product::demo()?;
    for kind in [DESKTOP, PHONE] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser.open(&product.url("/compose")).await?;
        browser.fill("to", "Bob <bob@example.test>").await?;
        browser.fill("subject", "Formatted").await?;
        browser.click("Formatted text").await?;
        let editor = browser.client.find(Locator::Css(".editor")).await?;
        editor.click().await?;
        editor.send_keys("Dear Bob, this is important").await?;
        browser.script("const text = document.querySelector('.editor').firstChild; const range = document.createRange(); const node = text.firstChild ?? text; range.setStart(node, 18); range.setEnd(node, 27); getSelection().removeAllRanges(); getSelection().addRange(range); return 0").await?;
        browser.choose("[data-format=bold]").await?;
        browser.script(&files(2_000, "dropped.txt", DROP)).await?;
        browser.script(&files(3_000, "pasted.txt", PASTE)).await?;
        browser.sees("pasted.txt · 3 KB").await?;
        // What is too large is said before anything is sent, and can be taken away again.
        browser.script("document.querySelector('.compose').dataset.limit = 4000; 0").await?;
        browser.script(&files(1_000, "more.txt", DROP)).await?;
        browser.sees("The files are too large together").await?;
        browser.picture(pictures, &format!("mail-compose-files-{}", kind.width)).await?;
        fits(&browser, kind, "the letter").await?;
        browser.script("document.querySelector('.compose').dataset.limit = 4000000; document.querySelector('.chosen li:last-child button').click()").await?;
        check(!browser.text().await?.contains("more.txt"), "it was taken away")?;
        // How far it is, step by step.
        browser.script("window.steps = []; new MutationObserver(() => steps.push(document.querySelector('.sending span').textContent)).observe(document.querySelector('.sending span'), { childList: true }); 0").await?;
        browser.script("window.addEventListener('pagehide', () => sessionStorage.setItem('steps', steps.join())); 0").await?;
        browser.click("Send").await?;
        browser.sees("Call it back").await?;
        let steps = browser.script("return sessionStorage.getItem('steps')").await?;
        check(
            steps.as_str().is_some_and(|steps| steps.contains("100 %")),
            &format!("the bar moves: {steps}"),
        )?;
        browser.click("Call it back").await?;
        becomes(&browser, "the formatted draft", "return document.querySelector('.editor')?.innerHTML.includes('<b>important</b>') === true").await?;
        browser.sees("dropped.txt").await?;
        browser.click("Plain text").await?;
        let plain = browser.value("textarea").await?;
        check(plain.contains("Dear Bob, this is important"), &plain)?;
        browser.close().await?;
    }
    Ok(())
}

pub async fn contacts_are_collected_edited_and_travel(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let product = Product::demo()?;
    for kind in [DESKTOP, PHONE] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser.open(&product.url("/compose")).await?;
        browser.fill("to", &format!("Zoë Quick <zoe{}@x.example>", kind.width)).await?;
        browser.fill("body", "Hello").await?;
        browser.click("Send").await?;
        browser.sees("Call it back").await?;
        browser.open(&product.url("/mail/contacts")).await?;
        browser.sees("Zoë Quick").await?;
        browser.choose(&format!("a[aria-label$='zoe{}@x.example']", kind.width)).await?;
        browser.fill("name", "Zoë Slow").await?;
        browser.fill("note", "Tel. 12345").await?;
        browser.click("Save").await?;
        browser.sees("Zoë Slow").await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("contacts.vcf");
        std::fs::write(
            &file,
            "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Card Person\r\nEMAIL:card@x.example\r\nTEL:+49 1\r\nEND:VCARD\r\n",
        )?;
        browser
            .client
            .find(Locator::Css("input[type=file]"))
            .await?
            .send_keys(&file.display().to_string())
            .await?;
        browser.click("Take in").await?;
        browser.sees("Contacts taken in: 1.").await?;
        browser.sees("Card Person").await?;
        browser.picture(pictures, &format!("mail-contacts-{}", kind.width)).await?;
        fits(&browser, kind, "the list of contacts").await?;
        browser.open(&product.url("/compose")).await?;
        becomes(&browser, "the completion", "return [...document.querySelectorAll('#contacts option')].some(o => o.value === 'Card Person <card@x.example>')")
            .await?;
        browser.close().await?;
    }
    Ok(())
}

const RICH: &str = "From: News <news@x.example>\r\nTo: ann@example.test\r\nSubject: Everything\r\nDate: Mon, 21 Sep 2026 14:13:20 +0000\r\nMIME-Version: 1.0\r\n\
    Disposition-Notification-To: track@x.example\r\nUser-Agent: Sample 1\r\nList-Unsubscribe: <mailto:x@lists.invalid>, <https://lists.invalid/leave>\r\n\
    List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n<p>Inline: <img src=\"cid:p@x\" alt=pic> <img src=\"https://x.example/far.png\"> <a href=\"https://evil.example/real\">https://bank.example</a></p>\r\n\
    --r\r\nContent-Type: image/png\r\nContent-ID: <p@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\r\n--r--\r\n\
    --b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Planning\r\nLOCATION:Room 2\r\nORGANIZER:mailto:boss@x.example\r\nDTSTART:20260921T141320Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n\
    --b\r\nContent-Type: text/plain; name=one.txt\r\nContent-Disposition: attachment\r\n\r\nfirst\r\n--b\r\nContent-Type: text/plain; name=two.txt\r\nContent-Disposition: attachment\r\n\r\nsecond\r\n--b--";

pub async fn a_message_shows_its_parts_and_its_way(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::demo()?;
    bring(&product, "ann@example.test", RICH).await?;
    // A mail program takes it first; webmail says so, and reading here hides nothing from it.
    let (user, password) = product.people[0].clone();
    let fetch = || -> Result<String> {
        let address = format!("pop3s://127.0.0.1:{}/3", product.pop3s);
        let ran = Command::new("curl")
            .args(["-sk", "--user", &format!("{user}:{password}"), &address])
            .stdin(Stdio::null())
            .output()?;
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    check(fetch()?.contains("Subject: Everything"), "a program fetches it")?;
    for kind in [DESKTOP, PHONE] {
        let browser = inside(driver, kind, &product, 0).await?;
        browser
            .client
            .find(Locator::XPath("//a[contains(., 'Everything')]"))
            .await?
            .click()
            .await?;
        for text in [
            "Invitation",
            "Room 2",
            "one.txt",
            "Save all",
            "Unsubscribe from this list",
            "Nothing is sent by itself",
            "Pictures from other servers are not shown",
        ] {
            browser.sees(text).await?;
        }
        browser.click("How this message came").await?;
        for text in ["Sample 1", "by a mail program", "not encrypted on the way"] {
            browser.sees(text).await?;
        }
        browser.picture(pictures, &format!("mail-message-full-{}", kind.width)).await?;
        fits(&browser, kind, "the message").await?;
        browser.script("window.print = () => { window.printed = true }; 0").await?;
        browser.click("Print").await?;
        becomes(&browser, "printing", "return window.printed === true").await?;
        let zip = browser.script("const answer = await fetch(document.querySelector('.files .tools a').href); const octets = new Uint8Array(await answer.arrayBuffer()); return String.fromCharCode(...octets.slice(0, 2)) + octets.length").await?;
        check(
            zip.as_str().is_some_and(|text| text.starts_with("PK")),
            &format!("all files in one: {zip}"),
        )?;
        // The list's server is nowhere in the internet: that is said, not passed over.
        browser.click("Unsubscribe from this list").await?;
        browser.sees("could not be asked").await?;
        browser.client.find(Locator::Css("iframe.body")).await?.enter_frame().await?;
        becomes(
            &browser,
            "the picture that came along",
            "return document.querySelector('img[alt=pic]').naturalWidth === 1 && !document.body.innerHTML.includes('far.png')",
        )
        .await?;
        check(
            browser
                .script("return getComputedStyle(document.querySelector('a'), '::after').content")
                .await?
                .as_str()
                .is_some(),
            "links show where they lead",
        )?;
        browser.client.enter_parent_frame().await?;
        if kind.width == PHONE.width {
            browser.click("Always for news@x.example").await?;
            becomes(
                &browser,
                "pictures of this sender",
                "return document.querySelector('iframe.body').src.endsWith('pictures=1')",
            )
            .await?;
        }
        browser.close().await?;
    }
    check(fetch()?.contains("Subject: Everything"), "reading here hides nothing from a program")
}

pub async fn words_are_found_as_one_types_and_folders_keep_order(
    driver: &Driver,
    pictures: &Path,
) -> Result<()> {
    let product = Product::demo()?;
    let browser = inside(driver, DESKTOP, &product, 0).await?;
    browser.client.find(Locator::Css("#q")).await?.send_keys("gru").await?;
    becomes(&browser, "marked words", "return document.querySelector('mark')?.textContent === 'Grüße' && document.querySelectorAll('.row-mail').length === 1")
        .await?;
    browser.picture(pictures, "mail-search-1280").await?;
    browser.open(&product.url("/mail/1")).await?;
    for name in ["Customers", "Berlin"] {
        browser.click("New folder").await?;
        browser.client.find(Locator::Css(".side [name=name]")).await?.send_keys(name).await?;
        browser.click("Add").await?;
        browser.sees("Nothing here.").await?;
    }
    browser.click("Change this folder").await?;
    browser.client.find(Locator::Css("[name=within]")).await?.select_by_label("Customers").await?;
    browser.click("Save").await?;
    becomes(&browser, "the folder within the other", "return document.querySelector('.within-1 a[aria-current]')?.textContent.trim() === 'Berlin'").await?;
    browser.open(&product.url("/mail/1")).await?;
    browser.script(
        "const data = new DataTransfer(); const row = document.querySelector('.row-mail'); const to = document.querySelector('[data-folder=\"17\"]');\
         row.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true })); to.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))",
    ).await?;
    browser.sees("Moved.").await?;
    browser.open(&product.url("/mail/17")).await?;
    browser.picture(pictures, "mail-folders-1280").await?;
    browser.choose(".row-mail [name=id]").await?;
    browser.choose("button[value=junk]").await?;
    browser.sees("Moved.").await?;
    browser.open(&product.url("/mail/5")).await?;
    browser.choose(".row-mail [name=id]").await?;
    browser.choose("button[value=not-junk]").await?;
    browser.sees("Moved.").await?;
    browser.close().await
}

pub async fn a_letter_tells_what_became_of_it(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::demo()?;
    let browser = inside(driver, DESKTOP, &product, 0).await?;
    browser.open(&product.url("/mail/settings")).await?;
    browser.script("document.querySelector('[name=undo]').value = '0'; 0").await?;
    browser.click("Save").await?;
    browser.sees("Saved.").await?;
    browser.open(&product.url("/compose")).await?;
    browser.fill("to", "typo@nowhere.example").await?;
    browser.fill("subject", "Order").await?;
    browser.fill("body", "Ten boxes, please.").await?;
    browser.click("Send").await?;
    browser.sees("Order").await?;
    browser.open(&product.url("/mail/2/1")).await?;
    browser.sees("typo@nowhere.example:").await?;
    browser.open(&product.url("/queue")).await?;
    browser.choose("button[value=bounce]").await?;
    for kind in [DESKTOP, PHONE] {
        browser.become_kind(kind).await?;
        browser.open(&product.url("/mail/2/1")).await?;
        browser.sees("Could not be delivered").await?;
        browser.picture(pictures, &format!("mail-failed-{}", kind.width)).await?;
        fits(&browser, kind, "the card").await?;
    }
    browser.click("Correct the address").await?;
    browser.sees("Keep as a draft").await?;
    let to = browser.value("[name=to]").await?;
    let body = browser.value("textarea").await?;
    check(
        to == "typo@nowhere.example" && body.contains("Ten boxes"),
        "the letter can be corrected",
    )?;
    browser.open(&product.url("/mail/2/1")).await?;
    browser.click("Send again").await?;
    browser.sees("Sent").await?;
    browser.open(&product.url("/mail/2/2")).await?;
    browser.sees("typo@nowhere.example:").await?;
    browser.close().await
}

pub async fn what_a_person_likes_follows_them(driver: &Driver, pictures: &Path) -> Result<()> {
    let product = Product::demo()?;
    let browser = inside(driver, DESKTOP, &product, 0).await?;
    browser.open(&product.url("/mail/settings")).await?;
    // What the person would be asked by the browser.
    browser.script("Notification.requestPermission = async () => 'granted'; 0").await?;
    browser.choose("[name=notifies]").await?;
    browser.client.find(Locator::Css("[name=language]")).await?.select_by_value("de").await?;
    browser.fill("zone", "Asia/Tokyo").await?;
    browser.fill("signature", "Ann\nPillarbox Ltd").await?;
    browser.click("Save").await?;
    browser.sees("Gespeichert").await?;
    for kind in [DESKTOP, PHONE] {
        browser.become_kind(Kind { language: "de", ..kind }).await?;
        browser.picture(pictures, &format!("mail-settings-de-{}", kind.width)).await?;
        fits(&browser, kind, "the settings").await?;
    }
    let elsewhere = driver.browser(DESKTOP).await?;
    let (user, password) = product.people[0].clone();
    crate::owner::sign_in(&elsewhere, &product, &user, &password).await?;
    elsewhere.open(&product.url("/compose")).await?;
    elsewhere.sees("Entwurf").await?;
    let body = elsewhere.value("textarea").await?;
    check(body.contains("-- \nAnn\nPillarbox Ltd"), &format!("the signature: {body}"))?;
    // New mail outside of the window, while it is not looked at.
    elsewhere.open(&product.url("/mail/1")).await?;
    elsewhere
        .script("window.told = []; window.Notification = class { constructor(title, more) { told.push(title + '|' + more.body) } }; Notification.permission = 'granted'; document.hasFocus = () => false; 0")
        .await?;
    bring(&product, "ann@example.test", "From: Cy <cy@x.example>\r\nSubject: Knock\r\n\r\nknock")
        .await?;
    becomes(
        &elsewhere,
        "the notification",
        "return window.told.length === 1 && told[0].includes('Cy: Knock')",
    )
    .await?;
    for one in [browser, elsewhere] {
        one.close().await?;
    }
    Ok(())
}
