-- What concerns the installation and no tenant.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- Raised with every change of what requests are decided by.
CREATE TABLE config_versions (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Keys of the tenant, wrapped by the root key.
CREATE TABLE tenant_keys (
    tenant_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

-- The ledger: one log for each tenant.
CREATE TABLE ledger_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    root BYTEA NOT NULL,
    frontier BYTEA NOT NULL,
    last_at BIGINT
);

CREATE TABLE ledger_entries (
    tenant_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    leaf BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX ledger_entries_resource ON ledger_entries (tenant_id, resource_id, seq);

-- Sealed, and kept apart from the leaves so that they can go.
CREATE TABLE ledger_payloads (
    tenant_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);

CREATE TABLE ledger_tiles (
    tenant_id TEXT NOT NULL,
    level BIGINT NOT NULL,
    idx BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, level, idx)
);

CREATE TABLE ledger_checkpoints (
    tenant_id TEXT NOT NULL,
    size BIGINT NOT NULL,
    root BYTEA NOT NULL,
    note TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, size)
);

-- Answers to requests that carried an idempotency key.
CREATE TABLE idempotency_keys (
    tenant_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status BIGINT NOT NULL,
    body BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, principal, key)
);
CREATE INDEX idempotency_keys_at ON idempotency_keys (tenant_id, at);

-- Identity.
-- `roles` is what counts: the roles given to the user itself (`own_roles`) and those of its groups.
CREATE TABLE users (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'service')),
    username TEXT NOT NULL,
    display_name TEXT,
    email TEXT,
    external_id TEXT,
    attributes TEXT NOT NULL DEFAULT '{}',
    own_roles TEXT NOT NULL DEFAULT '',
    roles TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'deactivated')),
    epoch BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    UNIQUE (tenant_id, username)
);

-- The roles that a tenant defines besides the system's.
CREATE TABLE custom_roles (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE user_groups (
    tenant_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    external_id TEXT,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, group_id),
    UNIQUE (tenant_id, display_name)
);

CREATE TABLE group_members (
    tenant_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, group_id, user_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES user_groups (tenant_id, group_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);
CREATE INDEX group_members_user ON group_members (tenant_id, user_id);

-- Who else may say who somebody is, in this tenant and in no other.
CREATE TABLE identity_providers (
    tenant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    client_secret BYTEA,
    status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, provider_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE provider_links (
    tenant_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    subject_hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, provider_id, subject_hash),
    FOREIGN KEY (tenant_id, provider_id) REFERENCES identity_providers (tenant_id, provider_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);
CREATE INDEX provider_links_user ON provider_links (tenant_id, user_id);

CREATE TABLE passwords (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    set_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    handle TEXT NOT NULL,
    user_id TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    method TEXT NOT NULL CHECK (method IN ('password', 'oidc')),
    provider_id TEXT,
    issued_by TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    roles TEXT NOT NULL,
    network TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, session_id),
    UNIQUE (tenant_id, handle),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);

-- Tokens that are refused before their time is over.
CREATE TABLE revoked_tokens (
    tenant_id TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
);

-- Agents: keys may be for one.
CREATE TABLE agents (
    tenant_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    tags TEXT NOT NULL,
    search TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);

CREATE TABLE api_keys (
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    last4 TEXT NOT NULL,
    scopes TEXT,
    agent_id TEXT,
    networks TEXT NOT NULL DEFAULT '',
    issued_by TEXT NOT NULL DEFAULT '',
    previous_hash BYTEA,
    previous_issued_by TEXT,
    previous_until BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    revoked_at BIGINT,
    revision BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, key_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, agent_id)
);
CREATE INDEX api_keys_user ON api_keys (tenant_id, user_id);

-- Policies as code. A version is never edited; which one decides, and which one is only tried, stands beside them.
CREATE TABLE policy_versions (
    tenant_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    digest TEXT NOT NULL,
    source TEXT NOT NULL,
    tests TEXT NOT NULL,
    note TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, number)
);

CREATE TABLE policy_state (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    active BIGINT,
    previous BIGINT,
    shadow BIGINT,
    revision BIGINT NOT NULL
);

-- Approvals. Nobody decides on their own request, on their own work, or twice: the schema refuses it.
CREATE TABLE approval_workflows (
    tenant_id TEXT NOT NULL,
    workflow_id TEXT NOT NULL,
    request_type TEXT NOT NULL,
    name TEXT NOT NULL,
    required_approvers BIGINT NOT NULL CHECK (required_approvers BETWEEN 1 AND 20),
    approver_roles TEXT NOT NULL,
    expire_hours BIGINT NOT NULL CHECK (expire_hours BETWEEN 1 AND 8760),
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id),
    UNIQUE (tenant_id, request_type)
);

CREATE TABLE approval_requests (
    tenant_id TEXT NOT NULL,
    review_id TEXT NOT NULL,
    request_type TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    about TEXT NOT NULL,
    digest TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    author_ids TEXT NOT NULL,
    workflow_id TEXT,
    workflow_revision BIGINT NOT NULL,
    required_approvers BIGINT NOT NULL CHECK (required_approvers BETWEEN 1 AND 20),
    approver_roles TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'cancelled', 'expired')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_at BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, review_id),
    UNIQUE (tenant_id, review_id, requester_id, author_ids)
);
CREATE INDEX approval_requests_resource ON approval_requests (tenant_id, resource_id);
CREATE UNIQUE INDEX approval_requests_pending ON approval_requests (tenant_id, resource_id) WHERE status = 'pending';

