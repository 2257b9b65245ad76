-- What each agent was last, so that a restart can give it back. Only the log's writer writes here.
create table agent_states (
    agent text primary key,
    -- INTERFACES' agent state
    state text not null,
    reason text,
    at timestamptz not null
);

-- about when the last run ended
alter table log_state add column alive_at timestamptz;
