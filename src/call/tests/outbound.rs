//! Our people call out: from a phone, or by a click.

use super::*;
use crate::types::{CallKind, LegRole};

#[test]
fn a_phone_that_dials_out_is_an_outbound_call_whose_client_is_the_callee() {
    let mut line = Line::arrives(Caller::Person(anna()), outside_goal());
    assert_eq!(line.turn(), ["call.started", "anna Talking", "identify", "dial +79160000002 by carrier"]);
    let view = line.view();
    assert_eq!((view.kind, view.agent, view.trunk), (CallKind::Outbound, Some("anna".into()), Some("carrier".into())));
    assert_eq!(view.legs.iter().map(|leg| leg.role).collect::<Vec<_>>(), [LegRole::Agent, LegRole::External]);
    assert_eq!(view.state, CallState::Ringing);

    let leg = line.last_dialled();
    line.feed(Input::LegRinging { leg });
    assert_eq!(line.turn(), ["ring"]);
    line.answer(leg);
    assert_eq!(line.turn(), ["answer", "record callee", "bridge", "call.answered"]);
    line.hangs_up(CALLER);
    let expected = ["unbridge", "hang up Normal", "anna free", "recording kept", "call.ended", "finished"];
    assert_eq!(line.turn(), expected);
    line.assert_ended(EndCause::Normal, EndedBy::Agent);
}

#[test]
fn a_click_rings_the_askers_phone_first_and_then_dials() {
    let mut line = Line::originated(outside_goal());
    assert_eq!(line.turn(), ["call.started", "anna Ringing", "identify", "dial anna"]);
    assert!(line.all.iter().any(|effect| matches!(effect, Effect::Dial { auto_answer: true, .. })));
    assert_eq!(line.state(), CallState::Ringing);
    let own = line.last_dialled();
    line.feed(Input::LegRinging { leg: own });
    assert!(line.turn().is_empty());
    line.answer(own);
    assert_eq!(line.turn(), ["anna Talking", "dial +79160000002 by carrier"]);

    let callee = line.last_dialled();
    line.feed(Input::LegRinging { leg: callee });
    assert_eq!(line.turn(), ["ringback"], "the asker's phone is answered already, so the tone is ours");
    line.answer(callee);
    assert_eq!(line.turn(), ["record callee", "silence", "bridge", "call.answered"]);
    line.hangs_up(callee);
    line.assert_ended(EndCause::Normal, EndedBy::Trunk);
}

#[test]
fn an_asker_who_does_not_pick_up_ends_the_click() {
    let mut line = Line::originated(outside_goal());
    let own = line.last_dialled();
    line.wait(Duration::from_secs(60));
    assert_eq!(line.turn(), ["cancel", "anna free", "call.ended"]);
    line.answer(own);
    assert_eq!(line.turn(), ["hang up NoAnswer", "finished"]);
    line.assert_ended(EndCause::NoAnswer, EndedBy::System);
}

#[test]
fn an_asker_whose_phone_is_busy_ends_the_click() {
    let mut line = Line::originated(outside_goal());
    let own = line.last_dialled();
    line.feed(Input::LegFailed { leg: own, failure: LegFailure::Busy });
    assert_eq!(line.turn(), ["anna free", "call.ended", "finished"]);
    line.assert_ended(EndCause::Busy, EndedBy::Agent);
}

#[test]
fn a_callee_who_is_busy_hangs_the_answered_asker_up() {
    let mut line = Line::originated(outside_goal());
    let own = line.last_dialled();
    line.answer(own);
    let callee = line.last_dialled();
    line.feed(Input::LegFailed { leg: callee, failure: LegFailure::Busy });
    assert_eq!(line.turn(), ["hang up Busy", "anna free", "call.ended", "finished"]);
    line.assert_ended(EndCause::Busy, EndedBy::Trunk);
}

#[test]
fn a_click_on_a_colleague_is_internal_and_records_the_asker_from_the_colleagues_answer() {
    let mut line = Line::originated(Goal::Person(boris()));
    assert_eq!(line.turn(), ["call.started", "anna Ringing", "identify", "dial anna"]);
    let own = line.last_dialled();
    line.answer(own);
    assert_eq!(line.turn(), ["anna Talking", "boris Ringing", "pop boris"]);
    line.wait(Duration::from_millis(20));
    let leg = line.last_dialled();
    line.answer(leg);
    assert_eq!(line.turn(), ["record callee", "bridge", "mark AgentJoined", "boris Talking", "call.answered"]);
    let client = line.last.iter().find_map(|effect| match effect {
        Effect::StartRecording { client_leg, .. } => Some(*client_leg),
        _ => None,
    });
    assert_eq!(client, Some(own), "of an internal call the left side is the caller");
}

#[test]
fn an_agent_who_gives_up_before_the_callee_answers_cancels_the_callee() {
    let mut line = Line::arrives(Caller::Person(anna()), outside_goal());
    let leg = line.last_dialled();
    line.hangs_up(CALLER);
    assert_eq!(line.turn(), ["cancel", "anna free", "call.ended"]);
    line.feed(Input::LegFailed { leg, failure: LegFailure::Cancelled });
    line.assert_ended(EndCause::Abandoned, EndedBy::Agent);
}

#[test]
fn a_click_that_leads_nowhere_rings_nobody() {
    let mut line = Line::originated(Goal::Nowhere { cause: EndCause::NoRoute, why: "no route".into() });
    assert_eq!(line.turn(), ["call.started", "anna Ringing", "anna free", "call.ended", "finished"]);
    line.assert_ended(EndCause::NoRoute, EndedBy::System);
}
