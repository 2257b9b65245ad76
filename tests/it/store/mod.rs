//! The store on real databases: every body runs on SQLite and on PostgreSQL and must see the same.

mod cards;
mod full_disk;
mod idempotency;
mod kill;
mod lists;
mod log;
mod measure;
mod projections;
mod quality;
mod samples;
mod sessions;
mod site;
mod trouble;
mod upkeep;
