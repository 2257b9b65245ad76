//! The recorder with its real threads, on a real disk and in real time: many at once, killed, and on a disk that is full.

mod kill;
mod many;
mod room;
mod studio;
