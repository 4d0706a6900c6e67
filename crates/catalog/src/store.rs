//! All SQL of the catalog. `tenants.settings` is identity's: one number of it is read here, in the transaction that
//! creates an agent.

use approvals::Authors;
use kernel::{AgentId, Timestamp, VersionId};
use store::{ReadTx, Row, StoreError, WriteTx, sql, values};

use crate::model::{Agent, AgentListing, Current, Number, Published, Version, VersionListing};
use crate::{Definition, Status};

/// How many agents the tenant may have; `None` for as many as it likes.
pub(crate) fn max_agents(tx: &mut ReadTx<'_>) -> Result<Option<u64>, StoreError> {
    let settings =
        tx.optional(sql!("SELECT settings FROM tenants WHERE tenant_id = $1"), values![], Row::get::<String>)?;
    let damaged = || StoreError::Decode("the settings of a tenant");
    let settings: serde_json::Value = serde_json::from_str(&settings.ok_or_else(damaged)?).map_err(|_| damaged())?;
    match settings.get("max_agents") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(limit) => limit.as_u64().map(Some).ok_or_else(damaged),
    }
}

pub(crate) fn count_agents(tx: &mut ReadTx<'_>) -> Result<u64, StoreError> {
    let counted =
        tx.optional(sql!("SELECT CAST(COUNT(*) AS BIGINT) FROM agents WHERE tenant_id = $1"), values![], |row| {
            row.get()
        })?;
    Ok(counted.unwrap_or(0))
}

pub(crate) fn insert_agent(tx: &mut WriteTx<'_>, agent: &Agent) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO agents (tenant_id, agent_id, name, description, category, tags, search, owner_id, created_at,
                                 updated_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        ),
        values![
            &agent.id,
            agent.name.as_str(),
            agent.description.as_str(),
            agent.category.as_str(),
            &agent.tags,
            search(agent),
            agent.owner.as_str(),
            agent.created_at,
            agent.updated_at,
            agent.revision,
        ],
    )?;
    Ok(())
}

/// Saves an agent read at the revision `before`.
pub(crate) fn save_agent(tx: &mut WriteTx<'_>, agent: &Agent, before: u64) -> Result<(), StoreError> {
    let changed = tx.execute(
        sql!(
            "UPDATE agents SET name = $4, description = $5, category = $6, tags = $7, search = $8, updated_at = $9,
                               revision = $10
              WHERE tenant_id = $1 AND agent_id = $2 AND revision = $3"
        ),
        values![
            &agent.id,
            before,
            agent.name.as_str(),
            agent.description.as_str(),
            agent.category.as_str(),
            &agent.tags,
            search(agent),
            agent.updated_at,
            agent.revision,
        ],
    )?;
    one(changed)
}

pub(crate) fn agent(tx: &mut ReadTx<'_>, id: &AgentId) -> Result<Option<Agent>, StoreError> {
    tx.optional(
        sql!(
            "SELECT a.agent_id, a.name, a.description, a.category, a.tags, a.owner_id, v.version_id, v.number,
                    a.created_at, a.updated_at, a.revision
               FROM agents a LEFT JOIN versions v
                 ON v.tenant_id = a.tenant_id AND v.agent_id = a.agent_id AND v.status = 'published'
              WHERE a.tenant_id = $1 AND a.agent_id = $2"
        ),
        values![id],
        read_agent,
    )
}

pub(crate) fn agents(tx: &mut ReadTx<'_>, listing: &AgentListing) -> Result<Vec<Agent>, StoreError> {
    let AgentListing { category, tag, query, after, size } = listing;
    tx.all(
        sql!(
            "SELECT a.agent_id, a.name, a.description, a.category, a.tags, a.owner_id, v.version_id, v.number,
                    a.created_at, a.updated_at, a.revision
               FROM agents a LEFT JOIN versions v
                 ON v.tenant_id = a.tenant_id AND v.agent_id = a.agent_id AND v.status = 'published'
              WHERE a.tenant_id = $1 AND a.agent_id > $2
                AND ($3 = '' OR a.category = $3)
                AND (',' || a.tags || ',') LIKE $4 ESCAPE '!'
                AND a.search LIKE $5 ESCAPE '!'
              ORDER BY a.agent_id LIMIT $6"
        ),
        values![
            after.as_ref().map_or("", |cursor| cursor.key()),
            category.as_deref().unwrap_or_default(),
            tag.as_ref().map_or_else(|| "%".to_owned(), |tag| format!("%,{},%", literally(tag))),
            query.as_ref().map_or_else(|| "%".to_owned(), |query| format!("%{}%", literally(&query.to_lowercase()))),
            size.limit(),
        ],
        read_agent,
    )
}

