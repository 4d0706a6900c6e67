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
    runtime: Option<Runtime>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

impl PostgresConn {
    pub(crate) fn connect(config: &tokio_postgres::Config) -> Result<Self, StoreError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::unavailable)?;
        let mut config = config.clone();
        config.connect_timeout(CONNECT_TIMEOUT);
        let (client, connection) = runtime
            .block_on(async { tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await })
            .map_err(StoreError::unavailable)??;
        runtime.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a database connection ended");
            }
        });
        Ok(Self { client, statements: HashMap::new(), runtime: Some(runtime) })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(crate) fn execute(&mut self, text: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepare(text)?;
        let client = &self.client;
        Ok(block_on(self.runtime.as_ref(), client.execute_raw(&statement, values))??)
    }

    pub(crate) fn query(&mut self, text: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(text)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let client = &self.client;
        let rows = block_on(self.runtime.as_ref(), client.query(&statement, &values))??;
        rows.iter().map(owned).collect()
    }

    /// Inserts all rows with one statement: `VALUES ($1, $2, …)` becomes a selection from arrays.
    pub(crate) fn execute_many(&mut self, text: &str, tenant: &Value, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let types = self.prepare(text)?.params().to_vec();
        let columns: Vec<Column<'_>> = (1..types.len()).map(|at| Column { rows, at: at - 1 }).collect();
        let statement = self.prepare(&unnested(text, &types)?)?;
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![tenant];
        values.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
        let client = &self.client;
        block_on(self.runtime.as_ref(), client.execute(&statement, &values))??;
        Ok(())
    }

    pub(crate) fn batch(&mut self, text: &str) -> Result<(), StoreError> {
        let client = &self.client;
        Ok(block_on(self.runtime.as_ref(), client.batch_execute(text))??)
    }

    fn prepare(&mut self, text: &str) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.get(text) {
            return Ok(known.clone());
        }
        let client = &self.client;
        let statement = block_on(self.runtime.as_ref(), client.prepare(text))??;
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
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

fn block_on<F: Future>(runtime: Option<&Runtime>, future: F) -> Result<F::Output, StoreError> {
    let runtime = runtime.ok_or(StoreError::Decode("an open connection"))?;
    Ok(runtime.block_on(future))
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
