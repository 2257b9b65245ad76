//! A SIP phone: registers, calls, is called, holds, presses keys, speaks a tone or a voice and remembers what it hears.
//! One task owns its signalling; each call has two more for its audio. It trusts nobody more than a phone on a desk does,
//! and shares with the server only the wire codec, the digest and the SDP bargain, not the endpoint.

mod agent; //    the task: commands and messages in, messages out
mod answers; //  requests that come in
mod call; //     the handle of one call
mod ear; //      what a call hears
mod leg; //      one dialog
mod requests; // requests that go out, and their answers
mod resend; //   sending again until it is answered
mod talk; //     the audio of one call

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

pub use call::{Change, Ended, PhoneCall, Progress};
pub use ear::Heard;
pub use talk::Says;

use crate::media::codec::Codec;
use crate::media::srtp::Profile;
use crate::sip::wire::Transport as Protocol;
use crate::site::Srtp;
use crate::transport::{BindError, Transport, TransportConfig};
use agent::{Agent, Command};

/// What kind of phone, and whose.
#[derive(Clone, Debug)]
pub struct PhoneSetup {
    /// The SIP server, or another phone.
    pub server: SocketAddr,
    /// Own address; port 0 takes any free one.
    pub local: SocketAddr,
    pub protocol: Protocol,
    /// User part of its address, and digest username.
    pub user: String,
    pub password: String,
    pub display: Option<String>,
    /// In order of preference; the two laws of G.711 when empty.
    pub codecs: Vec<Codec>,
    /// What it does with calls.
    pub answering: Answering,
    /// What it says on calls.
    pub says: Says,
    /// Whether its audio is protected, by keys in the SDP.
    pub srtp: Srtp,
    /// The only kind of protection that it knows; all when `None`.
    pub profile: Option<Profile>,
    /// Names comfort noise in its offers.
    pub comfort_noise: bool,
}

impl PhoneSetup {
    /// A phone of `user` on loopback UDP that answers at once and says nothing.
    pub fn new(server: SocketAddr, user: &str, password: &str) -> PhoneSetup {
        PhoneSetup {
            server,
            local: SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), 0),
            protocol: Protocol::Udp,
            user: user.into(),
            password: password.into(),
            display: None,
            codecs: Vec::new(),
            answering: Answering::After(Duration::ZERO),
            says: Says::Nothing,
            srtp: Srtp::Off,
            profile: None,
            comfort_noise: false,
        }
    }
}

/// What the phone does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// Rings this long, then answers.
    After(Duration),
    /// Rings until the caller gives up, or `PhoneCall::answer`.
    Rings,
    /// 486
    Busy,
    /// 603
    Declines,
    /// Says nothing at all, as if it were switched off.
    Dead,
}

/// Why the phone could not do it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PhoneError {
    #[error("{status} {phrase}")]
    Refused { status: u16, phrase: String },
    #[error("no answer from {0}")]
    NoAnswer(SocketAddr),
    #[error("the call has ended")]
    Ended,
    #[error("the phone is off")]
    Off,
    #[error("no sockets: {0}")]
    Sockets(String),
    #[error("the other side's SDP: {0}")]
    BadSdp(String),
    #[error("{0} is no address")]
    BadAddress(String),
    #[error("what was waited for did not come in time")]
    TooLate,
}

/// A phone that is switched on. Dropping it switches it off without a word to anyone, as pulling the plug does.
#[derive(Debug)]
pub struct Phone {
    commands: mpsc::Sender<Command>,
    incoming: mpsc::Receiver<PhoneCall>,
    address: SocketAddr,
    task: tokio::task::AbortHandle,
}

impl Phone {
    /// Opens its sockets and starts its task.
    pub fn switch_on(setup: PhoneSetup) -> Result<Phone, PhoneError> {
        let (udp, tcp) = match setup.protocol {
            Protocol::Udp => (vec![setup.local], vec![]),
            _ => (vec![], vec![setup.local]),
        };
        let config = TransportConfig { udp, tcp, limits: crate::transport::Limits::default() };
        let transport = Transport::bind(&config).map_err(|error: BindError| PhoneError::Sockets(error.to_string()))?;
        let address = transport.listeners.first().map(|listener| listener.address).ok_or(PhoneError::Off)?;
        // Both hold more than one phone has to say at once; a full one makes the phone's owner or its task wait.
        let (commands, inbox) = mpsc::channel(64);
        let (ringing, incoming) = mpsc::channel(64);
        let agent = Agent::new(setup, transport, address, ringing, commands.downgrade());
        let task = tokio::spawn(agent.run(inbox)).abort_handle();
        Ok(Phone { commands, incoming, address, task })
    }

    /// Its SIP address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Registers at the server, again and again before it runs out, until `unregister`.
    pub async fn register(&self, expires: Duration) -> Result<(), PhoneError> {
        self.ask(|reply| Command::Register { expires, reply }).await?
    }

    pub async fn unregister(&self) -> Result<(), PhoneError> {
        self.register(Duration::ZERO).await
    }

    /// Calls a number, an extension, or anything else that goes before the `@`.
    pub async fn dial(&self, to: &str) -> Result<PhoneCall, PhoneError> {
        self.ask(|reply| Command::Dial { to: to.into(), offers_late: false, reply }).await?
    }

    /// The same with an INVITE that says nothing of audio: the other side offers in its answer (RFC 3261 §13.2.1).
    pub async fn dial_without_offer(&self, to: &str) -> Result<PhoneCall, PhoneError> {
        self.ask(|reply| Command::Dial { to: to.into(), offers_late: true, reply }).await?
    }

    /// From now on.
    pub async fn set_answering(&self, answering: Answering) -> Result<(), PhoneError> {
        self.ask(|reply| Command::SetAnswering { answering, reply }).await
    }

    /// The next call that came in, whatever has become of it.
    pub async fn next_call(&mut self) -> Result<PhoneCall, PhoneError> {
        self.incoming.recv().await.ok_or(PhoneError::Off)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, PhoneError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| PhoneError::Off)?;
        answer.await.map_err(|_| PhoneError::Off)
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Shared by a call's handle and its tasks.
type SharedEar = Arc<ear::Ear>;
