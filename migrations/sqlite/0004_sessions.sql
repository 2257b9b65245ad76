-- Who is signed in, and the answers to repeated POSTs.

create table sessions (
    id blob primary key,
    -- SHA-256 of the token; the token itself is nowhere
    token_hash blob not null unique,
    login text not null,
    kind text not null,
    created_at text not null,
    expires_at text
) without rowid;
create index sessions_of_login on sessions (login);
create index sessions_expiry on sessions (expires_at);

create table idempotency_keys (
    login text not null,
    key text not null,
    -- SHA-256 of method, path and body
    request_hash blob not null,
    -- null while the first request runs
    status integer,
    body text,
    created_at text not null,
    primary key (login, key)
) without rowid;
create index idempotency_keys_age on idempotency_keys (created_at);
