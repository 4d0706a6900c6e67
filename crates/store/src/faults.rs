//! Faults, made on purpose: compiled into tests only.

use kernel::TenantId;

use crate::engine::{Conn, Role};
use crate::{Database, Row, StoreError};

impl Database {
    /// Bounds the size of an SQLite file as a full disk would, or lifts the bound.
    pub fn limit_pages(&self, pages: Option<u32>) -> Result<(), StoreError> {
        self.writer().exclusive(|conn| conn.limit_pages(pages))
    }

    /// Makes every commit from now on fail after all its statements succeeded, or lets commits succeed again.
    pub fn refuse_commits(&self, refuse: bool) -> Result<(), StoreError> {
        self.writer().exclusive(|conn| conn.refuse_commits(refuse))
    }

    /// How many groups of writes have been committed through this handle.
    pub fn commits(&self) -> u64 {
        self.writer().commits()
    }

    /// How the engine says that it keeps a commit: SQLite's journal and `synchronous`, PostgreSQL's
    /// `synchronous_commit`.
    pub fn durability(&self) -> Result<String, StoreError> {
        self.writer().exclusive(Conn::durability)
    }

    /// How many writers wait for their turn: for tests that fill a group.
    pub fn waiting(&self) -> usize {
        self.writer().waiting()
    }

    /// The tables whose rows the engine itself keeps apart by tenant: for connections that write, and for those that
    /// read.
    pub fn guarded(&self) -> Result<[Vec<String>; 2], StoreError> {
        const WRITER: &str = "SELECT v.name FROM temp.sqlite_schema v WHERE v.type = 'view' AND
              (SELECT count(*) FROM temp.sqlite_schema t WHERE t.type = 'trigger' AND t.tbl_name = v.name
                  AND t.name IN (v.name || '_insert', v.name || '_update', v.name || '_delete')) = 3 ORDER BY v.name";
        const READER: &str = "SELECT name FROM temp.sqlite_schema WHERE type = 'view' ORDER BY name";
        const POSTGRES: &str = "SELECT CAST(relname AS TEXT) FROM pg_class c
             WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND relforcerowsecurity
               AND (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid AND polname IN ('tenant', 'system')) = 2
             ORDER BY relname";
        let names = |rows: Vec<Row>| rows.into_iter().map(|mut row| row.get()).collect::<Result<Vec<String>, _>>();
        let writer = self.writer().exclusive(|conn| conn.query_text(WRITER, POSTGRES, &[]))?;
        let reader = self.readers().with(|conn| conn.query_text(READER, POSTGRES, &[]))?;
        Ok([names(writer)?, names(reader)?])
    }

    /// Runs raw SQL as the application would, on a connection of its own, bound to `tenant` but past every lock in
    /// Rust.
    pub fn raw(&self, tenant: &TenantId, statements: &str) -> Result<(), StoreError> {
        let mut conn = self.writer().location().connect_raw()?;
        conn.begin(Role::Writer)?;
        conn.enter(tenant.as_str());
        conn.batch(statements)?;
        conn.commit()
    }

    /// Runs raw SQL on the database's file as somebody with the operating system's rights can: past the locks of the
    /// engine too. On PostgreSQL it runs as the application, which has no such rights.
    pub fn tamper(&self, statements: &str) -> Result<(), StoreError> {
        let mut conn = self.writer().location().connect(Role::Owner)?;
        conn.begin(Role::Owner)?;
        conn.batch(statements)?;
        conn.commit()
    }

    /// The names of the tables that have a `tenant_id`, as the engine knows them, and every column as
    /// `table.column type`.
    pub fn schema(&self) -> Result<(Vec<String>, Vec<String>), StoreError> {
        const SQLITE: &str =
            "SELECT m.name, c.name, lower(c.type) FROM main.sqlite_schema m, pragma_table_info(m.name) c
                               WHERE m.type = 'table' ORDER BY m.name, c.cid";
        const POSTGRES: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT), CAST(data_type AS TEXT)
                                  FROM information_schema.columns WHERE table_schema = 'public'
                                 ORDER BY table_name, ordinal_position";
        let rows = self.writer().location().connect(Role::Owner)?.query_text(SQLITE, POSTGRES, &[])?;
        let mut tenant_tables = Vec::new();
        let mut columns = Vec::new();
        for mut row in rows {
            let (table, column, kind): (String, String, String) = (row.get()?, row.get()?, row.get()?);
            let kind = match kind.as_str() {
                "bigint" => "integer",
                "bytea" => "blob",
                other => other,
            };
            columns.push(format!("{table}.{column} {kind}"));
            if column == "tenant_id" {
                tenant_tables.push(table);
            }
        }
        Ok((tenant_tables, columns))
    }
}
