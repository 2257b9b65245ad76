-- Clients' cards. The row is whole; card_numbers and card_emails are the indexes into its lists.

create table cards (
    id blob primary key,
    name text not null,
    company text,
    -- [{e164, kind, extension, is_shared}]
    numbers text not null,
    -- [{email, kind}]
    emails text not null,
    source text,
    owner text,
    language text,
    -- ["…"]
    tags text not null,
    -- {name: value}
    fields text not null,
    -- set while nobody has filled in a card made for an unknown caller: one stub a number
    stub_number text unique,
    -- name, company, numbers and mails in lower case
    search text not null,
    created_at text not null,
    updated_at text not null
) without rowid;
create index cards_newest on cards (created_at, id);

create table card_numbers (
    e164 text not null,
    card_id blob not null references cards (id) on delete cascade,
    primary key (e164, card_id)
) without rowid;
create index card_numbers_of_card on card_numbers (card_id);

create table card_emails (
    email text not null,
    card_id blob not null references cards (id) on delete cascade,
    primary key (email, card_id)
) without rowid;
create index card_emails_of_card on card_emails (card_id);
