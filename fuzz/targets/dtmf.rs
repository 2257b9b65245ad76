//! Packets of a telephone-event stream (RFC 4733), any of them in any order: six bytes a packet, of which two are RTP time
//! and four the payload. Nothing panics, and no more keys are told than packets came.

use perezvon::media::dtmf::{DigitReader, KeyTone, TelephoneEvent};

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    let mut reader = DigitReader::default();
    let (mut packets, mut keys) = (0, 0);
    let mut timestamp = 0_u32;
    for packet in bytes.chunks(6) {
        let Some((&[step, flags], payload)) = packet.split_first_chunk() else { return };
        let Some(event) = TelephoneEvent::parse(payload) else { return };
        let written = event.to_bytes();
        assert_eq!(TelephoneEvent::parse(&written), Some(event));
        // Forward, backward, or far away; another stream now and then.
        timestamp = match flags & 3 {
            0 => timestamp,
            1 => timestamp.wrapping_add(u32::from(step) * 160),
            2 => timestamp.wrapping_sub(u32::from(step) * 160),
            _ => timestamp.wrapping_mul(0x9e37_79b9).wrapping_add(u32::from(step)),
        };
        packets += 1;
        if let Some(key) = reader.packet(u32::from(flags >> 7), timestamp, event) {
            keys += 1;
            assert_eq!(TelephoneEvent::event_of(key), Some(event.event));
        }
        assert_eq!(reader.packet(u32::from(flags >> 7), timestamp, event), None, "a copy is no new key");
        // The same tone again and again tells nothing new.
        if packets <= 2
            && let Some(mut tone) = KeyTone::new(event.event, event.volume, 8000)
        {
            tone.fill(&mut [0; 160], event.is_end);
        }
    }
    assert!(keys <= packets);
}
