//! One HTTP connection, plain or under TLS.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pillarbox_platform::stream::{Ended, Stream};

use super::memory::Site;
use super::patience::{TimedBody, TimedIo};

/// Longest time for a request's header to come in.
const HEADER: Duration = Duration::from_secs(20);
/// Octets of a request's header.
const HEADER_OCTETS: usize = 32 * 1024;

/// Facts of the connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub peer: IpAddr,
    pub is_secure: bool,
}

/// Serves one connection to its end.
pub async fn serve(site: Site, router: Router, stream: Stream, peer: IpAddr) -> Result<(), Ended> {
    let link = Link { peer, is_secure: stream.facts().is_some() };
    let router =
        router.layer(axum::middleware::map_request(move |mut request: Request| async move {
            request.extensions_mut().insert(link);
            request.map(|body| Body::new(TimedBody::new(body)))
        }));
    let mut stop = site.office.handles.tasks.stop();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEADER_OCTETS)
        .serve_connection(
            TokioIo::new(TimedIo::new(stream.into_io())),
            TowerToHyperService::new(router),
        );
    tokio::pin!(connection);
    tokio::select! {
        served = &mut connection => return served.map_err(|_| Ended::Broken),
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(|_| Ended::Broken)
}
