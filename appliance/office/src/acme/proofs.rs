//! Proofs that a name is the box's own (RFC 8555 §8, RFC 8737).

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeType, Order};

use super::{Acme, Method, PATIENCE, Progress};
use crate::error::{Error, Result};

/// How long a record in the DNS is waited for.
const RECORD: Duration = Duration::from_secs(24 * 3600);

/// Puts the proofs of all names on port 80.
pub async fn by_http(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge =
            authorization.challenge(ChallengeType::Http01).ok_or_else(|| missing(&name))?;
        let proof = challenge.key_authorization().as_str().to_string();
        acme.tokens
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(challenge.token.clone(), proof);
        challenge.set_ready().await.map_err(Error::authority)?;
    }
    Ok(())
}

/// Shows the records, waits until the owner says that they are published, and lets the authority look.
pub async fn by_dns(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    let mut records = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let challenge =
            authorization.challenge(ChallengeType::Dns01).ok_or_else(|| missing(&name))?;
        records
            .push((format!("_acme-challenge.{name}"), challenge.key_authorization().dns_value()));
    }
    if records.is_empty() {
        return Ok(());
    }
    acme.set(Progress::WaitingForRecords(records));
    let waiting = tokio::time::timeout(RECORD, acme.records_are_there.notified()).await;
    waiting.map_err(|_| Error::RecordsMissing)?;
    acme.set(Progress::Proving(Method::Dns));
    ready(order).await
}

/// Lets the authority look at all records.
async fn ready(order: &mut Order) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Pending
            && let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01)
        {
            challenge.set_ready().await.map_err(Error::authority)?;
        }
    }
    Ok(())
}

/// Proves one name after the other over TLS: port 443 has one proof at a time.
pub async fn by_tls(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    while let Some(name) = next_by_tls(acme, order).await? {
        settled(order, &name).await?;
    }
    Ok(())
}

/// Puts the proof for the next name on port 443; `None` when there is none left.
async fn next_by_tls(acme: &Arc<Acme>, order: &mut Order) -> Result<Option<String>> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or_else(|| missing(&name))?;
        acme.certificates.prove(Some((&name, challenge.key_authorization().digest().as_ref())))?;
        challenge.set_ready().await.map_err(Error::authority)?;
        return Ok(Some(name));
    }
    Ok(None)
}

/// Waits until the authority has looked at the proof for a name.
async fn settled(order: &mut Order, name: &str) -> Result<()> {
    const PAUSE: Duration = Duration::from_secs(1);
    for _ in 0..PATIENCE.as_secs() {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(Error::authority)?;
            if authorization.identifier().to_string() == name {
                let state = authorization.refresh().await.map_err(Error::authority)?;
                if state.status != AuthorizationStatus::Pending {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::ProofUnseen { name: name.to_string() })
}

/// Why a name can't be proven this way.
fn missing(name: &str) -> Error {
    Error::NoSuchProof { name: name.to_string() }
}