CREATE TABLE approval_decisions (
    tenant_id TEXT NOT NULL,
    review_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    requester_id TEXT NOT NULL,
    author_ids TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'reject')),
    comment TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, review_id, user_id),
    FOREIGN KEY (tenant_id, review_id, requester_id, author_ids)
        REFERENCES approval_requests (tenant_id, review_id, requester_id, author_ids),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id),
    CHECK (user_id <> requester_id AND strpos(',' || author_ids || ',', ',' || user_id || ',') = 0)
);

-- Approvals of what is allowed once, when it was done.
CREATE TABLE approval_uses (
    tenant_id TEXT NOT NULL,
    review_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, review_id),
    FOREIGN KEY (tenant_id, review_id) REFERENCES approval_requests (tenant_id, review_id)
);

-- The versions of agents.
CREATE TABLE versions (
    tenant_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    number TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('draft', 'pending_approval', 'approved', 'published', 'deprecated', 'archived')),
    definition TEXT NOT NULL,
    digest TEXT NOT NULL,
    changelog TEXT NOT NULL,
    created_by TEXT NOT NULL,
    author_ids TEXT NOT NULL,
    review_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    published_at BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, version_id),
    UNIQUE (tenant_id, agent_id, number),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, agent_id)
);
-- Only one version of an agent runs.
CREATE UNIQUE INDEX versions_published ON versions (tenant_id, agent_id) WHERE status = 'published';

-- Usage and cost. Records are never edited.
CREATE TABLE usage_records (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    agent_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    model TEXT NOT NULL,
    price_id TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    input_nanos BIGINT NOT NULL,
    cached_nanos BIGINT NOT NULL,
    output_nanos BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    measure TEXT NOT NULL CHECK (measure IN ('reported', 'estimated', 'held')),
    PRIMARY KEY (tenant_id, call_id)
);
CREATE INDEX usage_records_at ON usage_records (tenant_id, at, call_id);

-- Sums of the records, kept in the same transactions. A call whose end is not known costs what was held for it: its
-- cost has no kinds of tokens.
CREATE TABLE usage_rollups (
    tenant_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    agent_id TEXT NOT NULL,
    model TEXT NOT NULL,
    price_id TEXT NOT NULL,
    calls BIGINT NOT NULL,
    unknown_calls BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    input_nanos BIGINT NOT NULL,
    cached_nanos BIGINT NOT NULL,
    output_nanos BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, agent_id, model, price_id)
);

CREATE TABLE prices (
    tenant_id TEXT NOT NULL,
    price_id TEXT NOT NULL,
    model TEXT NOT NULL,
    input_nanos BIGINT NOT NULL CHECK (input_nanos >= 0),
    cached_nanos BIGINT NOT NULL CHECK (cached_nanos >= 0),
    output_nanos BIGINT NOT NULL CHECK (output_nanos >= 0),
    max_output_tokens BIGINT NOT NULL CHECK (max_output_tokens > 0),
    effective_from BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, price_id),
    UNIQUE (tenant_id, model, effective_from)
);

CREATE TABLE budgets (
    tenant_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('tenant', 'agent', 'user')),
    scope_id TEXT NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month', 'total')),
    limit_nanos BIGINT NOT NULL CHECK (limit_nanos >= 0),
    status TEXT NOT NULL CHECK (status IN ('active', 'closed')),
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, budget_id),
    UNIQUE (tenant_id, name)
);

-- What is spent and what nodes have set aside, by period; the sum of both never passes the limit.
CREATE TABLE budget_periods (
    tenant_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    settled_nanos BIGINT NOT NULL CHECK (settled_nanos >= 0),
    leased_nanos BIGINT NOT NULL CHECK (leased_nanos >= 0),
    PRIMARY KEY (tenant_id, budget_id, period_start),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES budgets (tenant_id, budget_id)
);

CREATE TABLE budget_leases (
    tenant_id TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    node_id TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (tenant_id, budget_id, period_start, node_id),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES budgets (tenant_id, budget_id)
);

-- Calls that were begun and have no end yet. After a crash each is closed as unknown, at the cost held for it.
CREATE TABLE open_calls (
    tenant_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    agent_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    model TEXT NOT NULL,
    price_id TEXT NOT NULL,
    held_nanos BIGINT NOT NULL,
    budgets TEXT NOT NULL,
    PRIMARY KEY (tenant_id, call_id)
);

-- What approvers look at stays what they looked at, and a decided request stays decided.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;
CREATE TRIGGER approval_requests_frozen
    BEFORE UPDATE OF request_type, resource_type, resource_id, about, digest, title, description, requester_id, author_ids,
        workflow_id, workflow_revision, required_approvers, approver_roles, created_at, expires_at ON approval_requests
    FOR EACH ROW EXECUTE FUNCTION refuse('a request for approval is not changed');
CREATE TRIGGER approval_requests_decided BEFORE UPDATE ON approval_requests
    FOR EACH ROW WHEN (OLD.status <> 'pending') EXECUTE FUNCTION refuse('a request is decided once');
CREATE TRIGGER versions_frozen
    BEFORE UPDATE OF agent_id, number, definition, digest, changelog, created_by, author_ids, created_at ON versions
    FOR EACH ROW WHEN (OLD.status <> 'draft') EXECUTE FUNCTION refuse('only a draft is changed');
