//! PostgreSQL: a connection with a runtime of its own, so that a transaction is a plain function here too.

use std::collections::HashMap;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, Statement};

use crate::{Row, StoreError, Value};

#[derive(Debug)]
pub(crate) struct PostgresConn {
    client: Client,
    statements: HashMap<String, Statement>,
    /// Statements without an answer of interest, to be sent together with the next one: each saves a round trip.
    queued: String,
    runtime: Option<Runtime>,
    #[cfg(feature = "faults")]
    refuses_commits: bool,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long what was sent may remain unacknowledged by the other machine, and how long it may be silent until it is
/// asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// How often it is then asked.
const PULSE: Duration = Duration::from_secs(1);

/// What a session must have whatever the server's and the role's defaults are: an acknowledged commit is on the disk,
/// and a lock that another node holds is not waited for without end.
const SESSION: &str = "SET synchronous_commit = on; SET lock_timeout = '2s'; SET standard_conforming_strings = on;
                       SET idle_in_transaction_session_timeout = '60s'";

impl PostgresConn {
    pub(crate) fn connect(config: &tokio_postgres::Config) -> Result<Self, StoreError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::unavailable)?;
        let mut config = config.clone();
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(SILENCE);
        config.keepalives_idle(SILENCE).keepalives_interval(PULSE).keepalives_retries(3);
        let (client, connection) = runtime
            .block_on(async { tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await })
            .map_err(StoreError::unavailable)??;
        runtime.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a database connection ended");
            }
        });
        let mut conn = Self {
            client,
            statements: HashMap::new(),
            queued: String::new(),
            runtime: Some(runtime),
            #[cfg(feature = "faults")]
            refuses_commits: false,
        };
        conn.batch(SESSION)?;
        Ok(conn)
    }

    pub(crate) fn execute(&mut self, text: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepare(text)?;
        let queued = std::mem::take(&mut self.queued);
        self.answer(&queued, self.client.execute_raw(&statement, values))
    }

    pub(crate) fn query(&mut self, text: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(text)?;
        let queued = std::mem::take(&mut self.queued);
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        self.answer(&queued, self.client.query(&statement, &values))?.iter().map(owned).collect()
    }

    /// Inserts all rows with one statement: `VALUES ($1, $2, …)` becomes a selection from arrays.
    pub(crate) fn execute_many(&mut self, text: &str, tenant: &Value, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let types = self.prepare(text)?.params().to_vec();
        let columns: Vec<Column<'_>> = (1..types.len()).map(|at| Column { rows, at: at - 1 }).collect();
        let statement = self.prepare(&unnested(text, &types)?)?;
        let queued = std::mem::take(&mut self.queued);
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![tenant];
        values.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
        self.answer(&queued, self.client.execute(&statement, &values)).map(|_| ())
    }

    pub(crate) fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        let queued = std::mem::take(&mut self.queued);
        self.answer("", self.client.batch_execute(&format!("{queued}{text}")))
    }

    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "faults")]
        if self.refuses_commits {
            return self.batch("SELECT 1 / 0; COMMIT");
        }
        self.batch("COMMIT")
    }

    #[cfg(feature = "faults")]
    pub(crate) const fn refuse_commits(&mut self, refuse: bool) {
        self.refuses_commits = refuse;
    }

    /// Sends `text` together with the next statement.
    pub(crate) fn later(&mut self, text: &str) {
        self.queued.push_str(text);
        self.queued.push(';');
    }

    /// Runs `text` instead of what is still to be sent.
    pub(crate) fn abandon(&mut self, text: &str) -> Result<(), StoreError> {
        self.queued.clear();
        self.batch(text)
    }

    fn prepare(&mut self, text: &str) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.get(text) {
            return Ok(known.clone());
        }
        // What is queued goes first: a statement that cannot be prepared must fail after its savepoint.
        let queued = std::mem::take(&mut self.queued);
        let statement = self.answer(&queued, self.client.prepare(text))?;
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends what was queued and `request` in one go, and waits for the answers to both.
    fn answer<T>(
        &self,
        queued: &str,
        request: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let runtime = self.runtime.as_ref().ok_or(StoreError::Decode("an open connection"))?;
        runtime.block_on(async {
            if queued.is_empty() {
                return Ok(request.await?);
            }
            let (before, answer) = tokio::join!(biased; self.client.batch_execute(queued), request);
            before?;
            Ok(answer?)
        })
    }
}

impl Drop for PostgresConn {
    /// A runtime may not be dropped inside another one: it is left to end by itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn unnested(text: &str, types: &[Type]) -> Result<String, StoreError> {
    let malformed = || StoreError::Schema(format!("not an insert that can be batched: {text}"));
    let (head, rest) = text.split_once("VALUES (").ok_or_else(malformed)?;
    let (_, tail) = rest.split_once(')').ok_or_else(malformed)?;
    let arrays: Vec<String> = types.iter().enumerate().skip(1).map(|(at, t)| format!("${}::{t}[]", at + 1)).collect();
    Ok(format!("{head}SELECT $1, row.* FROM UNNEST({}) AS row{tail}", arrays.join(", ")))
}

fn owned(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let mut values = Vec::with_capacity(row.len());
    for (at, column) in row.columns().iter().enumerate() {
        values.push(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int),
            Type::FLOAT8 => row.try_get::<_, Option<f64>>(at)?.map_or(Value::Null, Value::Real),
            Type::TEXT => row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Value::Null, Value::Blob),
            _ => return Err(StoreError::Decode("of a column type that both engines have")),
        });
    }
    Ok(Row::new(values))
}

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Encoded {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Real(number) => number.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::FLOAT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

/// One column of many rows, sent as an array.
#[derive(Debug)]
struct Column<'a> {
    rows: &'a [Vec<Value>],
    at: usize,
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Encoded {
        let values: Vec<&Value> = self.rows.iter().map(|row| row.get(self.at).unwrap_or(&Value::Null)).collect();
        values.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <Vec<&Value> as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}
