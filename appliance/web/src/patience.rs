//! How long a browser gets: for each piece of what it sends, for all of it, and for taking what it asked for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Between two pieces of what a browser sends.
const PIECE: Duration = Duration::from_secs(30);
/// From here on what it sends must have come in at [`LEAST_RATE`] on the average.
const GRACE: Duration = Duration::from_secs(60);
/// Octets a second: a slow telephone line.
const LEAST_RATE: u64 = 1024;
/// While a browser takes nothing of an answer.
const TAKING: Duration = Duration::from_secs(60);

/// The body of a request that has to come in time.
pub struct TimedBody {
    body: Body,
    begun: Instant,
    octets: u64,
    sleep: Pin<Box<Sleep>>,
}

impl TimedBody {
    pub fn new(body: Body) -> TimedBody {
        TimedBody {
            body,
            begun: Instant::now(),
            octets: 0,
            sleep: Box::pin(tokio::time::sleep(PIECE)),
        }
    }

    fn is_too_slow(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.begun);
        age >= GRACE && self.octets < age.as_secs() * LEAST_RATE
    }
}

fn too_slow() -> axum::Error {
    axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, "the request came too slowly"))
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let now = Instant::now();
        match Pin::new(&mut self.body).poll_frame(task) {
            Poll::Ready(Some(Ok(frame))) => {
                self.octets += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.is_too_slow(now) {
                    return Poll::Ready(Some(Err(too_slow())));
                }
                self.sleep.as_mut().reset(now + PIECE);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                ready!(self.sleep.as_mut().poll(task));
                Poll::Ready(Some(Err(too_slow())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose peer must take what is sent to it.
pub struct TimedIo<T> {
    io: T,
    /// Runs while something waits to be taken.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<T> TimedIo<T> {
    pub fn new(io: T) -> TimedIo<T> {
        TimedIo { io, sleep: None }
    }

    /// Begins to wait, goes on waiting, or gives up.
    fn waited<R>(
        &mut self,
        task: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.sleep = None;
            return polled;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAKING)));
        ready!(sleep.as_mut().poll(task));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(task, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TimedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(task, octets);
        self.waited(task, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(task, pieces);
        self.waited(task, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(task);
        self.waited(task, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(task);
        self.waited(task, polled)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A body that comes in pieces of so many octets, each after a pause.
    fn dripping(piece: usize, pause: Duration, pieces: usize) -> TimedBody {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, io::Error>>(1);
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(pause).await;
                if sender.send(Ok(Bytes::from(vec![b'x'; piece]))).await.is_err() {
                    return;
                }
            }
        });
        TimedBody::new(Body::new(Pieces(receiver)))
    }

    struct Pieces(tokio::sync::mpsc::Receiver<Result<Bytes, io::Error>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            task: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            self.0.poll_recv(task).map(|piece| piece.map(|piece| piece.map(Frame::data)))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_come_and_at_a_rate() {
        let seconds = Duration::from_secs;
        assert!(dripping(1, seconds(31), 3).collect().await.is_err(), "silent");
        assert!(dripping(1, seconds(20), 100).collect().await.is_err(), "an octet now and then");
        let slow =
            dripping(20 * 1024, seconds(10), 60).collect().await.map(|body| body.to_bytes().len());
        assert_eq!(slow.unwrap(), 60 * 20 * 1024, "slow but steady");
        assert_eq!(dripping(0, seconds(1), 0).collect().await.unwrap().to_bytes().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_to_be_taken() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut io = TimedIo::new(near);
        let begun = Instant::now();
        let stalled = io.write_all(&[0; 4096]).await;
        assert!(
            stalled.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut)
                && begun.elapsed() == TAKING
        );
        let (near, mut slow) = tokio::io::duplex(1024);
        let mut io = TimedIo::new(near);
        let taking = async {
            let mut octets = [0; 1024];
            for _ in 0..4 {
                tokio::time::sleep(TAKING / 2).await;
                slow.read_exact(&mut octets).await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(io.write_all(&[0; 4096]), taking);
        assert!(sent.is_ok(), "slow but steady");
        far.shutdown().await.unwrap();
    }
}