/// The numbers of all versions of an agent.
pub(crate) fn numbers(tx: &mut ReadTx<'_>, agent: &AgentId) -> Result<Vec<Number>, StoreError> {
    tx.all(sql!("SELECT number FROM versions WHERE tenant_id = $1 AND agent_id = $2"), values![agent], Row::get)
}

pub(crate) fn insert_version(
    tx: &mut WriteTx<'_>,
    version: &Version,
    definition: &Definition,
) -> Result<(), StoreError> {
    tx.execute(
        sql!(
            "INSERT INTO versions (tenant_id, version_id, agent_id, number, status, definition, digest, changelog,
                                   created_by, author_ids, review_id, created_at, updated_at, published_at, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, $12, NULL, $13)"
        ),
        values![
            &version.id,
            &version.agent_id,
            &version.number,
            version.status,
            definition.canonical(),
            definition.digest(),
            version.changelog.as_str(),
            version.created_by.as_str(),
            &version.authors,
            version.created_at,
            version.updated_at,
            version.revision,
        ],
    )?;
    Ok(())
}

/// Saves what a draft says. The schema refuses it for anything but a draft.
pub(crate) fn save_content(
    tx: &mut WriteTx<'_>,
    version: &Version,
    definition: &Definition,
    before: u64,
) -> Result<(), StoreError> {
    let changed = tx.execute(
        sql!(
            "UPDATE versions SET definition = $4, digest = $5, changelog = $6, author_ids = $7, updated_at = $8,
                                 revision = $9
              WHERE tenant_id = $1 AND version_id = $2 AND revision = $3 AND status = 'draft'"
        ),
        values![
            &version.id,
            before,
            definition.canonical(),
            definition.digest(),
            version.changelog.as_str(),
            &version.authors,
            version.updated_at,
            version.revision,
        ],
    )?;
    one(changed)
}

/// Saves how far a version has come, provided that it still is where it was read and says what it said.
pub(crate) fn save_state(tx: &mut WriteTx<'_>, version: &Version, before: u64) -> Result<(), StoreError> {
    let changed = tx.execute(
        sql!(
            "UPDATE versions SET status = $5, review_id = $6, updated_at = $7, published_at = $8, revision = $9
              WHERE tenant_id = $1 AND version_id = $2 AND revision = $3 AND digest = $4"
        ),
        values![
            &version.id,
            before,
            version.digest.as_str(),
            version.status,
            version.review.clone(),
            version.updated_at,
            version.published_at,
            version.revision,
        ],
    )?;
    one(changed)
}

pub(crate) fn version(tx: &mut ReadTx<'_>, id: &VersionId) -> Result<Option<Version>, StoreError> {
    tx.optional(
        sql!(
            "SELECT version_id, agent_id, number, status, digest, changelog, created_by, author_ids, review_id,
                    created_at, updated_at, published_at, revision
               FROM versions WHERE tenant_id = $1 AND version_id = $2"
        ),
        values![id],
        read_version,
    )
}

pub(crate) fn versions(
    tx: &mut ReadTx<'_>,
    agent: &AgentId,
    listing: &VersionListing,
) -> Result<Vec<Version>, StoreError> {
    let after = listing.after.as_ref().map_or("", |cursor| cursor.key());
    tx.all(
        sql!(
            "SELECT version_id, agent_id, number, status, digest, changelog, created_by, author_ids, review_id,
                    created_at, updated_at, published_at, revision
               FROM versions WHERE tenant_id = $1 AND agent_id = $2 AND version_id > $3
              ORDER BY version_id LIMIT $4"
        ),
        values![agent, after, listing.size.limit()],
        read_version,
    )
}

