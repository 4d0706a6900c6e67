//! Durable entries, beside the disk's own limit: how often it can sync a small write.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use authz::{Action, Actor, Caller, Permission, Request, Standing};
use kernel::{Clock, OsEntropy, TenantId, Timestamp};
use store::{Attributed, Database, Entry, Job, Resource, Setup, StoreError};

use super::load::{count, median};
use super::product::scratch;
use super::{figure, heading, io};

const ROUNDS: usize = 5;
const BLOCK: Duration = Duration::from_secs(2);

/// Writing an entry and nothing else.
#[derive(Debug)]
struct Note;

impl Action for Note {
    const NAME: &'static str = "bench.note";
    const PERMISSION: Option<Permission> = None;
}

/// The machine's clock.
#[derive(Debug)]
pub(super) struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "a measurement has no other clock than the machine's")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

pub(super) fn measure(root: &Path) -> Result<(), String> {
    heading("ledger: durable entries on SQLite, 300 B of sealed payload each");
    let folder = scratch(root, "ledger")?;
    let db = open(&folder)?;
    let caller = caller(&db);
    let (mut floors, mut singles, mut single) = (Vec::new(), Vec::new(), Vec::new());
    let mut batches = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        floors.push(syncs(&folder)?);
        single.push(writers(&db, &caller, 1)?);
        singles.push(writers(&db, &caller, 128)?);
        for (rates, size) in batches.iter_mut().zip([128, 1_024]) {
            rates.push(batched(&db, &caller, size)?);
        }
    }
    let floor = format!("one sync after another {:.0}", median(floors.clone()));
    let [small, large] = batches;
    for (name, rates) in [
        ("one writer, one entry each", single),
        ("128 writers, one entry each", singles),
        ("the sequencer, 128 entries each", small),
        ("the sequencer, 1,024 entries each", large),
    ] {
        let ratio = median(rates.iter().zip(&floors).map(|(rate, floor)| rate / floor).collect());
        figure(name, &format!("{:.0} /s", median(rates)), &floor, &format!("{ratio:.1} x the floor"));
    }
    drop(db);
    std::fs::remove_dir_all(&folder).map_err(io)
}

pub(super) fn open(folder: &Path) -> Result<Database, String> {
    let entropy = Arc::new(OsEntropy);
    let root_key = seal::RootKey::generate(&OsEntropy);
    let setup = Setup { root_key, clock: Arc::new(Machine), entropy, instance: "bench".to_owned() };
    Database::sqlite(&folder.join("ledger.db"), setup).map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "a measurement has no keys to authenticate with")]
fn caller(db: &Database) -> Caller {
    Caller::authenticated(
        Standing::new(TenantId::system(), Actor::system("bench"), authz::Roles::default()),
        Request::made(&db.moment()),
    )
}

fn entry() -> Entry {
    Entry::new("bench.noted", Resource::new("bench", "entry")).with_payload_bytes(vec![b'x'; 300])
}

/// Appends 512 bytes and syncs, again and again: what the disk can do one at a time.
fn syncs(folder: &Path) -> Result<f64, String> {
    let mut file = File::create(folder.join("floor")).map_err(io)?;
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < BLOCK {
        file.write_all(&[0; 512]).map_err(io)?;
        file.sync_data().map_err(io)?;
        done += 1;
    }
    Ok(count(done) / started.elapsed().as_secs_f64())
}

/// So many writers, each of which waits for its own entry to be durable.
fn writers(db: &Database, caller: &Caller, threads: usize) -> Result<f64, String> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let grant = caller.authorize::<Note>().map_err(|error| error.to_string())?;
                        db.write(grant, |_| Ok::<_, StoreError>((entry(), ()))).map_err(|error| error.to_string())?;
                        done.fetch_add(1, Ordering::Relaxed);
                        if started.elapsed() > BLOCK {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                    Ok::<(), String>(())
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| Err("a writer panicked".to_owned())))
    })?;
    let done = usize::try_from(done.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    Ok(count(done) / started.elapsed().as_secs_f64())
}

/// Entries as the gateway's sequencer writes them: so many with one commit.
fn batched(db: &Database, caller: &Caller, size: usize) -> Result<f64, String> {
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < BLOCK {
        let job: Job<'_> = Box::new(|_| {
            let grant = caller.authorize::<Note>().map_err(|_| StoreError::Decode("an action for everybody"))?;
            Ok((0..size).map(|_| Attributed::new(&grant, entry())).collect())
        });
        for result in db.write_shares(vec![(TenantId::system(), job)]) {
            done += result.map_err(|error| error.to_string())?.len();
        }
    }
    Ok(count(done) / started.elapsed().as_secs_f64())
}
