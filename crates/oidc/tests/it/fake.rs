//! A web server of a few documents, and an issuer's keys that sign.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(crate) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The server. It goes away when dropped.
pub(crate) struct Fake {
    pub(crate) address: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    documents: Mutex<HashMap<String, Vec<u8>>>,
    hits: Mutex<HashMap<String, usize>>,
    down: Mutex<bool>,
    /// Each answer takes a permit.
    answers: Semaphore,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (documents, hits, down) = (Mutex::default(), Mutex::default(), Mutex::default());
        let answers = Semaphore::new(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared { documents, hits, down, answers });
        let mut tasks = JoinSet::new();
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&serving);
                served.spawn(async move {
                    // A client that goes away is none of our business.
                    let _ = answer(stream, &shared).await;
                });
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn publish(&self, path: &str, document: impl Into<Vec<u8>>) {
        self.shared.documents.lock().unwrap().insert(path.to_owned(), document.into());
    }

    pub(crate) fn publish_keys(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        self.publish("/jwks", json!({ "keys": keys }).to_string());
    }

    pub(crate) fn hits(&self, path: &str) -> usize {
        self.shared.hits.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    pub(crate) fn down(&self, down: bool) {
        *self.shared.down.lock().unwrap() = down;
    }

    /// Answers wait from now on.
    pub(crate) fn hold(&self) {
        self.shared.answers.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Answers go on.
    pub(crate) fn go_on(&self) {
        self.shared.answers.add_permits(1_000);
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    *shared.hits.lock().unwrap().entry(path.clone()).or_insert(0) += 1;
    let _turn = shared.answers.acquire().await.unwrap();
    if *shared.down.lock().unwrap() {
        return Ok(());
    }
    let document = shared.documents.lock().unwrap().get(&path).cloned();
    let (status, body) = document.map_or(("404 Not Found", Vec::new()), |document| ("200 OK", document));
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await
}

/// Waits for what other tasks bring about.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap();
}

/// An Ed25519 key with an id.
pub(crate) struct SigningKey {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { id, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn published(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x })
    }

    /// A token for `api` from `https://issuer.example`, without end, with more in its header.
    pub(crate) fn token(&self, more: &Value) -> String {
        let mut header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let claims = json!({ "iss": "https://issuer.example", "aud": "api", "sub": "alice", "exp": 9_000_000_000_i64 });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}
