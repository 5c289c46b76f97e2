//! Chromium's driver as a process, and browsers of it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// For a page to show what it should.
const PATIENCE: Duration = Duration::from_secs(20);

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A running chromedriver; it ends with this value.
pub struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    pub async fn start() -> Result<Driver> {
        let port = free_port()?;
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let driver = Driver { process, port };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(driver);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("chromedriver does not answer".into())
    }

    /// A browser of its own, with nothing remembered.
    pub async fn browser(&self, kind: Kind) -> Result<Browser> {
        let arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--ignore-certificate-errors", "--hide-scrollbars",
        ];
        let capabilities = json!({"goog:chromeOptions": {"args": arguments}});
        let Value::Object(capabilities) = capabilities else {
            return Err("no capabilities".into());
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await?;
        let browser = Browser { client };
        browser.become_kind(kind).await?;
        Ok(browser)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What the person in front of it has.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub width: u32,
    pub dark: bool,
    pub script: bool,
    pub language: &'static str,
}

pub const DESKTOP: Kind = Kind { width: 1280, dark: false, script: true, language: "en" };
pub const PHONE: Kind = Kind { width: 390, ..DESKTOP };

pub struct Browser {
    pub client: Client,
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct ChromiumCommand(Value);

impl WebDriverCompatibleCommand for ChromiumCommand {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> std::result::Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

impl Browser {
    async fn protocol(&self, command: &str, params: Value) -> Result<Value> {
        Ok(self
            .client
            .issue_cmd(ChromiumCommand(json!({"cmd": command, "params": params})))
            .await?)
    }

    /// Width, colours, scripts and language from now on.
    pub async fn become_kind(&self, kind: Kind) -> Result<()> {
        let size = json!({"width": kind.width, "height": 900, "deviceScaleFactor": 1, "mobile": kind.width < 600});
        self.protocol("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = if kind.dark { "dark" } else { "light" };
        self.protocol(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        )
        .await?;
        self.protocol("Emulation.setScriptExecutionDisabled", json!({"value": !kind.script}))
            .await?;
        self.protocol("Network.enable", json!({})).await?;
        self.protocol(
            "Network.setExtraHTTPHeaders",
            json!({"headers": {"Accept-Language": kind.language}}),
        )
        .await?;
        Ok(())
    }

    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    pub async fn path(&self) -> Result<String> {
        Ok(self.client.current_url().await?.path().to_string())
    }

    /// What is shown as text.
    pub async fn text(&self) -> Result<String> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }

    /// Waits until the page shows a text.
    pub async fn sees(&self, wanted: &str) -> Result<()> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let shown = self.text().await.unwrap_or_default();
            if shown.contains(wanted) {
                return Ok(());
            }
            if tokio::time::Instant::now() > end {
                return Err(format!(
                    "{wanted:?} did not come; {} shows:\n{shown}",
                    self.path().await?
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Types into a field, in the place of what is there.
    /// A page that is just coming takes the field away once.
    pub async fn fill(&self, field: &str, text: &str) -> Result<()> {
        if self.fill_once(field, text).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.fill_once(field, text).await
    }

    async fn fill_once(&self, field: &str, text: &str) -> Result<()> {
        let element = self
            .client
            .find(Locator::Css(&format!("main [name={field}]:not([type=hidden])")))
            .await?;
        element.clear().await?;
        Ok(element.send_keys(text).await?)
    }

    /// Clicks what carries a text: a button or a link.
    pub async fn click(&self, text: &str) -> Result<()> {
        let wanted =
            format!("//*[self::button or self::a or self::summary][normalize-space()='{text}']");
        let element = self
            .client
            .find(Locator::XPath(&wanted))
            .await
            .map_err(|e| format!("{text:?} to click: {e}"))?;
        element.click().await.map_err(|e| format!("clicking {text:?}: {e}"))?;
        Ok(())
    }

    pub async fn choose(&self, css: &str) -> Result<()> {
        Ok(self.client.find(Locator::Css(css)).await?.click().await?)
    }

    /// What stands in a field; empty where there is nothing.
    pub async fn value(&self, css: &str) -> Result<String> {
        let field = self.client.find(Locator::Css(css)).await?;
        Ok(field.prop("value").await?.unwrap_or_default())
    }

    pub async fn script(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Whether the page needs more room than a screen has: a phone's browser shows it smaller then.
    pub async fn is_wider_than(&self, width: u32) -> Result<bool> {
        let is = format!("return document.documentElement.scrollWidth > {width}");
        Ok(self.script(&is).await? == true)
    }

    /// The whole page as a picture.
    /// A page that is just coming has no width yet.
    pub async fn picture(&self, folder: &Path, name: &str) -> Result<()> {
        for _ in 0..20 {
            if self.picture_once(folder, name).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.picture_once(folder, name).await
    }

    async fn picture_once(&self, folder: &Path, name: &str) -> Result<()> {
        let metrics = self.protocol("Page.getLayoutMetrics", json!({})).await?;
        let size = &metrics["cssContentSize"];
        let clip =
            json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let shot = self
            .protocol(
                "Page.captureScreenshot",
                json!({"captureBeyondViewport": true, "clip": clip}),
            )
            .await?;
        let png = decode(shot["data"].as_str().ok_or("no picture")?);
        std::fs::create_dir_all(folder)?;
        Ok(std::fs::write(folder.join(format!("{name}.png")), png)?)
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}

/// Base64 (RFC 4648 §4) of trusted origin.
fn decode(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0u32, |all, &c| all << 6 | u32::from(value(c)))
            << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}
