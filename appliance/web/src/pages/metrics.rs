//! For those who monitor: one line of JSON, and Prometheus's text format.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pillarbox_platform::clock;
use serde_json::json;

use super::about;
use crate::memory::Memory;
use pillarbox_office::Office;
use pillarbox_office::condition;
use pillarbox_office::statistics;

/// 200 when mail can be taken, 503 when not.
pub async fn health(State(office): State<Arc<Office>>) -> Response {
    let queue = office.store.read_off_thread(|r| r.queue_counts()).await;
    let troubles = office.condition.look();
    let is_well = queue.is_ok() && !troubles.iter().any(condition::Trouble::stops_mail);
    let (all, scheduled) = queue.unwrap_or_default();
    let days = office.certificates.facts().ends.since(clock::now()).as_secs() / 86_400;
    let body = json!({
        "ok": is_well,
        "troubles": troubles.iter().map(condition::Trouble::name).collect::<Vec<_>>(),
        "space": office.condition.has_space(),
        "clock": clock::is_trusted(),
        "queued": all,
        "held": all.saturating_sub(scheduled),
        "certificate_days": days,
        "version": env!("CARGO_PKG_VERSION"),
    });
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Octets of a browser's report that are logged, and reports that are: the rest is counted only.
const REPORT: usize = 400;
const REPORTS: u64 = 50;

/// A browser kept a page of ours, or mail in it, from doing something (CSP level 2, §4.4).
/// It is a sign that something got through the first lock; nothing else follows from it, for anybody could send such a
/// report.
pub async fn policy_report(
    State(memory): State<Arc<Memory>>,
    body: axum::body::Bytes,
) -> StatusCode {
    if memory.policy_reports.fetch_add(1, Ordering::Relaxed) >= REPORTS {
        return StatusCode::NO_CONTENT;
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(REPORT).collect();
    tracing::warn!(report = %text.escape_debug(), "a browser kept a page from doing something");
    StatusCode::NO_CONTENT
}

/// Numbers of the current hour and of now.
pub async fn show(
    State(office): State<Arc<Office>>,
    State(memory): State<Arc<Memory>>,
) -> Response {
    let (hour, own) = (clock::now().hour(), office.clone());
    let read = office
        .store
        .read_off_thread(move |r| {
            Ok((
                r.queue_counts()?,
                statistics::known(&own.statistics, r, hour)?.pop().unwrap_or_default().1,
            ))
        })
        .await;
    let Ok(((all, scheduled), row)) = read else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let certificate = office.certificates.facts().ends;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        // Writing into a string can't fail.
        let _ = write!(
            text,
            "# HELP pillarbox_{name} {help}\n\
             # TYPE pillarbox_{name} gauge\n\
             pillarbox_{name} {value}\n"
        );
    };
    gauge("hour_delivered", "Messages delivered within this hour.", row.delivered);
    gauge("hour_relayed", "Messages passed on to other servers within this hour.", row.relayed);
    gauge("hour_refused", "Attempts refused within this hour.", row.refused);
    gauge("hour_bounced", "Messages sent back or given up within this hour.", row.bounced);
    gauge("queue_recipients", "Recipients in the queue.", all);
    gauge("queue_held", "Recipients in the queue that are held.", all.saturating_sub(scheduled));
    gauge("queue_oldest_seconds", "How long the oldest recipient waits.", row.oldest);
    gauge("disk_used_bytes", "Octets used on the data partition.", row.disk);
    gauge("disk_has_space", "1 while mail can be taken.", u64::from(office.condition.has_space()));
    gauge("clock_trusted", "1 while the clock can be believed.", u64::from(clock::is_trusted()));
    gauge("certificate_end_seconds", "End of the certificate, seconds since 1970.", certificate.0);
    gauge("memory_bytes", "The server's share of memory.", about::memory().unwrap_or(0));
    gauge(
        "policy_reports",
        "Things that browsers kept pages, or mail in them, from doing.",
        memory.policy_reports.load(Ordering::Relaxed),
    );
    gauge("uptime_seconds", "Since the server was started.", memory.started.elapsed().as_secs());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
