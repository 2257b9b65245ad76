-- How the legs of a call sounded: one row a leg, written when its media closed.
create table call_quality (
    call_id uuid not null,
    leg_id bigint not null,
    -- LegQuality as JSON
    view text not null,
    primary key (call_id, leg_id)
);
