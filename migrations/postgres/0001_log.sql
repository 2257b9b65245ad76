-- The event log and the rows that follow from it. Only the log's writer writes here.

create table log_state (
    id integer primary key check (id = 1),
    -- false while a server runs; still false at the next start means that it was killed
    stopped_clean boolean not null,
    -- the newest seq at the last clean stop: the log never goes back behind it, even when emptied
    last_seq bigint not null,
    -- everything up to here was forgotten by retention
    trimmed_through bigint not null
);
insert into log_state (id, stopped_clean, last_seq, trimmed_through) values (1, true, 0, 0);

create table events (
    seq bigint primary key,
    at timestamptz not null,
    type text not null,
    call_id uuid,
    agent text,
    queue text,
    -- the JSON as clients get it, seq included; text, because it must come back byte for byte
    body text not null
);

create table calls (
    id uuid primary key,
    kind text not null,
    state text not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    agent text,
    queue text,
    trunk text,
    card_id uuid,
    from_number text,
    to_number text not null,
    -- INTERFACES' Call as JSON; text, because jsonb refuses \u0000, which a hostile caller may send
    view text not null
);
create index calls_newest on calls (started_at, id);
create index calls_open on calls (started_at, id) where state <> 'ended';
create index calls_of_queue on calls (queue, started_at, id);
create index calls_of_card on calls (card_id, started_at, id);
create index calls_from_number on calls (from_number, started_at, id);
create index calls_to_number on calls (to_number, started_at, id);

-- who was a party or was offered the call
create table call_agents (
    call_id uuid not null,
    agent text not null,
    primary key (call_id, agent)
);
create index call_agents_by_agent on call_agents (agent, call_id);

create table recordings (
    id uuid primary key,
    call_id uuid not null,
    state text not null,
    started_at timestamptz not null,
    -- relative to recording.dir
    path text,
    -- INTERFACES' Recording as JSON
    view text not null
);
create index recordings_newest on recordings (started_at, id);
create index recordings_open on recordings (started_at, id) where state = 'recording';
create index recordings_of_call on recordings (call_id);

create table timeline (
    id uuid primary key,
    card_id uuid not null,
    kind text not null,
    at timestamptz not null,
    -- one entry a call, on one card
    call_id uuid unique
);
create index timeline_of_card on timeline (card_id, at, id);
