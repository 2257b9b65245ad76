//! The whole server as a process, with real SIP phones and real audio.

mod admin;
mod audibility;
mod baresip;
mod browser;
mod browsers;
mod calls;
mod codecs;
mod crash;
mod desk;
mod floor;
mod keypad;
mod load;
mod pops;
mod quality;
mod recorded;
mod restart;
mod secrecy;
mod softphone;
mod steering;
