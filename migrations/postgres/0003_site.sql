-- The set-up as items; what they mean is the site file's business.

create table site_items (
    kind text collate "C" not null,
    name text collate "C" not null,
    body jsonb not null,
    primary key (kind, name)
);

create table site_version (
    id integer primary key check (id = 1),
    version bigint not null,
    changed_at timestamptz
);
insert into site_version (id, version) values (1, 0);
