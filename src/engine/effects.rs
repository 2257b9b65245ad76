//! Carries the effects of one call out: to SIP, media threads, floor, recorder and diary. It decides nothing; an effect
//! that cannot be carried out comes back to the call as an input.

use super::call_task::{CallTask, RunningRecording, WaitingPop};
use super::calls::Address;
use super::{floor_task, pops};
use crate::call::{Call, Departure, Effect, Input, LegFailure};
use crate::cards::{Caller, CallerText, read_caller};
use crate::clock;
use crate::events::{Event, EventKind};
use crate::recording::BeginRecording;
use crate::relay::{MediaCommand, PlayKind};
use crate::routing::FloorInput;
use crate::types::{LegId, Party, RecordingId};

impl CallTask {
    /// True when the call has finished.
    pub(super) async fn carry_out(&mut self, call: &Call, effects: Vec<Effect>) -> bool {
        let mut finished = false;
        for effect in effects {
            finished |= matches!(effect, Effect::Finished { .. });
            self.carry(call, effect).await;
        }
        finished
    }

    async fn carry(&mut self, call: &Call, effect: Effect) {
        match effect {
            Effect::Ring { leg } => self.legs.ring(leg).await,
            Effect::StartEarlyMedia { leg } => {
                let done = self.legs.start_early_media(leg).await;
                self.refuse_unless(done, leg).await;
            }
            Effect::Answer { leg } => {
                let done = self.legs.answer(leg).await;
                self.refuse_unless(done, leg).await;
            }
            Effect::Reject { leg, cause } => self.legs.reject(leg, cause).await,
            Effect::Dial { leg, to, show, auto_answer, .. } => {
                if let Err(failure) = self.legs.dial(leg, to, &show, auto_answer, self.max_forwards).await {
                    self.own.push(Input::LegFailed { leg, failure });
                }
            }
            Effect::CancelDial { leg, elsewhere } => {
                self.legs.cancel(leg, elsewhere).await;
                // From here on the endpoint sees to the leg alone, a late 200 included.
                self.own.push(Input::LegFailed { leg, failure: LegFailure::Cancelled });
            }
            Effect::HangUpLeg { leg, cause } => self.legs.hang_up(leg, cause).await,

            Effect::Announce { leg } => self.announce(leg),
            Effect::Beep { leg } => self.legs.beep(leg),
            Effect::PlayRingback { leg } => self.legs.play(leg, PlayKind::Ringback),
            Effect::PlayMusic { leg } => self.legs.play(leg, PlayKind::Music),
            Effect::PlayComfort { leg } => self.legs.play(leg, PlayKind::Comfort),
            Effect::StopPlaying { leg } => self.legs.stop_playing(leg),
            Effect::Hear(changed) => self.legs.hear(changed),

            Effect::Identify { who } => self.identify(&who),
            Effect::ShowPop { pop, agent, queue } => self.pop(WaitingPop { pop, agent, queue, asked: clock::now() }),
            Effect::RetractPop { pop, agent, reason } => {
                self.waiting_pops.retain(|waiting| waiting.pop != pop);
                let queue = call.view().queue;
                self.submit(EventKind::PopRetracted { pop_id: pop, reason }, Some(agent), queue);
            }

            Effect::StartRecording { recording, client_leg } => self.start_recording(call, recording, client_leg),
            Effect::GateRecording { captures } => {
                if let Some(running) = &self.recording {
                    let gated = self.house.recorder.gate(running.key, captures, clock::now());
                    if gated.is_err() && !captures {
                        tracing::error!(recording.id = %running.id, "recording {} could not be paused, and ends here", running.id);
                        self.legs.untap(running.leg);
                    }
                }
            }
            Effect::MarkRecording { kind, label } => {
                if let Some(running) = &self.recording {
                    // A refused mark costs a mark, never audio; the recorder counts it.
                    let _ = self.house.recorder.mark(running.key, kind, label, clock::now());
                }
            }
            Effect::FinishRecording { keep } => self.end_recording(keep),

            Effect::Emit { kind, agent, queue } => {
                self.house.calls.show(call.view());
                self.submit(kind, agent, queue);
            }
            Effect::Unexpected { state, input, leg } => {
                tracing::debug!(call.id = %self.id, ?leg, "call {}: {input} does not fit {state}", self.id);
            }
            Effect::Finished { cause, ended_by } => {
                tracing::info!(call.id = %self.id, ?cause, ?ended_by, "call {} ended", self.id);
                metrics::counter!("perezvon_calls_ended_total", "cause" => cause.word()).increment(1);
            }
            effect => self.order_floor(effect).await,
        }
    }

