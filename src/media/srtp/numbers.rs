//! The numbers of the packets of one direction: the whole number of a packet that carries half of it, and whether it was
//! seen before. Only packets that proved their tag are noted. Plain values; called by the contexts of this folder.

/// Streams kept of one direction. A far end that names more than these has its oldest forgotten; only packets with a right
/// tag come so far.
pub(super) const STREAMS: usize = 8;

/// The packet numbers of each SSRC: the highest, and which of the 64 up to it were seen (RFC 3711 §3.3).
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) list: [Option<Stream>; STREAMS],
    /// Counts packets, to find the stream that was not heard for longest.
    packets: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Stream {
    ssrc: u32,
    top: u64,
    /// Bit n: `top` − n.
    seen: u64,
    noted: u64,
}

impl Numbers {
    /// The whole number of a packet, of which it carries the last 16 bits (RFC 3711 appendix A). `None`: an unknown
    /// stream; `Some(None)`: a number before its beginning.
    pub fn guess(&self, ssrc: u32, sequence: u16) -> Option<Option<u64>> {
        let top = self.stream(ssrc)?.top;
        let ahead = sequence.wrapping_sub(top as u16);
        Some(if ahead < 1 << 15 { Some(top + u64::from(ahead)) } else { top.checked_sub(u64::from(ahead.wrapping_neg())) })
    }

    pub fn is_new(&self, ssrc: u32, index: u64) -> bool {
        let Some(stream) = self.stream(ssrc) else { return true };
        stream.top.checked_sub(index).is_none_or(|behind| behind < 64 && stream.seen >> behind & 1 == 0)
    }

    pub fn note(&mut self, ssrc: u32, index: u64) {
        self.packets += 1;
        let noted = self.packets;
        if let Some(stream) = self.list.iter_mut().flatten().find(|stream| stream.ssrc == ssrc) {
            if let Some(ahead) = index.checked_sub(stream.top) {
                stream.seen = if ahead < 64 { stream.seen << ahead | 1 } else { 1 };
                stream.top = index;
            } else {
                // Less than 64 by `is_new`.
                stream.seen |= 1u64.checked_shl((stream.top - index) as u32).unwrap_or(0);
            }
            stream.noted = noted;
        } else if let Some(place) = self.list.iter_mut().min_by_key(|place| place.map_or(0, |stream| stream.noted)) {
            *place = Some(Stream { ssrc, top: index, seen: 1, noted });
        }
    }

    fn stream(&self, ssrc: u32) -> Option<&Stream> {
        self.list.iter().flatten().find(|stream| stream.ssrc == ssrc)
    }
}
