-- Clients' cards. The row is whole; card_numbers and card_emails are the indexes into its lists.

create table cards (
    id uuid primary key,
    name text not null,
    company text,
    -- [{e164, kind, extension, is_shared}]
    numbers jsonb not null,
    -- [{email, kind}]
    emails jsonb not null,
    source text,
    owner text,
    language text,
    -- ["…"]
    tags jsonb not null,
    -- {name: value}
    fields jsonb not null,
    -- set while nobody has filled in a card made for an unknown caller: one stub a number
    stub_number text unique,
    -- name, company, numbers and mails in lower case
    search text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index cards_newest on cards (created_at, id);

create table card_numbers (
    e164 text not null,
    card_id uuid not null references cards (id) on delete cascade,
    primary key (e164, card_id)
);
create index card_numbers_of_card on card_numbers (card_id);

create table card_emails (
    email text not null,
    card_id uuid not null references cards (id) on delete cascade,
    primary key (email, card_id)
);
create index card_emails_of_card on card_emails (card_id);
