-- Who is signed in, and the answers to repeated POSTs.

create table sessions (
    id uuid primary key,
    -- SHA-256 of the token; the token itself is nowhere
    token_hash bytea not null unique,
    login text not null,
    kind text not null,
    created_at timestamptz not null,
    expires_at timestamptz
);
create index sessions_of_login on sessions (login);
create index sessions_expiry on sessions (expires_at);

create table idempotency_keys (
    login text not null,
    key text not null,
    -- SHA-256 of method, path and body
    request_hash bytea not null,
    -- null while the first request runs
    status integer,
    body text,
    created_at timestamptz not null,
    primary key (login, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
