//! The product under test, as a process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::driver::{Result, free_port};

/// A running server; it ends with this value.
pub struct Product {
    process: Child,
    _folder: tempfile::TempDir,
    data: PathBuf,
    pub smtp: u16,
    pub http: u16,
    pub pop3s: u16,
    /// Address and password of the sample people of the demo.
    pub people: Vec<(String, String)>,
}

fn binary() -> Result<PathBuf> {
    match std::env::var_os("PILLARBOX_BIN") {
        Some(path) => Ok(path.into()),
        None => Ok(std::env::current_exe()?.parent().ok_or("no folder")?.join("pillarbox")),
    }
}

impl Product {
    /// A box as it comes: nobody's, with nothing in it.
    pub async fn fresh() -> Result<Product> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let mut text = format!("data = \"{}\"\n[listen]\n", data.display());
        let mut ports = Vec::new();
        for service in ["smtp", "submission", "submissions", "pop3", "pop3s", "http", "https"] {
            let port = free_port()?;
            text.push_str(&format!("{service} = [\"127.0.0.1:{port}\"]\n"));
            ports.push(port);
        }
        // Nothing leaves this machine: no name is found, nothing is connected to.
        text.push_str(&format!("[dns]\nservers = [\"127.0.0.1:{}\"]\ndeadline = 1\ndnssec = false\n[outbound]\nhold = true\n", free_port()?));
        let file = folder.path().join("pillarbox.toml");
        std::fs::write(&file, text)?;
        let process = Command::new(binary()?)
            .arg("--config")
            .arg(&file)
            .arg("serve")
            .stderr(Stdio::null())
            .spawn()?;
        let product = Product {
            process,
            _folder: folder,
            data,
            smtp: ports[0],
            http: ports[5],
            pop3s: ports[4],
            people: Vec::new(),
        };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", product.http)).await.is_ok() {
                return Ok(product);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the server does not answer".into())
    }

    /// The demo: Ann owns it, Bob works there.
    pub fn demo() -> Result<Product> {
        let folder = tempfile::tempdir()?;
        let mut process = Command::new(binary()?)
            .args(["demo", "--json", "--directory"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let facts: Value = serde_json::from_str(&line)?;
        let port = |name: &str| {
            facts["ports"][name].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no port")
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let people = facts["accounts"].as_array().ok_or("no accounts")?;
        Ok(Product {
            smtp: port("smtp")?,
            http: port("http")?,
            pop3s: port("pop3s")?,
            people: people
                .iter()
                .map(|person| (text(&person["address"]), text(&person["password"])))
                .collect(),
            data: folder.path().join("data"),
            process,
            _folder: folder,
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.http)
    }

    /// What stands on the box's screen.
    pub fn claim_code(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.data.join("claim-code"))?.trim().to_string())
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
