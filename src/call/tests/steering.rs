//! Hold, resume, the recording by hand, and supervisors: who hears whom in each state.

use super::*;
use crate::types::SupervisionMode;

/// A client and Anna talk; her leg.
fn talking() -> (Line, LegId) {
    let mut line = Line::in_queue();
    let anna = line.offer(1, super::anna());
    line.answer(anna);
    (line, anna)
}

fn hears(line: &Line, leg: LegId) -> Vec<LegId> {
    line.audible().get(&leg).cloned().unwrap_or_default()
}

fn hold() -> CallWish {
    CallWish::Hold { by: Some("anna".into()) }
}

fn resume() -> CallWish {
    CallWish::Resume { by: Some("anna".into()) }
}

fn supervise(mode: SupervisionMode) -> CallWish {
    CallWish::Supervise { person: person("olga"), mode }
}

/// Olga is in the call; her leg.
fn supervised(line: &mut Line, mode: SupervisionMode) -> LegId {
    line.ask(supervise(mode));
    let olga = line.last_dialled();
    line.answer(olga);
    olga
}

#[test]
fn on_hold_the_client_hears_music_and_neither_hears_the_other() {
    let (mut line, anna) = talking();
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna], vec![CALLER]));
    line.ask(hold());
    assert_eq!(line.turn(), ["unbridge", "music", "mark MusicStarted", "anna Holding", "mark Held", "call.held"]);
    assert!(line.audible().is_empty());
    assert_eq!(line.state(), CallState::Held);
    line.ask(resume());
    assert_eq!(line.turn(), ["silence", "mark MusicStopped", "bridge", "anna Talking", "mark Resumed", "call.resumed"]);
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna], vec![CALLER]));
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn whoever_is_no_party_holds_for_the_agent() {
    let (mut line, _) = talking();
    line.ask(CallWish::Hold { by: Some("olga".into()) });
    assert!(matches!(
        line.last.iter().find(|it| matches!(it, Effect::PlayMusic { .. })),
        Some(Effect::PlayMusic { leg: CALLER })
    ));
}

#[test]
fn hold_twice_resume_twice_and_either_without_a_conversation_are_refused() {
    let mut line = Line::in_queue();
    assert_eq!(line.refusal(hold()), Refusal::NotTalking(CallState::Queued));
    let (mut line, _) = talking();
    assert_eq!(line.refusal(resume()), Refusal::NotHeld);
    line.ask(hold());
    assert_eq!(line.refusal(hold()), Refusal::AlreadyHeld);
    line.hangs_up(CALLER);
    assert_eq!(line.refusal(resume()), Refusal::NotTalking(CallState::Ended));
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
}

#[test]
fn an_agents_telephone_on_hold_gives_the_client_music_and_both_kinds_of_hold_end_only_together() {
    let (mut line, anna) = talking();
    line.feed(Input::LegHeld { leg: anna });
    assert!(line.turn().contains(&"music".to_owned()), "{:?}", line.turn());
    assert!(line.audible().is_empty());
    line.ask(hold());
    assert!(!line.turn().contains(&"music".to_owned()), "it plays already: {:?}", line.turn());
    line.ask(resume());
    assert_eq!(line.state(), CallState::Held, "the telephone still holds");
    assert!(line.audible().is_empty());
    line.feed(Input::LegResumed { leg: anna });
    assert_eq!(line.state(), CallState::Talking);
    assert_eq!(hears(&line, CALLER), [anna]);
}

#[test]
fn a_client_who_holds_us_may_be_heard() {
    let (mut line, anna) = talking();
    line.feed(Input::LegHeld { leg: CALLER });
    assert_eq!(line.state(), CallState::Held);
    assert_eq!(hears(&line, anna), [CALLER], "they may play us something");
    assert!(!line.turn().contains(&"music".to_owned()));
}

#[test]
fn a_call_on_hold_may_be_silent() {
    let (mut line, anna) = talking();
    line.ask(hold());
    line.feed(Input::RtpSilent { leg: CALLER }).feed(Input::RtpSilent { leg: anna });
    assert_eq!(line.state(), CallState::Held);
}

#[test]
fn a_recording_is_paused_masked_stopped_and_goes_on() {
    use RecordingAction::*;
    let (mut line, _) = talking();
    for (shut, open, shut_mark, open_mark) in
        [(Pause, Resume, "Paused", "Unpaused"), (Mask, Unmask, "Masked", "Unmasked"), (Stop, Start, "Stopped", "Started")]
    {
        assert_eq!(line.refusal(CallWish::Record(open)), Refusal::RecordingIs("running"));
        line.ask(CallWish::Record(shut));
        assert_eq!(line.turn(), [format!("mark {shut_mark}"), "recording leaves out".to_owned()]);
        line.ask(CallWish::Record(open));
        assert_eq!(line.turn(), [format!("mark {open_mark}"), "recording captures".to_owned()]);
    }
    line.ask(CallWish::Record(Mask));
    assert_eq!(line.refusal(CallWish::Record(Resume)), Refusal::RecordingIs("masked"), "only what masked it unmasks it");
    line.ask(CallWish::Record(Stop));
    assert_eq!(line.turn(), ["mark Stopped"], "nothing is captured already");
    assert_eq!(line.refusal(CallWish::Record(Unmask)), Refusal::RecordingIs("stopped"));
    line.hangs_up(CALLER);
    assert!(line.turn().contains(&"recording kept".to_owned()));
    assert_eq!(line.refusal(CallWish::Record(Start)), Refusal::NotTalking(CallState::Ended));
}

