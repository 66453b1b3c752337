//! The signals that end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM. From its creation on they no longer end the process.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to wait for both.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next of both.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for the next SIGINT.
    pub async fn next_interrupt(&mut self) {
        self.interrupt.recv().await;
    }
}
