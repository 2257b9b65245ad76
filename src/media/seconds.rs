//! How a leg fared, second by second, in eight bytes each: for a picture of a call's quality that shows when it was bad.
//! It is bounded: what half an hour fills at one second a point is from then on two seconds a point, then four. It
//! measures nothing: the relay tells it the leg's counters once a second.

use super::codec::Codec;
use super::emodel::{self, Measured};

/// Points kept. When they are full, two become one.
pub const MOST_POINTS: usize = 1800;
/// Bytes of one point.
pub const POINT_BYTES: usize = 8;

/// The counters of a leg, which only grow, and its present figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Packets received, and those that never came.
    pub received: u64,
    pub lost: u64,
    /// Stretches of consecutive packets that never came.
    pub gaps: u64,
    /// Frames of 20 ms given to a listener that was rendered, and those of them that were made up.
    pub frames: u64,
    pub concealed: u64,
    /// What the far end said it lost of our packets, and how many it should have had by that report.
    pub remote_lost: Option<u64>,
    pub remote_expected: u64,
    pub jitter_ms: f32,
    pub round_trip_ms: Option<f32>,
}

/// One point of the picture. Shares are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Packets received a second, up to 255.
    pub received: u8,
    pub loss: f32,
    /// Of our stream, as far as the far end reported in that second.
    pub remote_loss: Option<f32>,
    /// Of frames that a listener got.
    pub concealed: f32,
    /// Up to 255.
    pub jitter_ms: u8,
    /// In steps of 4 ms, up to a second.
    pub round_trip_ms: Option<u16>,
    /// The mean length of a gap, in packets; 0 without one.
    pub gap: u8,
    /// Mean opinion score of what came from the leg; `None` when nothing came.
    pub mos: Option<f32>,
}

/// Shares are kept in steps of 0.4 %.
const SHARE_STEPS: f32 = 250.0;
/// Scores are kept in steps of 0.02.
const SCORE_STEPS: f32 = 50.0;
const ROUND_TRIP_STEP_MS: f32 = 4.0;
/// A value that is not known.
const UNKNOWN: u8 = 255;
/// What the far ear's jitter buffer adds at least.
const EAR_MS: f64 = 40.0;

impl Point {
    fn to_bytes(self) -> [u8; POINT_BYTES] {
        // `as` saturates.
        let share = |share: f32| (share.clamp(0.0, 1.0) * SHARE_STEPS).round() as u8;
        let round_trip = |ms: u16| (f32::from(ms) / ROUND_TRIP_STEP_MS).round().min(254.0) as u8;
        [
            self.received,
            share(self.loss),
            self.remote_loss.map_or(UNKNOWN, share),
            share(self.concealed),
            self.jitter_ms,
            self.round_trip_ms.map_or(UNKNOWN, round_trip),
            self.gap,
            self.mos.map_or(UNKNOWN, |mos| (mos * SCORE_STEPS).round().min(254.0) as u8),
        ]
    }

    fn from_bytes(bytes: [u8; POINT_BYTES]) -> Point {
        let [received, loss, remote_loss, concealed, jitter_ms, round_trip, gap, mos] = bytes;
        let share = |byte: u8| (f32::from(byte) / SHARE_STEPS).min(1.0);
        let known = |byte: u8| Some(byte).filter(|byte| *byte != UNKNOWN);
        Point {
            received,
            loss: share(loss),
            remote_loss: known(remote_loss).map(share),
            concealed: share(concealed),
            jitter_ms,
            round_trip_ms: known(round_trip).map(|steps| u16::from(steps) * ROUND_TRIP_STEP_MS as u16),
            gap,
            mos: known(mos).map(|steps| f32::from(steps) / SCORE_STEPS),
        }
    }

    /// Two seconds as one: shares are averaged, and the rest is the worse of the two, so that no trouble is hidden.
    fn merged(self, other: Point) -> Point {
        let worst = |a: Option<f32>, b: Option<f32>, pick: fn(f32, f32) -> f32| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        let packets = [self, other].map(|point| f32::from(point.received).max(1.0));
        let average = |a: f32, b: f32| (a * packets[0] + b * packets[1]) / (packets[0] + packets[1]);
        Point {
            received: self.received.midpoint(other.received),
            loss: average(self.loss, other.loss),
            remote_loss: worst(self.remote_loss, other.remote_loss, |a, b| (a + b) / 2.0),
            concealed: (self.concealed + other.concealed) / 2.0,
            jitter_ms: self.jitter_ms.max(other.jitter_ms),
            round_trip_ms: self.round_trip_ms.max(other.round_trip_ms),
            gap: self.gap.max(other.gap),
            mos: worst(self.mos, other.mos, f32::min),
        }
    }
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Seconds {
    points: Vec<[u8; POINT_BYTES]>,
    /// Seconds of a point.
    step: u32,
    /// The point that is being made, and the seconds in it.
    open: Option<(Point, u32)>,
    before: Counters,
}

impl Default for Seconds {
    fn default() -> Seconds {
        Seconds { points: Vec::new(), step: 1, open: None, before: Counters::default() }
    }
}

impl Seconds {
    /// Another second is over. `codec` is what the leg speaks; the counters are those of the whole leg.
    pub fn second(&mut self, codec: Codec, now: Counters) {
        let point = judge(codec, &self.before, &now);
        self.before = now;
        let (point, seconds) = match self.open.take() {
            Some((open, seconds)) => (open.merged(point), seconds + 1),
            None => (point, 1),
        };
        if seconds == self.step && self.points.len() >= MOST_POINTS {
            self.halve();
        }
        if seconds < self.step {
            self.open = Some((point, seconds));
        } else {
            self.points.push(point.to_bytes());
        }
    }

