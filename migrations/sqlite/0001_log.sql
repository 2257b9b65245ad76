-- The event log and the rows that follow from it. Only the log's writer writes here.

create table log_state (
    id integer primary key check (id = 1),
    -- false while a server runs; still false at the next start means that it was killed
    stopped_clean boolean not null,
    -- the newest seq at the last clean stop: the log never goes back behind it, even when emptied
    last_seq integer not null,
    -- everything up to here was forgotten by retention
    trimmed_through integer not null
);
insert into log_state (id, stopped_clean, last_seq, trimmed_through) values (1, true, 0, 0);

create table events (
    seq integer primary key,
    at text not null,
    type text not null,
    call_id blob,
    agent text,
    queue text,
    -- the JSON as clients get it, seq included
    body text not null
);

create table calls (
    id blob primary key,
    kind text not null,
    state text not null,
    started_at text not null,
    ended_at text,
    agent text,
    queue text,
    trunk text,
    card_id blob,
    from_number text,
    to_number text not null,
    -- INTERFACES' Call as JSON
    view text not null
) without rowid;
create index calls_newest on calls (started_at, id);
create index calls_open on calls (started_at, id) where state <> 'ended';
create index calls_of_queue on calls (queue, started_at, id);
create index calls_of_card on calls (card_id, started_at, id);
create index calls_from_number on calls (from_number, started_at, id);
create index calls_to_number on calls (to_number, started_at, id);

-- who was a party or was offered the call
create table call_agents (
    call_id blob not null,
    agent text not null,
    primary key (call_id, agent)
) without rowid;
create index call_agents_by_agent on call_agents (agent, call_id);

create table recordings (
    id blob primary key,
    call_id blob not null,
    state text not null,
    started_at text not null,
    -- relative to recording.dir
    path text,
    -- INTERFACES' Recording as JSON
    view text not null
) without rowid;
create index recordings_newest on recordings (started_at, id);
create index recordings_open on recordings (started_at, id) where state = 'recording';
create index recordings_of_call on recordings (call_id);

create table timeline (
    id blob primary key,
    card_id blob not null,
    kind text not null,
    at text not null,
    -- one entry a call, on one card
    call_id blob unique
) without rowid;
create index timeline_of_card on timeline (card_id, at, id);
