//! Browsers' pages without browsers: those of the tests, which shake hands by ICE and DTLS, and their keys for the crowd.

#[path = "../../tests/it/media/guarded.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod guarded;
#[path = "../../tests/it/media/page.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod page;
#[path = "../../tests/it/media/party.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod party;
#[path = "../../tests/it/media/rig.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod rig;

use std::ops::RangeInclusive;

use perezvon::media::codec::Codec;
use perezvon::relay::{MediaId, Relay, RelayConfig};

use crate::crowd::Crowd;
use crate::far_ends::Keys;
use page::Page;
use rig::Rig;

/// A relay that browsers can call.
pub struct Browsers(Rig);

impl Browsers {
    pub fn new(ports: RangeInclusive<u16>) -> Browsers {
        Browsers(Rig::wide(ports, RelayConfig::default()))
    }

    pub fn relay(&self) -> &Relay {
        &self.0.relay
    }

    /// A page of PCMA comes through its handshake; from now on the crowd speaks for it.
    pub fn arrive(&self, crowd: &mut Crowd) -> MediaId {
        let page = Page::arrive(&self.0, 0, Codec::Pcma, 440.0);
        let [ours, theirs] = page.stream.keys.expect("it has come through");
        crowd.add_with_socket(page.stream.socket, page.stream.to, Keys { ours, theirs });
        page.id
    }
}