    /// Seconds of one point: 1, 2, 4…
    pub fn step_seconds(&self) -> u32 {
        self.step
    }

    pub fn points(&self) -> impl Iterator<Item = Point> {
        self.points.iter().copied().map(Point::from_bytes)
    }

    /// As it is stored: the step in four bytes, then the points, equal ones that follow each other as one with their
    /// number before it. A leg without trouble has few different ones.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.step.to_be_bytes().to_vec();
        for equal in self.points.chunk_by(|a, b| a == b).flat_map(|equal| equal.chunks(u8::MAX.into())) {
            bytes.push(equal.len() as u8);
            bytes.extend(equal.iter().take(1).flatten());
        }
        bytes
    }

    /// What was stored; `None` for bytes that are none of ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Seconds> {
        let (step, points) = bytes.split_first_chunk()?;
        let step = u32::from_be_bytes(*step);
        let (runs, rest) = points.as_chunks::<{ 1 + POINT_BYTES }>();
        let count: usize = runs.iter().map(|[count, ..]| usize::from(*count)).sum();
        if !step.is_power_of_two() || !rest.is_empty() || count > MOST_POINTS {
            return None;
        }
        let run = |[count, point @ ..]: &[u8; 1 + POINT_BYTES]| std::iter::repeat_n(*point, (*count).into());
        Some(Seconds { points: runs.iter().flat_map(run).collect(), step, ..Seconds::default() })
    }

    fn halve(&mut self) {
        let merged = |pair: &[[u8; POINT_BYTES]]| match pair {
            [one, other] => Point::from_bytes(*one).merged(Point::from_bytes(*other)).to_bytes(),
            [one, ..] => *one,
            [] => [0; POINT_BYTES],
        };
        self.points = self.points.chunks(2).map(merged).collect();
        self.step = self.step.saturating_mul(2);
    }
}

