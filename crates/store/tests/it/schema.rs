//! The two schemas are one, and every table of a tenant is locked.

use store::TENANT_TABLES;
use testkit::{Tester, on_both_engines};

fn tables() -> Vec<String> {
    TENANT_TABLES.iter().map(|&table| table.to_owned()).collect()
}

#[test]
fn every_table_with_a_tenant_is_guarded_by_the_engine() {
    on_both_engines(|t| {
        let (with_tenant, _) = t.db.schema().unwrap();
        assert_eq!(with_tenant, tables(), "TENANT_TABLES lists the tables of {}", t.engine);
        assert_eq!(t.db.guarded().unwrap(), [tables(), tables()]);
    });
}

#[test]
fn both_engines_have_the_same_tables_and_columns() {
    let mut schemas = parking_lot::Mutex::new(Vec::new());
    on_both_engines(|t| schemas.lock().push(t.db.schema().unwrap().1));
    let schemas = schemas.get_mut();
    if let [sqlite, postgres] = schemas.as_slice() {
        similar(sqlite, postgres);
        similar(postgres, sqlite);
    }
}

fn similar(one: &[String], other: &[String]) {
    let missing: Vec<_> = one.iter().filter(|column| !other.contains(column)).collect();
    assert!(missing.is_empty(), "only one engine has {missing:?}");
}

#[test]
fn every_key_begins_with_its_tenant() {
    on_both_engines(|t| {
        let wrong = if t.engine == "sqlite" { sqlite_keys(t) } else { postgres_keys(t) };
        assert_eq!(wrong, "", "keys that do not begin with tenant_id, or foreign keys without it");
    });
}

fn sqlite_keys(t: &Tester) -> String {
    let file = rusqlite::Connection::open(t.address()).unwrap();
    let mut keys = file
        .prepare(
            "SELECT m.name || '.' || i.name FROM sqlite_schema m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
              WHERE m.type = 'table' AND i.\"unique\" AND c.seqno = 0 AND c.name <> 'tenant_id'
                AND m.name NOT IN ('installation', 'schema_migrations')
             UNION ALL
             SELECT m.name || ' -> ' || f.\"table\" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
              WHERE m.type = 'table' AND f.seq = 0 AND (f.\"from\" <> 'tenant_id' OR f.\"to\" <> 'tenant_id')",
        )
        .unwrap();
    let names = keys.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
}

fn postgres_keys(t: &Tester) -> String {
    t.psql(
        "postgres",
        "SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
          WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND a.attname <> 'tenant_id'
            AND c.relname NOT IN ('installation', 'schema_migrations')
         UNION ALL
         SELECT f.conrelid::regclass FROM pg_constraint f
           JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
           JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
          WHERE f.contype = 'f' AND (a.attname <> 'tenant_id' OR b.attname <> 'tenant_id')",
    )
}
