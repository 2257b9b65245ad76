//! A stream as a listener hears it, with whatever packets at whatever time: eight bytes say what comes next and when, and
//! as many follow as it says are the payload. Nothing panics, every frame is filled, and nothing grows without end.

use std::time::Duration;

use perezvon::media::codec::Codec;
use perezvon::media::listening::Listening;
use perezvon::types::Time;

/// Enough for every way of the state; the rest would only repeat.
const MOST_STEPS: usize = 400;
const MOST_DELAY_MS: u32 = 2000;

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    let out_hz = if bytes.first().is_some_and(|byte| byte & 1 == 1) { 16_000 } else { 8000 };
    let mut listening = Listening::new(out_hz);
    let mut out = vec![0; out_hz as usize / 50];
    let (mut now, mut rest, mut frames) = (Time::ZERO, bytes, 0);
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    for _ in 0..MOST_STEPS {
        let Some((&[kind, wait, seq_step, time_step, far, ssrc, len_high, len_low], after)) = rest.split_first_chunk() else {
            break;
        };
        rest = after;
        now = now + Duration::from_millis(u64::from(wait));
        if kind & 0x0c == 0 {
            listening.next_20ms(now, &mut out);
            frames += 1;
        }
        let codec = Codec::ALL[usize::from(kind & 3) % Codec::ALL.len()];
        let jump = u32::from(far) << 24;
        sequence = sequence.wrapping_add(u16::from(seq_step)).wrapping_sub(if kind & 0x10 != 0 { 256 } else { 0 });
        timestamp = timestamp.wrapping_add(u32::from(time_step) * 40).wrapping_add(if kind & 0x20 != 0 { jump } else { 0 });
        let len = usize::from(u16::from_be_bytes([len_high & 3, len_low])).min(rest.len());
        let (payload, after) = rest.split_at(len);
        rest = after;
        listening.packet(now, u32::from(ssrc >> 6), sequence, timestamp, codec, payload);
    }
    for _ in 0..5 {
        now = now + Duration::from_millis(20);
        listening.next_20ms(now, &mut out);
        frames += 1;
    }
    let stats = listening.stats(now);
    assert_eq!(stats.frames, frames);
    assert!(stats.concealed_frames <= frames && stats.delay_ms <= MOST_DELAY_MS, "{stats:?}");
}
