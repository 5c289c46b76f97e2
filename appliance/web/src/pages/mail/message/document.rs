//! A message's HTML, cleaned, as a document of its own: the page of the message shows it in a frame.

use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use pillarbox_message::choice::Form;
use pillarbox_message::html::{self, Remote};
use pillarbox_office::mail::reading::{self, Piece, SHOWN};
use pillarbox_store::FolderId;
use serde::Deserialize;

use crate::pages::mail::body::{fragments, pictures};
use crate::pages::mail::{failed, missing, open, unread};
use crate::session::Person;

/// The frame's own policy: nothing runs, nothing is loaded but what is allowed, and only our pages may show it.
const FRAME: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                     sandbox allow-popups allow-popups-to-escape-sandbox; base-uri 'none'; \
                     form-action 'none'; frame-ancestors 'self'; report-uri /policy-report";
const FRAME_WITH_PICTURES: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                                   img-src data: https: http:; \
                                   sandbox allow-popups allow-popups-to-escape-sandbox; \
                                   base-uri 'none'; form-action 'none'; \
                                   frame-ancestors 'self'; report-uri /policy-report";

/// How a document looks: like a letter, with the target of each link behind it.
const STYLE: &str = "body{margin:12px;font:16px/1.5 system-ui,sans-serif;\
                     background:#fff;color:#111;overflow-wrap:anywhere}\
                     img{max-width:100%;height:auto}table{max-width:100%}\
                     a[href]:hover::after{content:' ['attr(href)']';font-size:12px;color:#555}";

#[derive(Deserialize)]
pub struct Asked {
    /// Any value: pictures of other servers are shown.
    #[serde(default)]
    pictures: String,
}

/// The HTML body, cleaned, as a document of its own.
pub async fn document(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(asked): Query<Asked>,
) -> Response {
    let content = match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => content,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    let remote = if asked.pictures.is_empty() { Remote::Blocked } else { Remote::Allowed };
    let store = visit.office.store.clone();
    let cleaned = visit.office.readers.message(visitor.account, content.message, move |budget| {
        let structure = reading::structure(&store, &content, budget)?;
        let body = reading::body(&store, &content, &structure, Form::Html, SHOWN, budget)?;
        if !body.iter().any(|piece| matches!(piece, Piece::Html(_))) {
            return Ok(None);
        }
        let pictures = pictures(&store, &content, &structure, &body, budget)?;
        Ok(html::clean_all(&fragments(&body), &pictures, remote).ok().map(|clean| clean.html))
    });
    let html = match cleaned.await {
        Ok(Some(html)) => html,
        // No HTML, or more than is shown: the page around it asks for none then.
        Ok(None) => return missing(&visit),
        Err(why) => return unread(&visit, &why),
    };
    let document = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light\">\
         <style>{STYLE}</style>{html}"
    );
    let policy = if remote == Remote::Allowed { FRAME_WITH_PICTURES } else { FRAME };
    let mut response = Html(document).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
