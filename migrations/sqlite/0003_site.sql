-- The set-up as items; what they mean is the site file's business.

create table site_items (
    kind text not null,
    name text not null,
    body text not null,
    primary key (kind, name)
) without rowid;

create table site_version (
    id integer primary key check (id = 1),
    version integer not null,
    changed_at text
);
insert into site_version (id, version) values (1, 0);
