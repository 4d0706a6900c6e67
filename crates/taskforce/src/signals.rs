//! The wish to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is asked to stop: SIGTERM from a supervisor, SIGINT from a keyboard.
pub(crate) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
