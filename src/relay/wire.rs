//! How one leg's packets travel: on a port pair of its own, plain or with SDES keys, or on the browser port of its media
//! thread. It opens what comes, protects what goes, and picks the socket. What a packet means is the leg's business.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::browser::Browser;
use super::command::Secure;
use super::ports::{PortPair, reachable};
use crate::media::srtp::{Refusal, Srtp};

pub(super) enum Wire {
    Ports(Ports),
    Browser(Box<Browser>),
}

/// A port pair and what guards it.
pub(super) struct Ports {
    pub pair: PortPair,
    guard: Guard,
}

enum Guard {
    Plain,
    Srtp(Box<Srtp>),
    /// Keys were agreed that no context could be made of: nothing goes out, nothing comes in.
    Shut,
}

impl Wire {
    pub fn ports(pair: PortPair) -> Wire {
        Wire::Ports(Ports { pair, guard: Guard::Plain })
    }

    /// Signalling agreed on this. The same keys as before go on where they are.
    pub fn secure(&mut self, secure: &Secure) {
        let Wire::Ports(ports) = self else { return };
        ports.guard = match secure {
            Secure::None => Guard::Plain,
            Secure::Sdes { ours, theirs } => {
                if matches!(&ports.guard, Guard::Srtp(srtp) if srtp.has_keys(ours, theirs)) {
                    return;
                }
                Srtp::new(*ours, *theirs).map_or(Guard::Shut, |srtp| Guard::Srtp(Box::new(srtp)))
            }
            // Only a browser leg shakes hands.
            Secure::Dtls { .. } => Guard::Shut,
        };
    }

    /// Whether packets must prove themselves.
    pub fn is_secure(&self) -> bool {
        !matches!(self, Wire::Ports(Ports { guard: Guard::Plain, .. }))
    }

    /// Whether something can be sent, as far as keys go.
    pub fn is_ready(&self) -> bool {
        match self {
            Wire::Ports(ports) => !matches!(ports.guard, Guard::Shut),
            Wire::Browser(browser) => browser.srtp.is_some(),
        }
    }

    /// Whether RTCP shares the RTP port both ways. Browsers always do it (RFC 8834 §4.5).
    pub fn always_muxes(&self) -> bool {
        matches!(self, Wire::Browser(_))
    }

    fn srtp(&mut self) -> Result<Option<&mut Srtp>, Refusal> {
        match self {
            Wire::Ports(Ports { guard: Guard::Plain, .. }) => Ok(None),
            Wire::Ports(Ports { guard: Guard::Srtp(srtp), .. }) => Ok(Some(srtp)),
            Wire::Ports(Ports { guard: Guard::Shut, .. }) => Err(Refusal::Malformed),
            Wire::Browser(browser) => browser.srtp.as_deref_mut().map(Some).ok_or(Refusal::Early),
        }
    }

    /// Opens an RTP packet, into `room` if it is protected.
    pub fn open_rtp<'a>(&mut self, bytes: &'a [u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        self.srtp()?.map_or(Ok(bytes), |srtp| srtp.open_rtp(bytes, room))
    }

    /// Opens an RTCP packet, into `room` if it is protected.
    pub fn open_rtcp<'a>(&mut self, bytes: &'a [u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        self.srtp()?.map_or(Ok(bytes), |srtp| srtp.open_rtcp(bytes, room))
    }

    /// Protects the first `len` bytes of the buffer, which has `srtp::TAIL_BYTES` more, and returns the length to send.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        self.srtp().ok()?.map_or(Some(len), |srtp| srtp.protect_rtp(buffer, len))
    }

    /// The same for RTCP.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        self.srtp().ok()?.map_or(Some(len), |srtp| srtp.protect_rtcp(buffer, len))
    }

    pub fn send_rtp(&self, packet: &[u8], to: SocketAddr, bind: IpAddr) -> io::Result<usize> {
        self.rtp_socket().send_to(packet, reachable(to, bind))
    }

    /// `is_shared`: by rtcp-mux.
    pub fn send_rtcp(&self, packet: &[u8], to: SocketAddr, bind: IpAddr, is_shared: bool) -> io::Result<usize> {
        let socket = match self {
            Wire::Ports(ports) if !is_shared => &ports.pair.rtcp,
            _ => self.rtp_socket(),
        };
        socket.send_to(packet, reachable(to, bind))
    }

    fn rtp_socket(&self) -> &UdpSocket {
        match self {
            Wire::Ports(ports) => &ports.pair.rtp,
            Wire::Browser(browser) => &browser.socket,
        }
    }
}
