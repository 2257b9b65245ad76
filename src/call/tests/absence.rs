//! A browser that falls silent without leaving.

use super::*;
use crate::types::SupervisionMode;

/// A client and Anna talk; her leg.
fn talking() -> (Line, LegId) {
    let mut line = Line::in_queue();
    let anna = line.offer(1, super::anna());
    line.answer(anna);
    (line, anna)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_client_hears_comfort_while_anna_is_away_and_anna_again_when_she_is_back() {
    let (mut line, anna) = talking();
    line.feed(Input::LegAway { leg: anna });
    assert_eq!(line.turn(), ["comfort", "mark AgentLeft", "call.leg_lost"]);
    assert!(matches!(line.last[0], Effect::PlayComfort { leg: CALLER }));
    assert_eq!(line.state(), CallState::Talking);
    line.wait(seconds(14));
    assert!(line.turn().is_empty());
    line.feed(Input::LegBack { leg: anna });
    assert_eq!(line.turn(), ["silence", "mark AgentJoined", "call.leg_returned"]);
    let Some(Effect::Emit { kind: crate::events::EventKind::CallLegReturned(absence), .. }) = line.last.last() else { panic!() };
    assert_eq!((absence.leg, absence.gap_ms), (anna, Some(14_000)));
    line.wait(seconds(60));
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn who_does_not_come_back_in_time_ends_the_call_and_both_are_hung_up() {
    let (mut line, anna) = talking();
    line.feed(Input::LegAway { leg: anna });
    assert_eq!(line.call.next_deadline(), Some(line.now + seconds(15)));
    line.wait(seconds(15));
    let hung_up = line.turn().iter().filter(|word| *word == "hang up Unreachable").count();
    assert_eq!(hung_up, 2, "{:?}", line.turn());
    line.assert_ended(EndCause::Unreachable, EndedBy::System);
}

#[test]
fn a_client_on_hold_keeps_its_music() {
    let (mut line, anna) = talking();
    line.feed(Input::LegHeld { leg: anna });
    line.feed(Input::LegAway { leg: anna });
    assert_eq!(line.turn(), ["mark AgentLeft", "call.leg_lost"]);
    line.feed(Input::LegBack { leg: anna });
    assert_eq!(line.turn(), ["mark AgentJoined", "call.leg_returned"]);
    assert_eq!(line.state(), CallState::Held, "she held, and still does");
}

#[test]
fn a_hang_up_while_she_is_away_ends_the_call_as_ever() {
    let (mut line, anna) = talking();
    line.feed(Input::LegAway { leg: anna });
    line.hangs_up(CALLER);
    assert!(line.turn().contains(&"hang up Normal".to_owned()), "{:?}", line.turn());
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
    line.feed(Input::LegBack { leg: anna });
    assert_eq!(line.turn(), ["unexpected leg_back while ended"]);
}

#[test]
fn whoever_is_away_already_or_never_was_does_not_fit() {
    let (mut line, anna) = talking();
    line.feed(Input::LegBack { leg: anna });
    assert_eq!(line.turn(), ["unexpected leg_back while talking"]);
    line.feed(Input::LegAway { leg: anna });
    line.feed(Input::LegAway { leg: anna });
    assert_eq!(line.turn(), ["unexpected leg_away while talking"]);
    line.feed(Input::LegAway { leg: LegId(77) });
    assert_eq!(line.turn(), ["unexpected leg_away while talking"]);
}

#[test]
fn a_supervisor_who_stays_away_leaves_and_the_call_goes_on() {
    let (mut line, _) = talking();
    line.ask(CallWish::Supervise { person: person("olga"), mode: SupervisionMode::Listen });
    let olga = line.last_dialled();
    line.answer(olga);
    line.feed(Input::LegAway { leg: olga });
    assert_eq!(line.turn(), ["call.leg_lost"], "the parties notice nothing");
    line.wait(seconds(15));
    assert!(line.turn().contains(&"hang up Unreachable".to_owned()), "{:?}", line.turn());
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn an_agent_who_calls_out_may_come_back_while_it_still_rings() {
    let mut line = Line::arrives(Caller::Person(super::anna()), outside_goal());
    line.feed(Input::LegEarlyMedia { leg: line.last_dialled() });
    line.feed(Input::LegAway { leg: CALLER });
    assert_eq!(line.turn(), ["unexpected leg_away while seeking"], "not answered yet: there is no place to keep");
    let mut line = Line::originated(outside_goal());
    line.answer(line.last_dialled());
    let anna = line.view().legs[0].id;
    line.feed(Input::LegAway { leg: anna });
    assert_eq!(line.turn(), ["call.leg_lost"]);
    line.wait(seconds(15));
    line.assert_ended(EndCause::Unreachable, EndedBy::System);
}
