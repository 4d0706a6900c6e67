//! Commands that ask a running server, with a credential, as any other client would.

mod show;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH};
use http::{Method, Request, Uri};
use http_body_util::Full;
use kernel::Secret;
use outbound::{Client, FetchError, Limits, Reach, Trust, TrustError};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::environment::{Environment, NotText};
use crate::failure::Failure;
use crate::home::{self, HomeError};

pub(crate) use show::{Column, facts, table, text};

/// Where the server is, where nothing says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8070";
/// How long an answer may take: a backtest reads a month of calls.
const DEADLINE: Duration = Duration::from_mins(10);
/// How large it may be.
const BODY_BYTES: usize = 256 * 1024 * 1024;

/// Which server to ask, and as whom.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Connection {
    /// The server. Default: `$TASKFORCE_URL`, else `http://127.0.0.1:8070`.
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) url: Option<String>,
    /// A file that holds the API key or token. Default: `$TASKFORCE_API_KEY`, which holds it itself.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) key_file: Option<PathBuf>,
}

/// A noun's verbs, and the server that is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Asking<V: clap::Subcommand> {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) verb: V,
}

/// Whose things a list shows.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Whose {
    /// Those of one user, by id or username. Default: one's own.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Everybody's.
    #[arg(long, conflicts_with = "user")]
    pub(crate) all: bool,
}

impl Whose {
    /// The user's id; `None` for everybody.
    pub(crate) fn id(&self, remote: &Remote) -> Result<Option<String>, RemoteError> {
        if self.all { Ok(None) } else { remote.user(self.user.as_deref().unwrap_or("me")).map(Some) }
    }
}

/// Which part of a list to show.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Part {
    /// How many to show.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(crate) limit: u32,
    /// Where to go on: what the end of the part before said.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

/// Why the server was not asked, or said no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("no credential: set `TASKFORCE_API_KEY`, or give `--key-file`")]
    NoKey,
    #[error("`{0}` is not the address of a server, such as `http://127.0.0.1:8070`")]
    Url(String),
    #[error("the credential contains characters that a header cannot carry")]
    Key,
    #[error("`{0}` cannot be asked for")]
    Path(String),
    #[error("{url} did not answer")]
    Fetch { url: String, source: FetchError },
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer is not JSON")]
    Answer,
    #[error(transparent)]
    Environment(#[from] NotText),
    #[error(transparent)]
    File(#[from] HomeError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("no runtime for the exchange")]
    Runtime(#[from] std::io::Error),
}

/// A server and the credential it is asked with.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Client,
    base: String,
    key: Secret<String>,
    runtime: Runtime,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body; `null` where there is none.
    pub(crate) body: Value,
    /// The state that it shows.
    pub(crate) etag: Option<HeaderValue>,
}

impl Remote {
    /// Prepares to ask.
    pub(crate) fn open(connection: &Connection, environment: &Environment) -> Result<Self, RemoteError> {
        let url = match &connection.url {
            Some(url) => url.clone(),
            None => environment.get("TASKFORCE_URL")?.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        };
        let base = url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|_| RemoteError::Url(url.clone()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(RemoteError::Url(url));
        }
        let key = match &connection.key_file {
            Some(path) => Secret::new(home::read_private(path)?.expose().trim().to_owned()),
            None => Secret::new(environment.get("TASKFORCE_API_KEY")?.ok_or(RemoteError::NoKey)?.trim().to_owned()),
        };
        let trust = if uri.scheme_str() == Some("https") { Trust::Machine } else { Trust::Nobody };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: Client::new(trust)?, base, key, runtime })
    }

    /// Asks for what is at `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, RemoteError> {
        self.ask(Method::GET, path, None, None)
    }

    /// Asks for one part of the list at `path`, of which `filters` are given where they are set.
    pub(crate) fn list(
        &self,
        path: &str,
        part: &Part,
        filters: &[(&str, Option<&str>)],
    ) -> Result<Answer, RemoteError> {
        let limit = part.limit.to_string();
        let own = [("limit", Some(limit.as_str())), ("cursor", part.after.as_deref())];
        let given = own.iter().chain(filters).filter_map(|(name, value)| Some((*name, (*value)?)));
        let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.get(&format!("{path}?{}", query.join("&")))
    }

    /// Asks for something to be made or done.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, RemoteError> {
        self.ask(Method::POST, path, Some(body), None)
    }

    /// Changes what is at `path`, in the state in which it is now.
    pub(crate) fn change(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, RemoteError> {
        let etag = self.get(path)?.etag;
        self.ask(method, path, body, etag)
    }

    /// Does `method` at `path`, in the state in which what is at `state` is now.
    pub(crate) fn change_of(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        state: &str,
    ) -> Result<Answer, RemoteError> {
        let etag = self.get(state)?.etag;
        self.ask(method, path, Some(body), etag)
    }

    /// Whose credential this is.
    pub(crate) fn caller(&self) -> Result<String, RemoteError> {
        Ok(text(self.get("/api/v1/me")?.body.pointer("/user_id")))
    }

    /// The id of a user who is named by id or username; `me` is the caller.
    pub(crate) fn user(&self, named: &str) -> Result<String, RemoteError> {
        if named == "me" {
            return self.caller();
        }
        if named.starts_with("usr_") {
            return Ok(named.to_owned());
        }
        let found = self.get(&format!("/api/v1/admin/users?username={}", escaped(named)))?;
        let id = found.body.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| RemoteError::Refused(format!("there is no user `{named}`")))
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<HeaderValue>,
    ) -> Result<Answer, RemoteError> {
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|_| RemoteError::Path(path.to_owned()))?;
        let mut request = Request::new(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose()));
        let mut bearer = bearer.map_err(|_| RemoteError::Key)?;
        bearer.set_sensitive(true);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = if_match {
            headers.insert(IF_MATCH, etag);
        }
        let limits = Limits { deadline: DEADLINE, body_bytes: BODY_BYTES };
        let fetched = self.runtime.block_on(self.client.fetch(request, limits, Reach::Private));
        let answer = fetched.map_err(|source| RemoteError::Fetch { url: self.base.clone(), source })?;
        let etag = answer.headers().get(ETAG).cloned();
        let (status, body) = (answer.status(), answer.body());
        let body = if body.is_empty() { b"null" } else { &body[..] };
        let body: Value = serde_json::from_slice(body).map_err(|_| RemoteError::Answer)?;
        if status.is_success() { Ok(Answer { body, etag }) } else { Err(RemoteError::Refused(refusal(&body))) }
    }
}

