//! The whole server as a process, with real SIP phones and real audio.

mod calls;
mod crash;
mod floor;
mod load;