#[test]
fn what_must_not_be_recorded_cannot_be_started_by_hand() {
    let mut line = Line::arrives_recorded(from_carrier(), queue_goal(true), false);
    assert_eq!(line.refusal(CallWish::Record(RecordingAction::Start)), Refusal::RecordingForbidden);
}

#[test]
fn who_hears_whom_under_each_kind_of_supervision() {
    let (mut line, anna) = talking();
    let olga = supervised(&mut line, SupervisionMode::Listen);
    assert_eq!(hears(&line, olga), [CALLER, anna]);
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna], vec![CALLER]), "nobody hears a listener");
    line.ask(supervise(SupervisionMode::Whisper));
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna], vec![CALLER, olga]), "the agent alone");
    assert_eq!(hears(&line, olga), [CALLER, anna]);
    line.ask(supervise(SupervisionMode::Barge));
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna, olga], vec![CALLER, olga]));
    line.ask(hold());
    assert_eq!(hears(&line, CALLER), [], "on hold the client hears music alone");
    assert_eq!((hears(&line, anna), hears(&line, olga)), (vec![olga], vec![CALLER, anna]));
    line.ask(resume());
    line.ask(CallWish::StopSupervising { agent: "olga".into() });
    assert_eq!(hears(&line, olga), []);
    assert_eq!((hears(&line, CALLER), hears(&line, anna)), (vec![anna], vec![CALLER]));
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn a_supervisor_is_dialled_told_of_and_not_shown_to_the_parties() {
    let (mut line, _) = talking();
    line.ask(supervise(SupervisionMode::Listen));
    assert_eq!(line.turn(), ["olga Ringing", "dial olga"]);
    let olga = line.last_dialled();
    line.answer(olga);
    assert_eq!(line.turn(), ["olga Talking", "call.supervised", "bridge"]);
    assert_eq!(line.view().legs.len(), 2, "the two parties");
    line.hangs_up(olga);
    assert_eq!(line.turn(), ["olga free", "call.supervised", "unbridge"]);
    assert_eq!(line.state(), CallState::Talking, "the call goes on");
    assert_eq!(line.refusal(CallWish::StopSupervising { agent: "olga".into() }), Refusal::NotSupervising);
}

#[test]
fn a_supervisor_who_does_not_answer_or_fails_leaves_nothing_behind() {
    let (mut line, _) = talking();
    line.ask(supervise(SupervisionMode::Barge));
    line.wait(Duration::from_secs(61));
    assert_eq!(line.turn(), ["cancel", "olga free"]);
    line.ask(supervise(SupervisionMode::Barge));
    let olga = line.last_dialled();
    line.feed(Input::LegFailed { leg: olga, failure: LegFailure::Busy });
    assert_eq!(line.turn(), ["olga free"]);
    assert_eq!(line.state(), CallState::Talking);
}

#[test]
fn the_end_of_the_call_sends_supervisors_away() {
    let (mut line, _) = talking();
    supervised(&mut line, SupervisionMode::Whisper);
    line.hangs_up(CALLER);
    assert!(line.turn().contains(&"olga free".to_owned()));
    assert_eq!(line.turn().iter().filter(|word| *word == "hang up Normal").count(), 2, "Anna's phone and Olga's");
    assert!(line.audible().is_empty());
    line.assert_ended(EndCause::Normal, EndedBy::Caller);
}

#[test]
fn nobody_supervises_a_call_of_their_own_a_waiting_one_or_a_full_one() {
    let mut line = Line::in_queue();
    assert_eq!(line.refusal(supervise(SupervisionMode::Listen)), Refusal::NotTalking(CallState::Queued));
    let (mut line, _) = talking();
    let own = CallWish::Supervise { person: anna(), mode: SupervisionMode::Listen };
    assert_eq!(line.refusal(own), Refusal::IsParty);
    for n in 0..4 {
        line.ask(CallWish::Supervise { person: person(&format!("chief{n}")), mode: SupervisionMode::Listen });
    }
    assert_eq!(line.refusal(supervise(SupervisionMode::Listen)), Refusal::TooMany);
}

#[test]
fn a_silent_listener_does_not_keep_a_dead_call_alive() {
    let (mut line, anna) = talking();
    supervised(&mut line, SupervisionMode::Listen);
    line.feed(Input::RtpSilent { leg: CALLER }).feed(Input::RtpSilent { leg: anna });
    line.assert_ended(EndCause::RtpTimeout, EndedBy::System);
}