/// The version of an agent that runs.
pub(crate) fn running(tx: &mut ReadTx<'_>, agent: &AgentId) -> Result<Option<Version>, StoreError> {
    tx.optional(
        sql!(
            "SELECT version_id, agent_id, number, status, digest, changelog, created_by, author_ids, review_id,
                    created_at, updated_at, published_at, revision
               FROM versions WHERE tenant_id = $1 AND agent_id = $2 AND status = 'published'"
        ),
        values![agent],
        read_version,
    )
}

/// The version of an agent with that number.
pub(crate) fn numbered(tx: &mut ReadTx<'_>, agent: &AgentId, number: &Number) -> Result<Option<VersionId>, StoreError> {
    tx.optional(
        sql!("SELECT version_id FROM versions WHERE tenant_id = $1 AND agent_id = $2 AND number = $3"),
        values![agent, number],
        Row::get,
    )
}

/// What a version does, if it is what its digest names; whoever altered it in the database altered it in vain.
pub(crate) fn definition(tx: &mut ReadTx<'_>, id: &VersionId) -> Result<Option<Definition>, StoreError> {
    tx.optional(
        sql!("SELECT definition, digest FROM versions WHERE tenant_id = $1 AND version_id = $2"),
        values![id],
        read_definition,
    )
}

pub(crate) fn published(tx: &mut ReadTx<'_>) -> Result<Vec<Published>, StoreError> {
    tx.all(
        sql!(
            "SELECT a.agent_id, a.name, v.version_id, v.number, v.definition, v.digest
               FROM versions v JOIN agents a ON a.tenant_id = v.tenant_id AND a.agent_id = v.agent_id
              WHERE v.tenant_id = $1 AND v.status = 'published' ORDER BY a.agent_id"
        ),
        values![],
        |row| {
            let (agent_id, agent_name, version_id, number) = (row.get()?, row.get()?, row.get()?, row.get()?);
            let definition = read_definition(row)?;
            let digest = definition.digest().to_owned();
            Ok(Published { agent_id, agent_name, version_id, number, digest, definition })
        },
    )
}

fn read_agent(row: &mut Row) -> Result<Agent, StoreError> {
    let (id, name, description, category) = (row.get()?, row.get()?, row.get()?, row.get()?);
    let (tags, owner) = (row.get()?, row.get()?);
    let (version, number): (Option<VersionId>, Option<Number>) = (row.get()?, row.get()?);
    let current = version.zip(number).map(|(id, number)| Current { id, number });
    let (created_at, updated_at, revision) = (row.get()?, row.get()?, row.get()?);
    Ok(Agent { id, name, description, category, tags, owner, current, created_at, updated_at, revision })
}

fn read_version(row: &mut Row) -> Result<Version, StoreError> {
    Ok(Version {
        id: row.get()?,
        agent_id: row.get()?,
        number: row.get()?,
        status: row.get::<Status>()?,
        digest: row.get()?,
        changelog: row.get()?,
        created_by: row.get()?,
        authors: row.get::<Authors>()?,
        review: row.get()?,
        created_at: row.get::<Timestamp>()?,
        updated_at: row.get()?,
        published_at: row.get()?,
        revision: row.get()?,
    })
}

fn read_definition(row: &mut Row) -> Result<Definition, StoreError> {
    Definition::stored(row.get()?, row.get()?).ok_or(StoreError::Decode("the definition that its digest names"))
}

/// What an agent is found by, in lower case. Kept in a column, because engines do not agree on lower case.
fn search(agent: &Agent) -> String {
    format!("{}\n{}\n{}", agent.name, agent.description, agent.tags).to_lowercase()
}

/// `text` within a pattern, meaning itself.
fn literally(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn one(changed: u64) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict("the row was changed meanwhile".to_owned())) }
}
