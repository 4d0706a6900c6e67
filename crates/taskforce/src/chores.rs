//! The work that goes on beside the requests, each kind on a thread of its own.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use store::StoreError;

/// Threads that run until they are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

/// The wish to stop, for threads.
#[derive(Debug, Default)]
struct Stop {
    wished: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits for `time`, or until the wish comes; says whether it came.
    fn wait(&self, time: Duration) -> bool {
        let mut wished = self.wished.lock();
        if !*wished {
            self.changed.wait_for(&mut wished, time);
        }
        *wished
    }
}

impl Chores {
    /// Does `work` again and again, with a pause of `every` between. A failure is logged when it begins and when it
    /// ends, not each time.
    pub(crate) fn repeat(
        &mut self,
        name: &'static str,
        every: Duration,
        mut work: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> std::io::Result<()> {
        let stop = Arc::clone(&self.stop);
        let mut failing = false;
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            while !stop.wait(every) {
                match work() {
                    Ok(()) if failing => tracing::info!(chore = name, "{name} works again"),
                    Err(error) if !failing => {
                        tracing::error!(
                            chore = name,
                            error = &error as &dyn std::error::Error,
                            "{name} failed; it is tried again"
                        );
                        failing = true;
                        continue;
                    }
                    Ok(()) | Err(_) => continue,
                }
                failing = false;
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Does `work` once, beside everything else.
    pub(crate) fn once(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
    ) -> std::io::Result<()> {
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = work() {
                tracing::error!(chore = name, error = &error as &dyn std::error::Error, "{name} failed");
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Stops them all and waits until they have.
    pub(crate) fn stop(self) {
        *self.stop.wished.lock() = true;
        self.stop.changed.notify_all();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a background thread panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_chore_is_done_again_after_a_failure_and_stops_when_told() {
        let (done, count) = mpsc::channel();
        let mut chores = Chores::default();
        let mut round = 0;
        let work = move || {
            round += 1;
            done.send(round).unwrap();
            if round == 2 { Err(StoreError::Decode("anything")) } else { Ok(()) }
        };
        chores.repeat("counting", Duration::from_millis(1), work).unwrap();
        assert!(count.iter().take(4).eq(1..=4));
        chores.stop();
        assert!(count.iter().all(|round| round > 4), "the channel is closed: the thread is gone");
    }
}
