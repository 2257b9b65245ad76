//! The endpoint: all of our SIP as one plain value. Messages and times come in, bytes and events go out; inside are the
//! transactions, the dialogs as legs, the registrar and the guard at the door. One task of `engine` owns it, feeds it
//! what `transport` receives, and drains `poll` after every call. It knows legs, not calls: what to do with a leg is
//! told to it by commands.

mod api;
mod config;
mod directory;
mod penalties;
mod timers;

use std::sync::Arc;

pub use api::{
    Body, Command, CommandError, Dial, DialTarget, Event, Failure, Identity, LocalFailure, Origin, Output, SendFailure,
};
pub use config::{Addressing, EndpointConfig, Limits, Listener, Subnet};
pub use directory::{Directory, DirectoryUser};

use crate::sip::wire::{Flow, Message, ParseError};
use crate::types::Time;

/// See the module.
pub struct Endpoint {
    config: EndpointConfig,
    directory: Arc<Directory>,
}

impl Endpoint {
    /// `seed` must be unguessable: tags, branches and nonces grow from it.
    pub fn new(config: EndpointConfig, directory: Arc<Directory>, seed: u64) -> Endpoint {
        let _ = seed;
        Endpoint { config, directory }
    }

    /// Takes a new set-up into use: users who are gone lose their phones, trunks who are gone their calls' future.
    pub fn set_directory(&mut self, now: Time, directory: Arc<Directory>) {
        let _ = now;
        self.directory = directory;
    }

    /// A message came through `flow`.
    pub fn received(&mut self, now: Time, flow: Flow, message: Result<Message, ParseError>) {
        let _ = (now, flow, message, &self.config);
    }

    /// A connection has closed, for whatever reason.
    pub fn flow_closed(&mut self, now: Time, flow: &Flow) {
        let _ = (now, flow);
    }

    /// Bytes for `to` could not be sent.
    pub fn send_failed(&mut self, now: Time, to: &Flow, failure: SendFailure) {
        let _ = (now, to, failure);
    }

    /// Carries out a wish of the engine, or says why not; then nothing has happened.
    pub fn command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        let _ = (now, command);
        Err(CommandError::NoSuchLeg)
    }

    /// Fires everything due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// When `handle_timeout` wants to be called; perhaps too early, never too late.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// The next thing to send or to hear. Drain it after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }
}
