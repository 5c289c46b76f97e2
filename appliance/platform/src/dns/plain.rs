//! Answers without proof, from whatever name servers the line has: asked with EDNS, without it where that fails (RFC
//! 6891 §6.2.2, §7), and at last for whatever arrives.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::sync::Notify;

use super::bare::Bare;
use super::{DnsError, records};

/// How long servers that failed with EDNS are asked without it first.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The resolvers without proof.
pub struct Plain {
    modern: TokioResolver,
    /// The same name servers, asked as RFC 1035 has it.
    old: TokioResolver,
    bare: Bare,
    /// Until when `old` is asked first.
    old_first: Mutex<Option<Instant>>,
    deadline: Duration,
}

impl Plain {
    pub fn new(modern: TokioResolver, old: TokioResolver, bare: Bare, deadline: Duration) -> Plain {
        Plain { modern, old, bare, old_first: Mutex::new(None), deadline }
    }

    pub fn clear_cache(&self) {
        self.modern.clear_cache();
        self.old.clear_cache();
    }

    /// Records of one kind, aliases on the way included.
    pub async fn lookup(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, DnsError> {
        let is_old_first = self.is_old_first();
        let (first, second) =
            if is_old_first { (&self.old, &self.modern) } else { (&self.modern, &self.old) };
        let (result, by_second) =
            match tokio::time::timeout(self.deadline, self.either(first, second, name, kind)).await
            {
                Ok(found) => found,
                Err(_) => (
                    Err(DnsError::Temporary(format!(
                        "no answer within {} seconds",
                        self.deadline.as_secs()
                    ))),
                    false,
                ),
            };
        if by_second {
            self.remember(!is_old_first);
        }
        match result {
            Err(DnsError::Temporary(why)) => {
                self.bare.some(name, kind).await.ok_or(DnsError::Temporary(why))
            }
            other => other,
        }
    }

    /// Asks one resolver, and the other as well when the first failed or took half of the time.
    /// An answer is also that there is nothing.
    /// Tells whether the second one gave it.
    async fn either(
        &self,
        first: &TokioResolver,
        second: &TokioResolver,
        name: &Name,
        kind: RecordType,
    ) -> (Result<Vec<Record>, DnsError>, bool) {
        let failed = Notify::new();
        let ask =
            async |resolver: &TokioResolver| records(resolver.lookup(name.clone(), kind).await);
        let later = async {
            tokio::select! {
                () = failed.notified() => {}
                () = tokio::time::sleep(self.deadline / 2) => {}
            }
            ask(second).await
        };
        let (first, later) = (ask(first), later);
        tokio::pin!(first, later);
        tokio::select! {
            result = &mut first => match result {
                Err(DnsError::Temporary(why)) => {
                    failed.notify_one();
                    match later.await {
                        Err(DnsError::Temporary(_)) => (Err(DnsError::Temporary(why)), false),
                        answer => (answer, true),
                    }
                }
                answer => (answer, false),
            },
            result = &mut later => match result {
                Err(DnsError::Temporary(_)) => (first.await, false),
                answer => (answer, true),
            },
        }
    }

    fn is_old_first(&self) -> bool {
        self.old_first
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .is_some_and(|until| Instant::now() < until)
    }

    fn remember(&self, is_old_first: bool) {
        let until = is_old_first.then(|| Instant::now() + REMEMBERED);
        *self.old_first.lock().unwrap_or_else(|e| e.into_inner()) = until;
        tracing::info!(
            edns = !is_old_first,
            "the name servers answer to one kind of question only; it is asked first from now on"
        );
    }
}
