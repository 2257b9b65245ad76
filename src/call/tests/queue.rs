//! A caller waits for an agent.

use super::*;
use crate::events::RetractReason;

#[test]
fn a_queue_that_answers_starts_the_recording_before_the_200_and_then_plays_music() {
    let line = Line::in_queue();
    assert_eq!(
        line.turn(),
        [
            "call.started",
            "identify",
            "enqueue sales",
            "record caller",
            "answer",
            "mark Queued",
            "music",
            "mark MusicStarted",
            "call.queued"
        ]
    );
    assert_eq!(line.state(), CallState::Queued);
    assert!(line.view().recording_id.is_some());
}

#[test]
fn a_queue_that_does_not_answer_plays_music_as_early_media_and_records_nothing_yet() {
    let line = Line::arrives(from_carrier(), queue_goal(false));
    assert_eq!(line.turn(), ["call.started", "identify", "enqueue sales", "early media", "music", "call.queued"]);
    assert_eq!(line.view().recording_id, None);
}

#[test]
fn the_pop_goes_before_the_invite() {
    let mut line = Line::in_queue();
    line.grant(1, anna());
    assert_eq!(line.turn(), ["pop anna"]);
    assert_eq!(line.state(), CallState::Queued);
    let pop = line.last_pop();
    line.feed(Input::PopReady { pop });
    assert_eq!(line.turn(), ["confirm 1", "dial anna", "call.offered"]);
    assert_eq!(line.state(), CallState::Offered);
    assert_eq!(line.view().agent, Some("anna".into()));
}

#[test]
fn a_pop_that_is_late_holds_the_invite_back_for_twenty_milliseconds_and_no_longer() {
    let mut line = Line::in_queue();
    line.grant(1, anna());
    line.wait(Duration::from_millis(19));
    assert!(line.turn().is_empty());
    assert_eq!(line.call.next_deadline(), Some(line.now + Duration::from_millis(1)));
    line.wait(Duration::from_millis(1));
    assert_eq!(line.turn(), ["confirm 1", "dial anna", "call.offered"]);
    let pop = line.last_pop();
    line.feed(Input::PopReady { pop });
    assert!(line.turn().is_empty());
}

#[test]
fn an_agent_who_answers_is_bridged_and_the_music_stops() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.feed(Input::LegRinging { leg });
    assert!(line.turn().is_empty(), "the caller keeps the music");
    line.answer(leg);
    assert_eq!(line.turn(), ["silence", "mark MusicStopped", "bridge", "mark AgentJoined", "answered 1", "call.answered"]);
    assert_eq!(line.state(), CallState::Talking);
    assert!(line.view().answered_at.is_some());
}

#[test]
fn without_early_answer_the_caller_is_answered_and_recorded_when_the_agent_is() {
    let mut line = Line::arrives(from_carrier(), queue_goal(false));
    let leg = line.offer(1, anna());
    line.answer(leg);
    assert_eq!(
        line.turn(),
        ["record caller", "answer", "silence", "mark MusicStopped", "bridge", "mark AgentJoined", "answered 1", "call.answered"]
    );
}

#[test]
fn a_phone_that_rings_out_is_cancelled_and_the_caller_keeps_place_and_music() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.wait(Duration::from_millis(19_999));
    assert!(line.turn().is_empty());
    line.wait(Duration::from_millis(1));
    assert_eq!(line.turn(), ["cancel", "retract anna NoAnswer", "offer 1 NoAnswer", "call.queued"]);
    assert_eq!((line.state(), line.view().agent), (CallState::Queued, None));
    line.feed(Input::LegFailed { leg, failure: LegFailure::Cancelled });
    assert!(line.turn().is_empty());

    let next = line.offer(2, boris());
    line.answer(next);
    assert_eq!(line.view().agent, Some("boris".into()));
    assert_eq!(line.events(), ["call.started", "call.queued", "call.offered", "call.queued", "call.offered", "call.answered"]);
}

