//! The tiles of a log: 256 hashes each, written when their last hash is there.

use kernel::TenantId;
use tlog::{Frontier, Hash};

use crate::engine::Conn;
use crate::{StoreError, sql, values};

/// How many hashes one tile holds.
const TILE: u64 = tlog::tile::WIDTH;

/// Writes the tiles that became full, level by level.
pub(crate) fn fill(conn: &mut Conn, tenant: &TenantId, old: u64, new: u64) -> Result<(), StoreError> {
    for index in old / TILE..new / TILE {
        let rows = conn.query(
            sql!("SELECT hash FROM ledger_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq"),
            &values![tenant, index * TILE, (index + 1) * TILE],
        )?;
        let mut hashes = Vec::with_capacity(rows.len() * 32);
        for mut row in rows {
            hashes.extend(row.get::<Vec<u8>>()?);
        }
        put_tile(conn, tenant, 0, index, &hashes)?;
        raise(conn, tenant, 0, index, &hashes)?;
    }
    Ok(())
}

/// Adds the root of a full tile to the tile above it, and so on while those become full.
fn raise(conn: &mut Conn, tenant: &TenantId, mut level: u64, mut index: u64, full: &[u8]) -> Result<(), StoreError> {
    let mut hashes = full.to_vec();
    while hashes.len() as u64 == TILE * 32 {
        let root = tile_root(&hashes)?;
        (level, index) = (level + 1, index / TILE);
        hashes = tile(conn, tenant, level, index)?;
        hashes.extend_from_slice(root.as_bytes());
        put_tile(conn, tenant, level, index, &hashes)?;
    }
    Ok(())
}

fn tile(conn: &mut Conn, tenant: &TenantId, level: u64, index: u64) -> Result<Vec<u8>, StoreError> {
    let rows = conn.query(
        sql!("SELECT hashes FROM ledger_tiles WHERE tenant_id = $1 AND level = $2 AND idx = $3"),
        &values![tenant, level, index],
    )?;
    rows.into_iter().next().map_or_else(|| Ok(Vec::new()), |mut row| row.get())
}

fn put_tile(conn: &mut Conn, tenant: &TenantId, level: u64, index: u64, hashes: &[u8]) -> Result<(), StoreError> {
    conn.execute(
        sql!(
            "INSERT INTO ledger_tiles (tenant_id, level, idx, hashes) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, level, idx) DO UPDATE SET hashes = excluded.hashes"
        ),
        &values![tenant, level, index, hashes],
    )?;
    Ok(())
}

fn tile_root(hashes: &[u8]) -> Result<Hash, StoreError> {
    let mut frontier = Frontier::empty();
    for hash in hashes.chunks(32) {
        frontier.append(Hash::try_from(hash).map_err(|_| StoreError::Decode("a tile of hashes"))?);
    }
    Ok(frontier.root())
}