/// A recorded call from the carrier whose caller is to be told so.
fn announced(goal: Goal, record: bool) -> Line {
    policy(goal, record, true, 0)
}

/// The same with the site's wishes about it.
fn policy(goal: Goal, record: bool, announce: bool, beep_seconds: u32) -> Line {
    let mut ids = Ids::seeded(1);
    let call = ids.call(Wall::from_micros(0));
    let from = Party { number: Some("+79160000001".into()), display: None };
    let to = "+74951234567".to_owned();
    let caller = from_carrier();
    Line::new(|now, wall| {
        let limits = Limits::default();
        let arrival =
            Arrival { call, leg: CALLER, caller, from, to, goal, record, announce, beep_seconds, source: None, limits, ids };
        Call::arrived(now, wall, arrival)
    })
}

#[test]
fn a_caller_is_told_of_the_recording_and_hears_music_after_it() {
    let mut line = announced(queue_goal(true), true);
    let told = line.turn();
    let place = |word: &str| told.iter().position(|it| it == word);
    assert!(place("record caller") < place("answer") && place("answer") < place("announcement"), "{told:?}");
    assert_eq!(place("music"), None);
    line.feed(Input::PromptEnded { leg: CALLER });
    assert_eq!(line.turn(), ["music", "mark MusicStarted"]);
    line.feed(Input::PromptEnded { leg: CALLER });
    assert_eq!(line.turn(), ["unexpected prompt_ended while seeking"]);
}

#[test]
fn an_announcement_whose_end_is_never_told_holds_up_nothing() {
    let mut line = announced(queue_goal(true), true);
    line.wait(Duration::from_secs(21));
    assert_eq!(line.turn(), ["music", "mark MusicStarted"]);
}

#[test]
fn an_agent_may_answer_during_the_announcement() {
    let mut line = announced(queue_goal(true), true);
    let leg = line.offer(1, anna());
    line.answer(leg);
    assert_eq!(line.audible().get(&CALLER), Some(&vec![leg]));
    assert!(!line.turn().contains(&"silence".to_owned()), "it is heard to its end: {:?}", line.turn());
    line.feed(Input::PromptEnded { leg: CALLER });
    assert!(!line.turn().contains(&"music".to_owned()), "{:?}", line.turn());
}

#[test]
fn whoever_is_not_recorded_is_told_nothing() {
    let line = announced(queue_goal(true), false);
    assert!(!line.turn().contains(&"announcement".to_owned()));
    assert!(line.turn().contains(&"music".to_owned()));
}

/// The seconds of the next `seconds` in which both sides heard a beep.
fn beeps(line: &mut Line, seconds: u64) -> Vec<u64> {
    let mut heard = Vec::new();
    for second in 1..=seconds {
        line.wait(Duration::from_secs(1));
        let turn = line.turn();
        match (turn.contains(&"beep caller".to_owned()), turn.contains(&"beep callee".to_owned())) {
            (true, true) => heard.push(second),
            (false, false) => {}
            _ => panic!("one side alone heard it: {turn:?}"),
        }
    }
    heard
}

#[test]
fn both_sides_of_a_recorded_talk_hear_a_beep_every_so_often_but_not_on_hold_or_while_it_is_paused() {
    let mut line = policy(queue_goal(true), true, false, 10);
    assert_eq!(beeps(&mut line, 12), [0_u64; 0], "nobody talks yet");
    let leg = line.offer(1, anna());
    line.answer(leg);
    let turn = line.turn();
    assert!(turn.ends_with(&["beep caller".to_owned(), "beep callee".to_owned()]), "{turn:?}");
    assert_eq!(line.call.next_deadline(), Some(line.now + Duration::from_secs(10)));
    assert_eq!(beeps(&mut line, 25), [10, 20]);
    line.ask(CallWish::Record(RecordingAction::Pause));
    assert_eq!(beeps(&mut line, 25), [0_u64; 0]);
    line.ask(CallWish::Record(RecordingAction::Resume));
    assert!(line.turn().contains(&"beep caller".to_owned()), "it is recorded again: {:?}", line.turn());
    assert_eq!(beeps(&mut line, 12), [10]);
    line.ask(hold());
    assert_eq!(beeps(&mut line, 25), [0_u64; 0]);
    line.ask(CallWish::Resume { by: Some("anna".into()) });
    assert_eq!(beeps(&mut line, 12), [10]);
    line.ask(CallWish::Record(RecordingAction::Stop));
    assert_eq!(beeps(&mut line, 25), [0_u64; 0]);
}

#[test]
fn a_person_may_have_a_beep_of_their_own_and_an_unrecorded_call_has_none() {
    let mut line = policy(queue_goal(true), true, false, 0);
    let leg = line.offer(1, Person { beep_seconds: 15, ..anna() });
    line.answer(leg);
    assert_eq!(beeps(&mut line, 31), [15, 30]);
    let mut line = policy(queue_goal(true), false, false, 10);
    let leg = line.offer(1, Person { beep_seconds: 15, ..anna() });
    line.answer(leg);
    assert_eq!(beeps(&mut line, 31), [0_u64; 0]);
}