#[test]
fn busy_declined_and_unreachable_phones_lead_to_the_next_agent() {
    for (failure, outcome, reason) in [
        (LegFailure::Busy, "Busy", RetractReason::Declined),
        (LegFailure::Declined, "Declined", RetractReason::Declined),
        (LegFailure::NoAnswer, "NoAnswer", RetractReason::NoAnswer),
        (LegFailure::Unreachable, "Unreachable", RetractReason::Unreachable),
        (LegFailure::NoCommonCodec, "Unreachable", RetractReason::Unreachable),
    ] {
        let mut line = Line::in_queue();
        let leg = line.offer(1, anna());
        line.feed(Input::LegFailed { leg, failure });
        assert_eq!(line.turn(), [format!("retract anna {reason:?}"), format!("offer 1 {outcome}"), "call.queued".into()]);
        assert_eq!(line.state(), CallState::Queued);
    }
}

#[test]
fn caller_who_hangs_up_while_it_rings_stops_the_phone_first_and_counts_as_abandoned() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.hangs_up(CALLER);
    assert_eq!(
        line.turn(),
        ["cancel", "retract anna Abandoned", "leave abandoned", "offer 1 Abandoned", "recording kept", "call.ended"]
    );
    line.feed(Input::LegFailed { leg, failure: LegFailure::Cancelled });
    assert_eq!(line.turn(), ["finished"]);
    line.assert_ended(EndCause::Abandoned, EndedBy::Caller);
}

#[test]
fn caller_who_hangs_up_before_any_grant_is_abandoned_and_a_grant_that_crosses_it_is_given_back() {
    let mut line = Line::in_queue();
    line.hangs_up(CALLER);
    assert_eq!(line.turn(), ["leave abandoned", "recording kept", "call.ended", "finished"]);
    line.grant(1, anna());
    assert_eq!(line.turn(), ["offer 1 Refused"]);
    line.assert_ended(EndCause::Abandoned, EndedBy::Caller);
}

#[test]
fn an_answer_that_crosses_the_callers_hang_up_is_hung_up() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.hangs_up(CALLER);
    line.answer(leg);
    assert_eq!(line.turn(), ["hang up Abandoned", "finished"]);
    line.assert_ended(EndCause::Abandoned, EndedBy::Caller);
}

#[test]
fn an_answer_that_crosses_the_end_of_ringing_is_hung_up_and_the_caller_waits_on() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.wait(Duration::from_secs(20));
    line.answer(leg);
    assert_eq!(line.turn(), ["hang up Normal"]);
    assert_eq!(line.state(), CallState::Queued);
}

#[test]
fn a_cancelled_phone_that_never_says_so_does_not_keep_the_call_open_for_ever() {
    let mut line = Line::in_queue();
    line.offer(1, anna());
    line.hangs_up(CALLER);
    assert_eq!(line.call.next_deadline(), Some(line.now + Duration::from_secs(40)));
    line.wait(Duration::from_secs(40));
    assert_eq!(line.turn(), ["finished"]);
}

#[test]
fn the_first_of_several_phones_wins_and_the_others_stop_without_a_missed_call() {
    let mut line = Line::in_queue();
    let first = line.offer(1, anna());
    let second = line.offer(2, boris());
    line.grant(3, person("vera"));
    line.answer(second);
    assert_eq!(
        line.turn(),
        [
            "cancel elsewhere",
            "retract anna AnsweredElsewhere",
            "retract vera AnsweredElsewhere",
            "silence",
            "mark MusicStopped",
            "bridge",
            "mark AgentJoined",
            "answered 2",
            "offer 1 AnsweredElsewhere",
            "offer 3 AnsweredElsewhere",
            "call.answered"
        ]
    );
    line.answer(first);
    assert_eq!(line.turn(), ["hang up Normal"], "the loser's answer crossed");
    assert_eq!(line.view().agent, Some("boris".into()));
}

#[test]
fn one_of_several_phones_that_fails_leaves_the_others_ringing() {
    let mut line = Line::in_queue();
    let first = line.offer(1, anna());
    line.offer(2, boris());
    line.feed(Input::LegFailed { leg: first, failure: LegFailure::Busy });
    assert_eq!(line.turn(), ["retract anna Declined", "offer 1 Busy"]);
    assert_eq!((line.state(), line.view().agent), (CallState::Offered, Some("boris".into())));
}

