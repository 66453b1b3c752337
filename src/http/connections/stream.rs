//! The bytes of one connection, read in small steps.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Connection;

/// A connection that limits how much the server reads ahead, and the head of each request.
pub struct LimitedStream {
    io: TcpStream,
    connection: Arc<Connection>,
    /// Bytes since the server had a chance to use what it read.
    unused_bytes: usize,
}

impl LimitedStream {
    pub(super) fn new(io: TcpStream, connection: Arc<Connection>) -> Self {
        Self { io, connection, unused_bytes: 0 }
    }

    /// The connection, for those who answer its requests.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn count(&mut self, bytes: usize) {
        self.unused_bytes += bytes;
        if self.connection.awaits_head.load(Ordering::Relaxed) {
            self.connection.head_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for LimitedStream {
    fn drop(&mut self) {
        self.connection.has_ended();
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection.reader.register(cx.waker());
        if self.connection.has_to_end() {
            return Poll::Ready(Ok(())); // the end of the stream
        }
        if self.unused_bytes >= STEP_BYTES {
            // The server reads until nothing is left, before it looks at what it has.
            self.unused_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.connection.head_bytes.load(Ordering::Relaxed) >= HEAD_BYTES_MAX {
            self.connection.shared.heads_too_large.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the head of the request is too large",
            )));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Pending => {
                self.unused_bytes = 0;
                return Poll::Pending;
            }
            Poll::Ready(outcome) => outcome?,
        }
        self.count(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The server's buffer grows by no more than one step, and what it has room for, before it looks at what it has.
const STEP_BYTES: usize = 16 * 1024;
/// A larger head ends its connection. Amazon SNS sends less than 1 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;
