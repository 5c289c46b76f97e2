//! A page that is written while it is made: its beginning at once, each piece when it is there, its end at the end.
//! Browsers show what they have; no script is needed for that.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use askama::Template;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame as BodyFrame;
use tokio::sync::mpsc;

use crate::error::Error;

/// Marks in a template where the pieces go.
const PLACE: &str = "<!--pieces-->";
/// Pieces that wait for a slow browser.
const WAITING: usize = 8;

/// A body whose pieces come through a channel.
pub struct Pieces(mpsc::Receiver<String>);

impl Pieces {
    pub fn new(pieces: mpsc::Receiver<String>) -> Pieces {
        Pieces(pieces)
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|text| Ok(BodyFrame::data(Bytes::from(text)))))
    }
}

/// The page around pieces that come one after the other; `piece` makes HTML of each.
pub fn page<T: Send + 'static>(
    around: &impl Template,
    mut pieces: mpsc::Receiver<T>,
    piece: impl Fn(T) -> String + Send + 'static,
) -> Response {
    let whole = match around.render() {
        Ok(whole) => whole,
        Err(error) => {
            tracing::error!(%error, "a page can't be written");
            return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let (begin, end) = whole
        .split_once(PLACE)
        .map_or((whole.clone(), String::new()), |(a, b)| (a.to_string(), b.to_string()));
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if sender.send(begin).await.is_err() {
            return;
        }
        while let Some(made) = pieces.recv().await {
            if sender.send(piece(made)).await.is_err() {
                return;
            }
        }
        // A browser that has gone is no failure.
        let _ = sender.send(end).await;
    });
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::new(Pieces(receiver)))
        .into_response()
}

/// The same for octets.
/// A failure breaks the answer off: the browser says that the file is not whole.
pub struct Octets(mpsc::Receiver<Result<Bytes, Error>>);

impl Octets {
    pub fn new(pieces: mpsc::Receiver<Result<Bytes, Error>>) -> Octets {
        Octets(pieces)
    }
}

impl http_body::Body for Octets {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|piece| {
            piece.map(|octets| octets.map(BodyFrame::data).map_err(std::io::Error::other))
        })
    }
}