fn judge(codec: Codec, before: &Counters, now: &Counters) -> Point {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { (part as f32 / whole as f32).min(1.0) };
    let received = now.received.saturating_sub(before.received);
    // A packet that was late fills a gap of the second before: losses may shrink.
    let lost = now.lost.saturating_sub(before.lost);
    let gaps = now.gaps.saturating_sub(before.gaps);
    let loss = share(lost, received + lost);
    let concealed = share(now.concealed.saturating_sub(before.concealed), now.frames.saturating_sub(before.frames));
    let gap = if gaps == 0 { 0.0 } else { lost as f32 / gaps as f32 };
    // Reports come every few seconds, and each is about all the packets since the one before.
    let reported = now.remote_expected.saturating_sub(before.remote_expected);
    let remote_lost = now.remote_lost.map(|lost| lost.saturating_sub(before.remote_lost.unwrap_or(0)));
    let measured = Measured {
        loss: f64::from(loss.max(concealed)),
        // At random, gaps are 1 / (1 - loss) long on average (G.107 §7.3).
        burst: f64::from(gap * (1.0 - loss)),
        delay_ms: f64::from(now.round_trip_ms.unwrap_or(0.0)) / 2.0 + EAR_MS + f64::from(now.jitter_ms),
        ..Measured::default()
    };
    Point {
        received: u8::try_from(received).unwrap_or(u8::MAX),
        loss,
        remote_loss: remote_lost.filter(|_| reported > 0).map(|lost| share(lost, reported)),
        concealed,
        // `as` saturates.
        jitter_ms: now.jitter_ms.round() as u8,
        round_trip_ms: now.round_trip_ms.map(|ms| ms.round() as u16),
        gap: gap.round() as u8,
        mos: (received > 0).then(|| emodel::score(emodel::rating(codec, measured)) as f32),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counters(second: u64, lost: u64, gaps: u64) -> Counters {
        Counters { received: 50 * second - lost, lost, gaps, jitter_ms: 3.0, ..Counters::default() }
    }

    #[test]
    fn a_bad_second_stands_out_and_the_next_one_is_good_again() {
        let mut seconds = Seconds::default();
        seconds.second(Codec::Pcma, counters(1, 0, 0));
        seconds.second(Codec::Pcma, counters(2, 10, 2));
        let report = Counters { round_trip_ms: Some(93.0), remote_lost: Some(15), remote_expected: 150, ..counters(3, 10, 2) };
        seconds.second(Codec::Pcma, report);
        seconds.second(Codec::Pcma, Counters { received: 190, ..report });
        let points: Vec<Point> = seconds.points().collect();
        assert_eq!((points[0].received, points[0].loss, points[0].jitter_ms, points[0].gap), (50, 0.0, 3, 0));
        assert!(points[0].mos.unwrap() > 4.3 && points[0].remote_loss.is_none() && points[0].round_trip_ms.is_none());
        assert_eq!((points[1].received, points[1].loss, points[1].gap), (40, 0.2, 5));
        assert!(points[1].mos.unwrap() < 2.0, "{points:?}");
        assert!(points[2].mos.unwrap() > 4.2, "{points:?}");
        assert_eq!((points[2].round_trip_ms, points[2].remote_loss), (Some(92), Some(0.1)), "it was about three seconds");
        assert_eq!((points[3].round_trip_ms, points[3].remote_loss), (Some(92), None), "no other report");
    }

    #[test]
    fn a_second_without_a_packet_has_no_score() {
        let mut seconds = Seconds::default();
        seconds.second(Codec::Opus, counters(1, 0, 0));
        seconds.second(Codec::Opus, counters(1, 0, 0));
        let last = seconds.points().last().unwrap();
        assert_eq!((last.received, last.mos), (0, None));
    }

    #[test]
    fn losses_at_once_are_worse_than_the_same_losses_apart() {
        let score = |gaps| {
            let mut seconds = Seconds::default();
            seconds.second(Codec::Pcma, counters(1, 6, gaps));
            seconds.points().last().and_then(|point| point.mos).unwrap()
        };
        assert!(score(1) < score(6));
    }

    #[test]
    fn a_day_takes_no_more_room_than_half_an_hour_and_hides_no_trouble() {
        let mut seconds = Seconds::default();
        for second in 1..=86_400_u64 {
            let lost = if second >= 40_000 { 25 } else { 0 };
            seconds.second(Codec::Pcma, counters(second, lost, lost));
        }
        assert_eq!(seconds.step_seconds(), 64);
        let points: Vec<Point> = seconds.points().collect();
        assert!((MOST_POINTS / 2..=MOST_POINTS).contains(&points.len()), "{}", points.len());
        let worst = points.iter().enumerate().min_by(|a, b| a.1.mos.unwrap().total_cmp(&b.1.mos.unwrap())).unwrap();
        assert_eq!(worst.0, 39_999 / 64, "the bad second is where it was");
        assert!(worst.1.mos.unwrap() < 2.0);
        assert!(seconds.to_bytes().len() < 100, "it was all the same but for one second: {}", seconds.to_bytes().len());
    }

    #[test]
    fn what_was_stored_is_read_back() {
        let mut seconds = Seconds::default();
        (1..4000).for_each(|second| seconds.second(Codec::G722, counters(second, second / 7, second / 9)));
        let read = Seconds::from_bytes(&seconds.to_bytes()).unwrap();
        assert_eq!(read.step_seconds(), 4);
        assert!(read.points().eq(seconds.points()));
        assert!(Seconds::from_bytes(&[0, 0, 0, 3]).is_none() && Seconds::from_bytes(&[0, 0, 0]).is_none());
        assert!(Seconds::from_bytes(&[0, 0, 0, 1, 9]).is_none());
        let too_many = [&[0, 0, 0, 1][..], &[255; 9 * 8]].concat();
        assert!(Seconds::from_bytes(&too_many).is_none());
    }

    proptest! {
        #[test]
        fn every_point_survives_its_bytes(bytes in any::<[u8; 8]>()) {
            let point = Point::from_bytes(bytes);
            prop_assert_eq!(Point::from_bytes(point.to_bytes()), point);
        }

        #[test]
        fn counters_that_jump_do_no_harm(all in proptest::collection::vec(any::<(u64, u64, u64, f32, Option<u32>)>(), 0..20)) {
            let mut seconds = Seconds::default();
            for (received, lost, gaps, jitter_ms, other) in all {
                let (received, lost) = (received >> 1, lost >> 1);
                let round_trip_ms = other.map(|other| other as f32);
                let remote_lost = other.map(u64::from);
                let frames = received;
                let now = Counters { received, lost, gaps, frames, jitter_ms, round_trip_ms, remote_lost, ..Counters::default() };
                seconds.second(Codec::Opus, now);
            }
            prop_assert!(seconds.points().all(|point| point.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos))));
        }
    }
}
