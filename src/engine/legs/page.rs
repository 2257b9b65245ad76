//! A browser's leg outlives its page. When the page is reloaded or its network changes, the media falls silent; the leg
//! keeps its place, and as soon as a page of the same person registers, it is called with an INVITE that answers itself.
//! Its new dialog and media take the old ones' place; the call only hears that the leg was away and is back.
//!
//! ```text
//! here ──Faint──→ faint ──Lost──→ lost       faint: after a second of silence; lost: after eight
//!   ↑               │ the page has gone,       │
//!   │               │ another has come         │ any page is there
//!   └──Back─────────┴──── called again ←───────┘
//! ```

use bytes::Bytes;

use super::Legs;
use super::leg::{Leg, Line};
use crate::call::Input;
use crate::engine::sip_task::Order;
use crate::gateway::sdp::Direction;
use crate::sip::endpoint::{Body, Command, Dial, DialTarget, Event, Identity, Offered};
use crate::sip::wire::{HeaderName, Text};
use crate::types::{AgentId, LegId};

/// What happened to a person's pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum PageNews {
    /// One has registered by a new connection.
    Came(String),
    /// One is registered no more.
    Gone(String),
}

/// Calls of one leg's person back into it; a page that refuses so often will not take it.
const MOST_TRIES: u8 = 5;

