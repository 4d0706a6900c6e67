//! The wish to stop.

use std::io;
use std::thread::Builder;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Resolves when the process is asked to stop: SIGTERM from a supervisor, SIGINT from a keyboard. Asked a second time,
/// the process ends at once, as if it had been killed: what it acknowledged is durable, and the next start closes what
/// was open.
pub(crate) fn stop() -> io::Result<impl Future<Output = ()>> {
    // On a thread of its own: the second wish is heard whatever the process is busy with.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (asked, stopped) = oneshot::channel();
    let mut signals = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let (terminate, interrupt) = &mut signals;
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = interrupt.recv() => SignalKind::interrupt(),
                }
            };
            next().await;
            // Nobody may wait any more.
            let _gone = asked.send(());
            let again = next().await;
            tracing::warn!("asked to stop a second time: ending at once");
            std::process::exit(128 + again.as_raw_value());
        });
    })?;
    Ok(async move {
        // An error would mean that the thread is gone, and then nothing can be asked any more.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
