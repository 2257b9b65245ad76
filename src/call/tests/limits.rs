//! Limits, orders from outside, hold, and whatever cannot happen.

use super::*;

fn talking() -> (Line, LegId) {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.answer(leg);
    (line, leg)
}

#[test]
fn the_longest_call_is_ended_by_the_system() {
    let (mut line, _) = talking();
    line.wait(Duration::from_secs(4 * 3600));
    assert_eq!(line.turn()[..3], ["unbridge", "hang up TooLong", "hang up TooLong"]);
    line.assert_ended(EndCause::TooLong, EndedBy::System);
}

#[test]
fn a_call_that_nobody_is_on_ends_when_both_sides_are_silent() {
    let (mut line, leg) = talking();
    line.feed(Input::RtpSilent { leg });
    line.feed(Input::RtpHeard { leg });
    line.feed(Input::RtpSilent { leg: CALLER });
    assert_eq!(line.state(), CallState::Talking, "one of them is heard");
    line.feed(Input::RtpSilent { leg });
    line.assert_ended(EndCause::RtpTimeout, EndedBy::System);
}

#[test]
fn an_answered_caller_who_is_gone_from_the_queue_ends_but_one_in_early_media_need_not_speak() {
    let mut line = Line::in_queue();
    line.feed(Input::RtpSilent { leg: CALLER });
    line.assert_ended(EndCause::RtpTimeout, EndedBy::System);

    let mut line = Line::arrives(from_carrier(), queue_goal(false));
    line.feed(Input::RtpSilent { leg: CALLER });
    assert_eq!(line.state(), CallState::Queued);
}

