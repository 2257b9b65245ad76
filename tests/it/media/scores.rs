//! How legs fare, second by second, as the relay tells when they close.

use perezvon::media::codec::Codec::{Opus, Pcma};
use perezvon::media::seconds::Point;
use perezvon::relay::{LegSeconds, MediaCommand, MediaEvent};

use super::party::talk;
use super::rig::{Line, Rig};

fn close(rig: &Rig, line: &Line) -> Option<LegSeconds> {
    rig.command(MediaCommand::Close { media: line.id });
    rig.wait_for(|event| match event {
        MediaEvent::Closed { media, seconds, .. } if *media == line.id => Some(seconds.as_deref().cloned()),
        _ => None,
    })
}

fn points(rig: &Rig, line: &Line) -> Vec<Point> {
    close(rig, line).expect("it lived for seconds").seconds.points().collect()
}

#[test]
fn a_bad_second_is_seen_where_it_was_and_the_listener_says_what_it_made_up() {
    for threads in [1, 3] {
        let rig = Rig::new(threads);
        let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(2, Opus, 1100.0));
        rig.bridge(&a, &b);
        talk(&mut [&mut a.party, &mut b.party], 105);
        a.party.loss_percent = 40;
        talk(&mut [&mut a.party, &mut b.party], 60);
        a.party.loss_percent = 0;
        talk(&mut [&mut a.party, &mut b.party], 150);
        let (of_a, of_b) = (points(&rig, &a), points(&rig, &b));
        assert!((5..=7).contains(&of_a.len()) && (5..=7).contains(&of_b.len()), "{} {}", of_a.len(), of_b.len());
        // On a machine that may be loaded the listener makes something up now and then.
        let good = |point: &Point| point.loss == 0.0 && point.concealed < 0.15 && point.mos.unwrap() > 3.0;
        assert!(good(&of_a[0]) && of_a.last().is_some_and(good), "{of_a:?}");
        assert!((40..=60).contains(&of_a[1].received), "{of_a:?}");
        let worst = of_a.iter().map(|point| point.mos.unwrap()).fold(5.0, f32::min);
        assert!(worst < 2.5 && of_a.iter().any(|point| point.loss > 0.25 && point.gap >= 1), "{of_a:?}");
        assert!(of_a.iter().any(|point| point.concealed > 0.15), "the other side decoded it: {of_a:?}");
        assert!(of_b.iter().all(|point| point.loss == 0.0), "the other side lost nothing: {of_b:?}");
    }
}

#[test]
fn a_leg_that_lived_for_less_than_a_second_has_no_seconds() {
    let rig = Rig::new(1);
    let mut a = rig.line(0, Pcma, 700.0);
    talk(&mut [&mut a.party], 5);
    assert!(close(&rig, &a).is_none());
    let never = rig.open(0, Pcma, 700.0);
    assert!(close(&rig, &never).is_none());
}

#[test]
fn a_leg_that_says_nothing_has_seconds_without_a_score() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    b.party.is_muted = true;
    talk(&mut [&mut a.party, &mut b.party], 120);
    let of_b = points(&rig, &b);
    assert!(!of_b.is_empty() && of_b.iter().all(|point| (point.received, point.mos) == (0, None)), "{of_b:?}");
    assert!(points(&rig, &a).iter().all(|point| point.concealed == 0.0 && point.mos.is_some()), "it was passed on as it came");
}
