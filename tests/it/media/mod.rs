//! The relay on real UDP sockets: who hears whom, proved by ear. Each party plays its own tone.

mod bridging;
mod guard;
mod party;
mod playing;
mod ports;
mod reports;
mod rig;
mod taps;
