//! A caller asks for one person or for an outside number, or for something that is not there.

use super::*;

fn to_boris() -> Line {
    Line::arrives(from_carrier(), Goal::Person(boris()))
}

/// Up to the ringing phone.
fn ringing_boris() -> (Line, LegId) {
    let mut line = to_boris();
    let pop = line.last_pop();
    line.feed(Input::PopReady { pop });
    let leg = line.last_dialled();
    (line, leg)
}

#[test]
fn a_person_is_engaged_shown_the_card_and_then_rung() {
    let mut line = to_boris();
    assert_eq!(line.turn(), ["call.started", "identify", "boris Ringing", "pop boris"]);
    let pop = line.last_pop();
    line.feed(Input::PopReady { pop });
    assert_eq!(line.turn(), ["dial boris", "call.offered"]);
    let leg = line.last_dialled();
    line.feed(Input::LegRinging { leg });
    assert_eq!(line.turn(), ["ring"]);
    line.feed(Input::LegRinging { leg });
    assert!(line.turn().is_empty());
}

#[test]
fn the_caller_of_a_person_is_answered_when_the_person_answers() {
    let (mut line, leg) = ringing_boris();
    line.answer(leg);
    assert_eq!(line.turn(), ["record caller", "answer", "bridge", "mark AgentJoined", "boris Talking", "call.answered"]);
    line.hangs_up(CALLER);
    assert_eq!(line.turn(), ["unbridge", "hang up Normal", "boris free", "recording kept", "call.ended", "finished"]);
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
}

#[test]
fn a_person_who_cannot_be_had_ends_the_call_with_a_fitting_cause() {
    for (failure, cause, by) in [
        (LegFailure::Busy, EndCause::Busy, EndedBy::Agent),
        (LegFailure::Declined, EndCause::Declined, EndedBy::Agent),
        (LegFailure::NoAnswer, EndCause::NoAnswer, EndedBy::System),
        (LegFailure::Unreachable, EndCause::Unreachable, EndedBy::System),
        (LegFailure::NoCommonCodec, EndCause::NoCommonCodec, EndedBy::System),
        (LegFailure::Overload, EndCause::Overload, EndedBy::System),
    ] {
        let (mut line, leg) = ringing_boris();
        line.feed(Input::LegFailed { leg, failure });
        let turn = line.turn();
        assert!(turn[0].starts_with("retract boris"), "{turn:?}");
        let rest = ["boris free".to_owned(), format!("reject {cause:?}"), "call.ended".into(), "finished".into()];
        assert_eq!(turn[1..], rest);
        line.assert_ended(cause, by);
        assert_eq!(line.view().agent, Some("boris".into()), "it is a missed call of this person");
    }
}

#[test]
fn a_person_who_does_not_answer_in_a_minute_is_cancelled() {
    let (mut line, leg) = ringing_boris();
    line.wait(Duration::from_secs(60));
    let expected = ["cancel", "retract boris NoAnswer", "boris free", "reject NoAnswer", "call.ended"];
    assert_eq!(line.turn(), expected);
    line.answer(leg);
    assert_eq!(line.turn(), ["hang up NoAnswer", "finished"]);
    line.assert_ended(EndCause::NoAnswer, EndedBy::System);
}

#[test]
fn early_media_of_an_outside_number_is_passed_to_the_caller_and_stays_bridged_at_the_answer() {
    let mut line = Line::arrives(from_carrier(), outside_goal());
    assert_eq!(line.turn(), ["call.started", "identify", "dial +79160000002 by carrier"]);
    let leg = line.last_dialled();
    line.feed(Input::LegEarlyMedia { leg });
    assert_eq!(line.turn(), ["early media", "bridge"]);
    line.feed(Input::LegRinging { leg });
    assert!(line.turn().is_empty());
    line.answer(leg);
    assert_eq!(line.turn(), ["record caller", "answer", "call.answered"]);
    line.hangs_up(leg);
    line.assert_ended(EndCause::Normal, EndedBy::Trunk);
}

#[test]
fn early_media_that_ends_in_a_refusal_is_taken_apart() {
    let mut line = Line::arrives(from_carrier(), outside_goal());
    let leg = line.last_dialled();
    line.feed(Input::LegEarlyMedia { leg }).feed(Input::LegFailed { leg, failure: LegFailure::Busy });
    assert_eq!(line.turn(), ["unbridge", "reject Busy", "call.ended", "finished"]);
    line.assert_ended(EndCause::Busy, EndedBy::Trunk);
}

#[test]
fn nowhere_is_refused_at_once_with_its_cause() {
    let goal = Goal::Nowhere { cause: EndCause::NoRoute, why: "voicemail is not set up".into() };
    let mut line = Line::arrives(from_carrier(), goal);
    assert_eq!(line.turn(), ["call.started", "reject NoRoute", "call.ended", "finished"]);
    line.assert_ended(EndCause::NoRoute, EndedBy::System);
}

#[test]
fn an_extension_that_calls_another_is_internal_and_both_are_engaged() {
    let mut line = Line::arrives(Caller::Person(anna()), Goal::Person(boris()));
    assert_eq!(line.turn(), ["call.started", "anna Talking", "identify", "boris Ringing", "pop boris"]);
    line.wait(Duration::from_millis(20));
    let leg = line.last_dialled();
    line.answer(leg);
    assert_eq!(line.turn(), ["record caller", "answer", "bridge", "mark AgentJoined", "boris Talking", "call.answered"]);
    assert_eq!(line.view().kind, crate::types::CallKind::Internal);
    line.hangs_up(CALLER);
    let expected = ["unbridge", "hang up Normal", "boris free", "anna free", "recording kept", "call.ended", "finished"];
    assert_eq!(line.turn(), expected);
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
}

#[test]
fn calling_oneself_is_busy() {
    let mut line = Line::arrives(Caller::Person(anna()), Goal::Person(anna()));
    assert_eq!(line.turn(), ["call.started", "anna Talking", "identify", "reject Busy", "anna free", "call.ended", "finished"]);
    line.assert_ended(EndCause::Busy, EndedBy::System);
}

#[test]
fn a_person_who_must_not_be_recorded_is_not() {
    let mut line = Line::arrives(from_carrier(), Goal::Person(Person { record: false, ..boris() }));
    line.wait(Duration::from_millis(20));
    let leg = line.last_dialled();
    line.answer(leg);
    assert_eq!(line.turn(), ["answer", "bridge", "boris Talking", "call.answered"]);
}
