-- What an agent last was without a call: ready, break or offline. A call shows something else and does not change it.
alter table agent_states add column rest text not null default 'ready';
-- the break's
alter table agent_states add column rest_reason text;