    /// "This call is recorded", in the site's language.
    fn announce(&mut self, leg: LegId) {
        let language = self.house.site.load().language;
        match self.house.sounds.recorded(language) {
            Some(sound) => {
                self.announced = Some(leg);
                self.legs.media(leg, |media| MediaCommand::Play { media, sound, repeat: false, kind: PlayKind::Prompt });
            }
            None => {
                tracing::error!(call.id = %self.id, "call {} is recorded without being told so: there is no prompt `recorded`", self.id);
                self.own.push(Input::PromptEnded { leg });
            }
        }
    }

    async fn order_floor(&mut self, effect: Effect) {
        let call = self.id;
        let input = match effect {
            Effect::Enqueue { queue, priority, hints } => FloorInput::Enqueue { call, queue, priority, waited_ms: 0, hints },
            Effect::Hint { hints } => FloorInput::Hint { call, hints },
            Effect::LeaveQueue { abandoned } => FloorInput::Leave { call, abandoned },
            Effect::ConfirmGrant { grant } => FloorInput::Confirm { grant },
            Effect::GrantAnswered { grant, agent } => FloorInput::Answered { grant, agent, call },
            Effect::OfferEnded { grant, outcome } => FloorInput::OfferEnded { grant, outcome },
            Effect::AgentBusy { agent, doing } => FloorInput::Busy { agent, call, doing },
            Effect::AgentFree { agent } => FloorInput::Free { agent, call },
            _ => return,
        };
        // The floor only goes away when the server does.
        let _ = self.house.floor.send(floor_task::Order::Input(input)).await;
    }

    /// An arrived leg whose media could not be had cannot be answered: it is refused and gone.
    async fn refuse_unless(&mut self, done: Result<(), LegFailure>, leg: LegId) {
        if let Err(failure) = done {
            self.legs.reject(leg, failure.cause()).await;
            self.own.push(Input::LegEnded { leg, departure: Departure::Lost });
        }
    }

    fn identify(&mut self, who: &Party) {
        let caller = self.client.caller.get_or_insert_with(|| {
            let region = self.house.site.load().region;
            let text = CallerText {
                user: who.number.as_deref().unwrap_or_default(),
                display: who.display.as_deref(),
                ..CallerText::default()
            };
            read_caller(text, region)
        });
        let caller: Caller = caller.clone();
        let look_up = pops::look_up(self.house.clone(), self.inbox.clone(), caller, self.client.source.clone());
        super::tasks::spawn("look up", look_up);
    }

    fn pop(&mut self, waiting: WaitingPop) {
        match self.identity.clone() {
            Some(identity) => self.show_pop(waiting, identity),
            None => self.waiting_pops.push(waiting),
        }
    }

    fn submit(&self, kind: EventKind, agent: Option<crate::types::AgentId>, queue: Option<crate::types::QueueId>) {
        if let Some(running) = &self.recording {
            let address = Address { call: Some(self.id), agent: agent.clone(), queue: queue.clone() };
            self.house.calls.address_recording(running.id, address);
        }
        self.house.submit(Event { at: clock::wall(), call_id: Some(self.id), agent, queue, kind });
    }

    fn start_recording(&mut self, call: &Call, id: RecordingId, leg: LegId) {
        let view = call.view();
        let address = Address { call: Some(self.id), agent: view.agent, queue: view.queue };
        self.house.calls.address_recording(id, address);
        let key = self.house.recording_key();
        let begin = BeginRecording { key, id, call_id: self.id, started: clock::now(), started_wall: clock::wall() };
        match self.house.recorder.begin(begin) {
            Ok(()) => {
                self.legs.tap(leg, key);
                self.recording = Some(RunningRecording { id, key, leg });
            }
            Err(error) => {
                tracing::error!(call.id = %self.id, "call {} is not recorded: {error}", self.id);
                self.own.push(Input::RecordingFailed);
            }
        }
    }

    fn end_recording(&mut self, keep: bool) {
        let Some(running) = self.recording.take() else { return };
        self.legs.untap(running.leg);
        if !keep {
            self.house.calls.discard_recording(running.id);
        }
        let ended = self.house.recorder.finish(running.key, clock::now());
        if let Err(error) = ended {
            tracing::error!(recording.id = %running.id, "recording {} was not closed: {error}; the next start repairs it", running.id);
        }
    }

    /// When the task ends in any other way than by the machine's own `FinishRecording`.
    pub(super) async fn finish_recording(&mut self) {
        self.end_recording(true);
    }
}