#[test]
fn a_lease_taken_back_withdraws_the_offer_without_a_word_to_the_floor() {
    let mut line = Line::in_queue();
    line.offer(1, anna());
    line.feed(Input::GrantRevoked { grant: grant(1) });
    assert_eq!(line.turn(), ["cancel", "retract anna Withdrawn", "call.queued"]);
    line.feed(Input::GrantRevoked { grant: grant(1) });
    assert!(line.turn().is_empty());
}

#[test]
fn the_same_agent_offered_again_sees_the_same_pop() {
    let mut line = Line::in_queue();
    line.offer(1, anna());
    let pop = line.last_pop();
    line.wait(Duration::from_secs(20));
    line.offer(2, anna());
    assert_eq!(line.last_pop(), pop);
    line.offer(3, boris());
    assert_ne!(line.last_pop(), pop);
}

#[test]
fn two_grants_of_one_agent_are_one_too_many() {
    let mut line = Line::in_queue();
    line.offer(1, anna());
    line.grant(2, anna());
    assert_eq!(line.turn(), ["offer 2 Refused", "unexpected granted while seeking"]);
}

#[test]
fn either_side_ends_a_conversation_and_the_other_is_hung_up() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.answer(leg);
    line.hangs_up(leg);
    assert_eq!(line.turn(), ["unbridge", "hang up Normal", "anna free", "recording kept", "call.ended", "finished"]);
    line.assert_ended(EndCause::Normal, EndedBy::Agent);

    let mut line = Line::in_queue();
    let leg = line.offer(1, anna());
    line.answer(leg);
    line.hangs_up(CALLER);
    assert_eq!(line.turn(), ["unbridge", "hang up Normal", "anna free", "recording kept", "call.ended", "finished"]);
    line.hangs_up(leg);
    assert!(line.turn().is_empty(), "the far end's own BYE may cross ours");
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
    assert_eq!(line.view().agent, Some("anna".into()), "whoever talked stays with the call");
}

#[test]
fn a_queue_that_refuses_ends_the_call() {
    let mut line = Line::arrives(from_carrier(), queue_goal(false));
    line.feed(Input::QueueRefused { why: RefusalReason::Full });
    assert_eq!(line.turn(), ["reject QueueUnavailable", "leave served", "call.ended", "finished"]);
    line.assert_ended(EndCause::QueueUnavailable, EndedBy::System);
}

#[test]
fn what_is_learned_about_the_client_reaches_the_floor_and_the_view() {
    let mut line = Line::in_queue();
    let hints = Hints { owner: Some("anna".into()), vip: true, language: None };
    let card = Some(crate::types::CardId(uuid::Uuid::from_u128(5)));
    line.feed(Input::Identified { card, hints });
    assert_eq!(line.turn(), ["hint"]);
    assert_eq!(line.view().card_id, card);
}

#[test]
fn an_agent_who_must_not_be_recorded_takes_the_recording_away() {
    let mut line = Line::in_queue();
    let leg = line.offer(1, Person { record: false, ..anna() });
    line.answer(leg);
    assert_eq!(line.turn()[0], "recording thrown away");
    assert_eq!(line.view().recording_id, None);
    line.hangs_up(leg);
    assert!(!line.turn().contains(&"recording kept".to_owned()));

    let mut line = Line::arrives(from_carrier(), queue_goal(false));
    let leg = line.offer(1, Person { record: false, ..anna() });
    line.answer(leg);
    assert!(!line.all.iter().any(|effect| matches!(effect, Effect::StartRecording { .. })));
}

#[test]
fn a_number_that_forbids_recording_is_not_recorded() {
    let mut line = Line::arrives_recorded(from_carrier(), queue_goal(true), false);
    let leg = line.offer(1, anna());
    line.answer(leg).hangs_up(leg);
    assert!(line.all.iter().all(|effect| !word(effect).starts_with("record") && !word(effect).starts_with("mark")));
}

#[test]
fn recording_trouble_never_ends_the_call() {
    let mut line = Line::in_queue();
    let recording = line.view().recording_id;
    line.feed(Input::RecordingFailed);
    assert!(line.turn().is_empty());
    let leg = line.offer(1, anna());
    line.answer(leg);
    assert_eq!(line.turn(), ["silence", "bridge", "answered 1", "call.answered"]);
    assert_eq!(line.view().recording_id, recording);
}