#[test]
fn a_call_on_hold_may_be_silent() {
    let (mut line, leg) = talking();
    line.feed(Input::LegHeld { leg });
    assert_eq!(line.turn(), ["unbridge", "music", "mark MusicStarted", "anna Holding", "mark Held", "call.held"]);
    assert_eq!(line.state(), CallState::Held);
    line.feed(Input::RtpSilent { leg }).feed(Input::RtpSilent { leg: CALLER });
    assert_eq!(line.state(), CallState::Held);
    line.feed(Input::LegResumed { leg });
    assert_eq!(line.turn(), ["silence", "mark MusicStopped", "bridge", "anna Talking", "mark Resumed", "call.resumed"]);
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn an_agent_ends_their_call_through_the_api_and_a_supervisor_anyones() {
    let (mut line, _) = talking();
    line.feed(Input::HangUp { by: Some("anna".into()) });
    assert_eq!(line.turn()[..3], ["unbridge", "hang up HungUpByApi", "hang up HungUpByApi"]);
    line.assert_ended(EndCause::HungUpByApi, EndedBy::Agent);

    for by in [None, Some("olga".into())] {
        let (mut line, _) = talking();
        line.feed(Input::HangUp { by });
        line.assert_ended(EndCause::HungUpByApi, EndedBy::System);
    }
}

#[test]
fn a_waiting_call_ended_through_the_api_withdraws_its_offer() {
    let mut line = Line::in_queue();
    line.offer(1, anna());
    line.feed(Input::HangUp { by: None });
    let expected = ["cancel", "retract anna Withdrawn", "hang up HungUpByApi", "leave served", "offer 1 Refused"];
    assert_eq!(line.turn()[..5], expected);
    line.assert_ended(EndCause::HungUpByApi, EndedBy::System);
}

#[test]
fn the_drain_limit_ends_what_is_still_open() {
    let (mut line, _) = talking();
    line.feed(Input::Shutdown);
    line.assert_ended(EndCause::Shutdown, EndedBy::System);
}

#[test]
fn a_leg_whose_signalling_broke_is_nobodys_fault() {
    let (mut line, leg) = talking();
    line.feed(Input::LegEnded { leg, departure: Departure::Lost });
    line.assert_ended(EndCause::Unreachable, EndedBy::System);
}

#[test]
fn whatever_cannot_happen_is_named_and_changes_nothing() {
    let (mut line, leg) = talking();
    let stranger = LegId(77);
    for input in [
        Input::LegRinging { leg },
        Input::LegRinging { leg: stranger },
        Input::LegEarlyMedia { leg },
        Input::LegAnswered { leg },
        Input::LegFailed { leg, failure: LegFailure::Busy },
        Input::LegFailed { leg: stranger, failure: LegFailure::Busy },
        Input::LegEnded { leg: stranger, departure: Departure::HungUp },
        Input::LegResumed { leg },
        Input::RtpHeard { leg: stranger },
        Input::QueueRefused { why: RefusalReason::Full },
    ] {
        let name = input.name();
        line.feed(input);
        assert_eq!(line.turn(), [format!("unexpected {name} while talking")]);
        assert_eq!(line.state(), CallState::Talking);
    }
    line.answer(stranger);
    assert_eq!(line.turn(), ["hang up Normal", "unexpected leg_answered while talking"], "no ghost call stays up");
}

/// Every input in every state, from a call that is fed at random: it ends once, finishes once, and never panics.
#[test]
fn any_order_of_inputs_ends_each_call_exactly_once() {
    for seed in 0..3_000 {
        let mut dice = Ids::seeded(seed);
        let mut line = match dice.bits() % 5 {
            0 => Line::in_queue(),
            1 => Line::arrives(from_carrier(), queue_goal(false)),
            2 => Line::arrives(from_carrier(), Goal::Person(boris())),
            3 => Line::arrives(Caller::Person(anna()), outside_goal()),
            _ => Line::originated(Goal::Person(boris())),
        };
        for n in 0..40 {
            let input = any_input(&mut dice, &line, n);
            line.now = line.now + Duration::from_millis(dice.bits() % 3_000);
            line.feed(input);
        }
        line.feed(Input::Shutdown);
        line.wait(Duration::from_secs(40));
        let ends = line.events().iter().filter(|name| **name == "call.ended").count();
        let finishes = line.all.iter().filter(|effect| matches!(effect, Effect::Finished { .. })).count();
        assert_eq!((ends, finishes, line.call.next_deadline()), (1, 1, None), "seed {seed}");
        assert_recording_is_whole(&line, seed);
        assert_offers_are_settled(&line, seed);
    }
}

fn any_input(dice: &mut Ids, line: &Line, n: u64) -> Input {
    let legs: Vec<LegId> = line.view().legs.iter().map(|leg| leg.id).chain([LegId(77)]).collect();
    let leg = legs[usize::try_from(dice.bits()).unwrap_or(0) % legs.len()];
    let login = ["anna", "boris", "vera"][usize::try_from(dice.bits() % 3).unwrap()];
    match dice.bits() % 22 {
        0 => Input::LegRinging { leg },
        1 => Input::LegEarlyMedia { leg },
        2 | 3 => Input::LegAnswered { leg },
        4 => Input::LegFailed { leg, failure: LegFailure::Busy },
        5 => Input::LegFailed { leg, failure: LegFailure::Cancelled },
        6 => Input::LegEnded { leg, departure: Departure::HungUp },
        7 => Input::LegHeld { leg },
        8 => Input::LegResumed { leg },
        9 => Input::RtpSilent { leg },
        10 => Input::RtpHeard { leg },
        11..=14 => Input::Granted { grant: grant(n), person: person(login), ring: Duration::from_secs(5) },
        15 => Input::GrantRevoked { grant: grant(dice.bits() % 40) },
        16 if n > 30 => Input::QueueRefused { why: RefusalReason::Full },
        17 => Input::Identified { card: None, hints: Hints::default() },
        18 if line.all.iter().any(|effect| matches!(effect, Effect::ShowPop { .. })) => Input::PopReady { pop: line.last_pop() },
        19 if n > 30 => Input::HangUp { by: Some(login.into()) },
        20 => Input::RecordingFailed,
        _ => Input::Deadline,
    }
}

/// Started before it is marked or finished, at most once; finished unless the recorder gave up.
fn assert_recording_is_whole(line: &Line, seed: u64) {
    let (mut started, mut finished) = (0, 0);
    for effect in &line.all {
        match effect {
            Effect::StartRecording { .. } => started += 1,
            Effect::MarkRecording { .. } => assert_eq!((started, finished), (1, 0), "seed {seed}"),
            Effect::FinishRecording { .. } => finished += 1,
            _ => {}
        }
    }
    assert!(started <= 1 && finished <= started, "seed {seed}");
}

/// Each lease is answered or ended exactly once, unless the floor took it back; each pop is retracted or answered.
fn assert_offers_are_settled(line: &Line, seed: u64) {
    for n in 0..40 {
        let settled = |effect: &&Effect| match effect {
            Effect::OfferEnded { grant: its, .. } | Effect::GrantAnswered { grant: its, .. } => *its == grant(n),
            _ => false,
        };
        assert!(line.all.iter().filter(settled).count() <= 1, "seed {seed}: grant {n} settled twice");
    }
}
