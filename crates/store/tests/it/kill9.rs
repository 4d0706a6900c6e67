//! A process killed at a random moment under load: what it acknowledged is there, and the log verifies.
//!
//! This binary starts itself again as the process to be killed; what it acknowledges goes out line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authz::{Actor, Caller, Request, Role, Standing};
use kernel::{Entropy as _, FixedMoment, Moment, OsEntropy, Secret, SeededEntropy, Timestamp, hex};
use seal::RootKey;
use store::{Database, Setup};
use testkit::{Tester, connect, on_both_engines};
use tlog::{Frontier, Hash};

use crate::given::{share, touch, verify};

const ROUNDS: usize = 50;
const WRITERS: usize = 32;

/// Where the process to be killed finds the database, and its root key.
const ADDRESS: &str = "STORE_KILL9_ADDRESS";
const ROOT_KEY: &str = "STORE_KILL9_ROOT_KEY";

/// Stands for the hash of an entry whose writer is told its place alone.
const UNTOLD: &str = "-";

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    if let Some(address) = std::env::var_os(ADDRESS) {
        return write_until_killed(&address.to_string_lossy());
    }
    let mut seed = [0; 8];
    OsEntropy.fill(&mut seed);
    println!("seed: {}", u64::from_be_bytes(seed));
    on_both_engines(|t| {
        let random = SeededEntropy::new(u64::from_be_bytes(seed));
        let callers = callers(t);
        let mut known = [Frontier::empty(), Frontier::empty()];
        let mut hashes = [Vec::new(), Vec::new()];
        let mut acknowledged = 0;
        for round in 0..ROUNDS {
            let mut wait = [0; 1];
            random.fill(&mut wait);
            let acks = run_and_kill(t, Duration::from_millis(30 + u64::from(wait[0]) % 120));
            let db = t.second_node();
            for (at, caller) in callers.iter().enumerate() {
                hashes[at].extend(verify(&db, caller, &mut known[at]));
            }
            for (at, seq, hash) in &acks {
                let stored = hashes[*at].get(*seq).map(|stored: &Hash| hex(stored.as_bytes()));
                let same = stored.as_ref().is_some_and(|stored| hash == UNTOLD || hash == stored);
                assert!(same, "round {round}: entry {seq} of log {at} was acknowledged as {hash}, and is {stored:?}");
            }
            acknowledged += acks.len();
        }
        for (caller, known) in callers.iter().zip(&known) {
            let mut whole = Frontier::empty();
            verify(&t.second_node(), caller, &mut whole);
            assert_eq!(&whole, known);
        }
        let kept: usize = hashes.iter().map(Vec::len).sum();
        println!("{}: {ROUNDS} kills, {acknowledged} acknowledged, {kept} kept", t.engine);
        assert!(acknowledged > ROUNDS, "there was load");
    });
}

fn callers(t: &Tester) -> [Caller; 2] {
    [t.user("acme-corp", "alice", [Role::Admin]), t.user("globex", "gina", [Role::Admin])]
}

/// Runs the writing process, kills it so long after its first acknowledgement, and returns what it acknowledged.
fn run_and_kill(t: &Tester, after: Duration) -> Vec<(usize, usize, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill9::what_a_killed_process_acknowledged_is_there", "--nocapture"])
        .env(ADDRESS, t.address())
        .env(ROOT_KEY, t.setup().root_key.to_text().expose())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acks = Vec::new();
    let mut deadline = None;
    // The line that the kill cuts short has no end, and what was not said was not acknowledged.
    while let Some(Ok(line)) = lines.next() {
        let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
        if let (Some(log), Some(seq), Some(hash), Some(".")) = (words.next(), words.next(), words.next(), words.next())
        {
            acks.push((log.parse().unwrap(), seq.parse().unwrap(), hash.to_owned()));
            let deadline = deadline.get_or_insert_with(|| Instant::now() + after);
            if Instant::now() >= *deadline {
                child.kill().unwrap();
            }
        }
    }
    let status = child.wait().unwrap();
    assert!(status.code().is_none(), "the process was killed, and did not end by itself: {status}");
    acks
}

/// The process to be killed: half of the writers write entry by entry, half in batches.
fn write_until_killed(address: &str) {
    let clock = Arc::new(FixedMoment::new(1_800_000_000_000_000));
    let root_key = std::env::var_os(ROOT_KEY).expect("a root key").to_string_lossy().into_owned();
    let root_key = RootKey::parse(&Secret::new(root_key)).unwrap();
    let setup =
        Setup { root_key, clock: Arc::clone(&clock) as _, entropy: Arc::new(OsEntropy), instance: "test".to_owned() };
    let db = connect(address, setup).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, log) = (&db, writer % 2);
            let caller = writer_of(["acme-corp", "globex"][log], &clock);
            scope.spawn(move || {
                loop {
                    let lines = if writer % 4 < 2 { one(db, log, &caller) } else { batch(db, log, &caller) };
                    std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate, in a process without a tester")]
fn writer_of(tenant: &str, clock: &FixedMoment) -> Caller {
    let request = Request::made(&clock.moment());
    Caller::authenticated(
        Standing::new(tenant.parse().unwrap(), Actor::user("usr_writer"), authz::Roles::default()),
        request,
    )
}

fn one(db: &Database, log: usize, caller: &Caller) -> String {
    let caller = caller.with_request(Request::made(&Moment::new(Timestamp::from_micros(0), &OsEntropy)));
    touch(db, &caller, "thg_1").unwrap();
    format!("ack {log} {} {UNTOLD} .\n", caller.request().recorded().expect("a place"))
}

fn batch(db: &Database, log: usize, caller: &Caller) -> String {
    let places = db.write_shares(vec![share(caller, 5)]).remove(0).unwrap();
    let lines: Vec<_> =
        places.iter().map(|place| format!("ack {log} {} {} .\n", place.seq, hex(place.hash.as_bytes()))).collect();
    lines.concat()
}
