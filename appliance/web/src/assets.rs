//! Style and script, in the binary; their names carry a hash of what they hold, so that browsers may keep them for
//! ever.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

struct Asset {
    name: String,
    kind: &'static str,
    content: &'static str,
}

fn assets() -> &'static [Asset; 2] {
    static ASSETS: OnceLock<[Asset; 2]> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let asset = |stem: &str, ending: &str, kind, content: &'static str| {
            let digest = Sha256::digest(content.as_bytes());
            let hash: String = digest.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
            Asset { name: format!("{stem}-{hash}.{ending}"), kind, content }
        };
        [
            asset("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
            asset("app", "js", "text/javascript; charset=utf-8", include_str!("../assets/app.js")),
        ]
    })
}

pub fn style() -> &'static str {
    &assets()[0].name
}

pub fn script() -> &'static str {
    &assets()[1].name
}

pub async fn show(Path(name): Path<String>) -> Response {
    match assets().iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