/// What a problem says (RFC 9457), in a sentence or more.
fn refusal(problem: &Value) -> String {
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    let said = part("detail").or(part("title")).unwrap_or("the server refused");
    let errors = problem.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let fields = errors.iter().map(|error| {
        let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("\n  {}: {}", part("pointer"), part("detail"))
    });
    let request = part("instance").map(|request| format!(" ({request})"));
    [said.to_owned()].into_iter().chain(fields).chain(request).collect()
}

/// A JSON object of those fields that are given.
pub(crate) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// `a,b` as a JSON list; an empty text as an empty one.
pub(crate) fn words(text: &str) -> Value {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect()
}

/// Text as a part of an address: everything but letters, digits and `-._~` is escaped (RFC 3986).
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

/// Reads a JSON object from a file, or from standard input for `-`.
pub(crate) fn json_file(path: &std::path::Path) -> Result<Value, Failure> {
    let text = text_file(path)?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))?)
}

/// Reads a text from a file, or from standard input for `-`.
pub(crate) fn text_file(path: &std::path::Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        return Ok(std::io::read_to_string(std::io::stdin())?);
    }
    let read = std::fs::read_to_string(path);
    Ok(read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_is_named_and_a_credential_given_before_anything_is_sent() {
        let open = |url: &str, environment: Environment| {
            Remote::open(&Connection { url: Some(url.to_owned()), key_file: None }, &environment)
                .map(|remote| remote.base)
        };
        let key = || Environment::from([("TASKFORCE_API_KEY", "tfk_x")]);
        assert_eq!(open("http://127.0.0.1:9/", key()).unwrap(), "http://127.0.0.1:9");
        assert!(matches!(open("127.0.0.1:9", key()), Err(RemoteError::Url(_))));
        assert!(matches!(open("ftp://a", key()), Err(RemoteError::Url(_))));
        assert!(matches!(open("http://127.0.0.1:9", Environment::default()), Err(RemoteError::NoKey)));
    }

    #[test]
    fn a_credential_does_not_print() {
        let connection = Connection { url: None, key_file: None };
        let remote = Remote::open(&connection, &Environment::from([("TASKFORCE_API_KEY", "canary-1")])).unwrap();
        assert!(!format!("{remote:?}").contains("canary"));
    }

    #[test]
    fn a_refusal_names_the_fields_and_the_request() {
        let problem = json!({
            "title": "A field is not acceptable", "detail": "the body is not acceptable", "instance": "req_1",
            "errors": [{ "pointer": "/name", "detail": "must not be empty" }],
        });
        assert_eq!(refusal(&problem), "the body is not acceptable\n  /name: must not be empty (req_1)");
        assert_eq!(refusal(&Value::Null), "the server refused");
    }

    #[test]
    fn a_filter_cannot_add_another() {
        assert_eq!(escaped("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }
}
