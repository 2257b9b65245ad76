//! The relay on real UDP sockets: who hears whom, proved by ear. Each party plays its own tone.

mod bridging;
mod browsers;
mod guard;
mod guarded;
mod keys;
mod measure;
mod mixing;
mod page;
mod party;
mod playing;
mod ports;
mod ptime;
mod reports;
mod rig;
mod scores;
mod sdes;
mod talk_off;
mod taps;
pub mod webrtc_peer;