/// How far a browser's leg is there.
#[derive(Default)]
pub(super) struct Presence {
    hearing: Hearing,
    /// The page that the leg was made with, as its Contact names it.
    page: Option<String>,
    page_has_gone: bool,
    /// A page that has come since, and is another.
    has_another: bool,
    /// The call has been told that the leg is away.
    is_told: bool,
    tries: u8,
    returning: Option<Returning>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Hearing {
    #[default]
    Here,
    Faint,
    Lost,
}

/// The INVITE that brings it back.
struct Returning {
    sip: LegId,
    line: Line,
}

impl Legs {
    /// The leg has a browser's line now, and this is its page: news of its person's pages concern it.
    pub(super) fn watch_page(&mut self, id: LegId, page: Option<String>) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_browser()) else { return };
        leg.presence = Presence { page, ..Presence::default() };
        if let Some(agent) = leg.agent.clone() {
            self.house.calls.watch_pages(agent, self.inbox.clone(), id);
        }
    }

    /// Nothing has come from the browser for a second.
    pub async fn faint(&mut self, id: LegId) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        if leg.presence.hearing == Hearing::Here {
            leg.presence.hearing = Hearing::Faint;
        }
        self.call_back(id).await
    }

    /// Nothing has come for eight seconds.
    pub async fn lost(&mut self, id: LegId) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        leg.presence.hearing = Hearing::Lost;
        let told = self.tell_away(id);
        self.call_back(id).await.or(told)
    }

    /// The browser is heard again, without having been called.
    pub async fn back(&mut self, id: LegId) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        leg.presence.hearing = Hearing::Here;
        let returning = leg.presence.returning.take();
        let was_told = std::mem::take(&mut leg.presence.is_told);
        if let Some(Returning { sip, line }) = returning {
            self.order(Command::Cancel { leg: sip, reason: None }).await;
            self.drop_lines([line]);
        }
        was_told.then_some(Input::LegBack { leg: id })
    }

    pub async fn page_news(&mut self, id: LegId, news: PageNews) -> Option<Input> {
        let presence = &mut self.legs.get_mut(&id)?.presence;
        let is_own = |page: &String| presence.page.as_ref() == Some(page);
        match news {
            PageNews::Came(page) if is_own(&page) => presence.page_has_gone = false,
            PageNews::Came(_) => presence.has_another = true,
            PageNews::Gone(page) => presence.page_has_gone |= is_own(&page),
        }
        self.call_back(id).await
    }

    /// Calls the person's newest page back into the call when it is time: at once when the page has gone and another has come,
    /// else not before the old media is given up, for the page may mend it by itself.
    async fn call_back(&mut self, id: LegId) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let presence = &leg.presence;
        let is_due = match presence.hearing {
            Hearing::Here => false,
            Hearing::Faint => presence.page_has_gone && presence.has_another,
            Hearing::Lost => true,
        };
        let may = leg.is_answered && leg.is_browser() && presence.returning.is_none() && presence.tries < MOST_TRIES;
        if !is_due || !may || !leg.agent.as_ref().is_some_and(|agent| self.house.phones.has_browser(agent)) {
            return None;
        }
        let told = self.tell_away(id);
        self.invite_back(id).await;
        told
    }

    fn tell_away(&mut self, id: LegId) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let is_news = leg.is_answered && !std::mem::replace(&mut leg.presence.is_told, true);
        is_news.then_some(Input::LegAway { leg: id })
    }

    async fn invite_back(&mut self, id: LegId) {
        let codecs = self.codecs_for(id);
        let Some(agent) = self.legs.get(&id).and_then(|leg| leg.agent.clone()) else { return };
        let Some(far) = self.house.phones.of(&agent).and_then(|at| at.browser) else { return };
        let Ok(mut line) = self.browser_line(far, &codecs) else { return };
        self.house.calls.attach_media(line.media, self.inbox.clone(), id);
        let body = Bytes::from(line.session.offer(Direction::SendRecv));
        // The endpoint's own legs have the top bit.
        let sip = LegId(rand::random::<u64>() >> 1);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.presence.tries += 1;
        leg.presence.returning = Some(Returning { sip, line });
        let dial = self.call_into(sip, id, agent, body);
        let order = Order::Dial { leg: sip, inbox: self.inbox.clone(), command: Command::Invite(Box::new(dial)) };
        // The SIP task only goes away when the server does.
        let _ = self.house.sip.send(order).await;
    }

    fn call_into(&self, sip: LegId, id: LegId, agent: AgentId, body: Bytes) -> Dial {
        let leg = self.legs.get(&id);
        let shows = leg.map(|leg| leg.shows.clone()).unwrap_or_default();
        let mut headers = self.headers_for_person(true);
        headers.push((HeaderName::Other(Text::constant("X-Perezvon-Resume")), Text::from(self.call.to_string())));
        if leg.is_some_and(|leg| leg.is_holding) {
            headers.push((HeaderName::Other(Text::constant("X-Perezvon-Held")), Text::constant("true")));
        }
        Dial {
            leg: sip,
            target: DialTarget::Browser(agent),
            from: super::dial::identity_of(&shows),
            to: Identity::default(),
            headers,
            body: None,
            fallback: None,
            browser: Some(Body::sdp(body)),
            credentials: None,
            max_forwards: 70,
        }
    }

    /// Whose way back this is.
    pub(in crate::engine) fn returning_by(&self, sip: LegId) -> Option<LegId> {
        let is_it = |leg: &Leg| leg.presence.returning.as_ref().is_some_and(|returning| returning.sip == sip);
        self.legs.iter().find(|(_, leg)| is_it(leg)).map(|(id, _)| *id)
    }

    /// What the INVITE that brings a leg back has come to.
    pub(super) async fn read_return(&mut self, id: LegId, event: Event) -> Option<Input> {
        match event {
            Event::Answered { response, sdp, .. } => {
                let page = response.headers.contact().ok().flatten().map(|contact| page_of(&contact.uri));
                self.returned(id, sdp, page).await
            }
            Event::Failed { .. } | Event::Bye { .. } => {
                self.forget_return(id);
                None
            }
            _ => None,
        }
    }

    /// The way back has failed; the next page that comes is called again.
    pub(in crate::engine) fn forget_return(&mut self, id: LegId) {
        let returning = self.legs.get_mut(&id).and_then(|leg| leg.presence.returning.take());
        self.drop_lines(returning.map(|returning| returning.line));
    }

    /// The new dialog and media take the place of the old, which end without a word to the call.
    async fn returned(&mut self, id: LegId, sdp: Option<Bytes>, page: Option<String>) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let Returning { sip, mut line } = leg.presence.returning.take()?;
        let answer = sdp.and_then(|sdp| String::from_utf8(sdp.to_vec()).ok());
        let is_agreed = answer.is_some_and(|answer| line.session.accept_answer(&answer).is_ok());
        if !is_agreed {
            self.order(Command::Bye { leg: sip, reason: None }).await;
            self.drop_lines([line]);
            return None;
        }
        let old_sip = std::mem::replace(&mut leg.sip, sip);
        let old_lines = std::mem::replace(&mut leg.lines, [line].into_iter().collect());
        leg.in_use = Some(Offered::Browser);
        leg.held_answer = None;
        let was_told = leg.presence.is_told;
        self.drop_lines(old_lines);
        self.order(Command::Bye { leg: old_sip, reason: None }).await;
        let _ = self.house.sip.send(Order::Forget(vec![old_sip])).await;
        self.connect(id);
        self.rewire(id);
        self.watch_page(id, page);
        was_told.then_some(Input::LegBack { leg: id })
    }

    /// What is still under way when the leg closes: its INVITE, to be cancelled.
    pub(super) fn abandon_return(&mut self, id: LegId) -> Option<LegId> {
        let returning = self.legs.get_mut(&id)?.presence.returning.take()?;
        self.drop_lines([returning.line]);
        self.gone.push(returning.sip);
        Some(returning.sip)
    }
}

/// A page as its Contact names it: user and host, without parameters that come and go.
pub(in crate::engine) fn page_of(contact: &crate::sip::wire::Uri) -> String {
    let host = contact.host().map(ToString::to_string).unwrap_or_default();
    format!("{}@{host}", contact.user_decoded().unwrap_or_default())
}
