//! The numbers kept for one leg: what came, what went, what was lost and how unevenly it arrived. Filled by the relay,
//! handed out when the leg closes, stored with the call. It measures nothing by itself.

/// One leg's media, from open to close.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// RTP packets accepted from the leg's own source.
    pub packets_received: u64,
    /// Their payload bytes.
    pub bytes_received: u64,
    /// RTP packets that were expected by sequence number and never came (RFC 3550 §A.3); late ones count as arrived.
    pub packets_lost: u64,
    /// Stretches that they make: as many as packets when each was lost alone.
    pub loss_gaps: u64,
    /// Frames of 20 ms of its audio made for listeners to whom its packets could not be passed on, and those of them that
    /// had to be made up.
    pub frames: u64,
    pub frames_concealed: u64,
    /// Interarrival jitter at the end (RFC 3550 §A.8), in milliseconds.
    pub jitter_ms: f32,
    /// The largest jitter seen.
    pub max_jitter_ms: f32,
    pub packets_sent: u64,
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Packets that the far end reported as lost in our stream; `None` when it never reported.
    pub remote_packets_lost: Option<u32>,
    /// Jitter that the far end reported last.
    pub remote_jitter_ms: Option<f32>,
    /// Round-trip time from the far end's last report (RFC 3550 §6.4.1).
    pub round_trip_ms: Option<f32>,
    /// Packets refused because they came from somebody else than the leg's source.
    pub strangers_refused: u64,
    /// Protected packets whose tag was wrong.
    pub packets_forged: u64,
    /// Protected packets that came a second time, or too late to tell.
    pub packets_replayed: u64,
    /// Times the source moved after it was first known (NAT rebinding, re-INVITE).
    pub source_changes: u32,
    /// Packets that could not be used: not RTP, unknown payload type, too long.
    pub packets_unusable: u64,
    /// Packets that the socket refused to take.
    pub send_failures: u64,
    /// Frames of a bridged peer on another media thread that found the ring between the threads full.
    pub frames_dropped: u64,
}

impl LegStats {
    /// The share of expected packets that never came, 0 to 1.
    pub fn loss_ratio(&self) -> f64 {
        let expected = self.packets_received + self.packets_lost;
        if expected == 0 { 0.0 } else { self.packets_lost as f64 / expected as f64 }
    }

    /// The share of frames rendered for its listeners that had to be made up, 0 to 1.
    pub fn concealed_ratio(&self) -> f64 {
        self.frames_concealed as f64 / self.frames.max(1) as f64
    }

    /// How much longer the stretches of lost packets are than they would be at random: 1 at random (G.107 §7.3, BurstR).
    pub fn burst_ratio(&self) -> f64 {
        if self.loss_gaps == 0 {
            return 1.0;
        }
        (self.packets_lost as f64 / self.loss_gaps as f64 * (1.0 - self.loss_ratio())).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_a_share_of_what_was_expected() {
        let stats = LegStats { packets_received: 75, packets_lost: 25, ..LegStats::default() };
        assert_eq!(stats.loss_ratio(), 0.25);
        assert_eq!(LegStats::default().loss_ratio(), 0.0);
    }

    #[test]
    fn losses_that_stand_together_are_told_from_those_apart() {
        let lost = |loss_gaps| LegStats { packets_received: 900, packets_lost: 100, loss_gaps, ..LegStats::default() };
        assert_eq!(lost(10).burst_ratio(), 9.0);
        assert_eq!(lost(90).burst_ratio(), 1.0, "at random gaps are 1.11 packets long");
        assert_eq!(lost(0).burst_ratio(), 1.0);
        // Packets that came late took losses back, but not their gaps.
        assert_eq!(lost(400).burst_ratio(), 1.0);
    }
}
