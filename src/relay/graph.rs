//! Who hears whom, for all legs of the relay. One value behind the handle, so that commands of any caller change it one
//! after the other; what a change means for a leg is told to that leg's thread as a whole (`Ties`), not as a difference,
//! so that no thread can come to another picture. It knows no audio. Plain values; `handle` calls it.

use std::collections::HashMap;

use super::command::MediaId;

/// The most legs one leg can hear; further ones are not heard.
pub(super) const MAX_SOURCES: usize = 32;
/// The most legs that can hear one leg; further ones do not hear it.
pub(super) const MAX_LISTENERS: usize = 32;

/// One leg's part of the graph, as its media thread needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// The legs it hears.
    pub sources: Vec<MediaId>,
    /// The legs that hear it.
    pub listeners: Vec<MediaId>,
    /// The listener that gets its keys too: the leg it talks with.
    pub keys_to: Option<MediaId>,
}

/// A leg whose ties are other than before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub leg: MediaId,
    pub ties: Ties,
    /// It begins to hear somebody, which ends what was played to it while it waited.
    pub begins_to_hear: bool,
}

/// Two legs talk with each other when each is the first that the other hears.
#[derive(Debug, Default)]
pub(super) struct Graph {
    legs: HashMap<MediaId, Node>,
}

#[derive(Debug, Default)]
struct Node {
    sources: Vec<MediaId>,
    listeners: Vec<MediaId>,
}

/// Legs that a command has touched, and which of them begin to hear somebody.
#[derive(Default)]
struct Touched(Vec<(MediaId, bool)>);

impl Touched {
    fn add(&mut self, leg: MediaId, begins_to_hear: bool) {
        match self.0.iter_mut().find(|(other, _)| *other == leg) {
            Some((_, begins)) => *begins |= begins_to_hear,
            None => self.0.push((leg, begins_to_hear)),
        }
    }
}

impl Graph {
    /// A new leg, which hears nobody and is heard by nobody.
    pub fn open(&mut self, leg: MediaId) {
        self.legs.insert(leg, Node::default());
    }

    /// A leg goes, with all its ties. The change does not name it.
    pub fn close(&mut self, leg: MediaId) -> Vec<Change> {
        let mut touched = Touched::default();
        self.set_sources(leg, Vec::new(), &mut touched);
        let listeners = self.legs.get(&leg).map(|node| node.listeners.clone()).unwrap_or_default();
        for listener in listeners {
            self.stop_hearing(listener, leg, &mut touched);
        }
        self.legs.remove(&leg);
        self.changes(touched)
    }

    /// `listener` hears `wanted` from now on and nobody else.
    pub fn hear(&mut self, listener: MediaId, wanted: &[MediaId]) -> Vec<Change> {
        let mut touched = Touched::default();
        self.begin_to_hear(listener, wanted, &mut touched);
        self.changes(touched)
    }

    /// The two hear each other and nobody else; those with whom they talked no longer hear them. A leg that is not there
    /// (any more) is heard by nobody.
    pub fn bridge(&mut self, a: MediaId, b: MediaId) -> Vec<Change> {
        let mut touched = Touched::default();
        if a == b {
            return Vec::new();
        }
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(former) = self.talks_with(leg).filter(|former| *former != other) {
                self.stop_hearing(former, leg, &mut touched);
            }
        }
        for (leg, other) in [(a, b), (b, a)] {
            self.begin_to_hear(leg, &[other], &mut touched);
            touched.add(leg, true);
        }
        self.changes(touched)
    }

    /// The leg and the one it talks with do not hear each other any more.
    pub fn unbridge(&mut self, leg: MediaId) -> Vec<Change> {
        let mut touched = Touched::default();
        if let Some(other) = self.talks_with(leg) {
            self.stop_hearing(leg, other, &mut touched);
            self.stop_hearing(other, leg, &mut touched);
        }
        self.changes(touched)
    }

    /// The other of the pair, if the leg is one of a pair.
    fn talks_with(&self, leg: MediaId) -> Option<MediaId> {
        let other = *self.legs.get(&leg)?.sources.first()?;
        (self.legs.get(&other)?.sources.first() == Some(&leg)).then_some(other)
    }

    fn begin_to_hear(&mut self, listener: MediaId, wanted: &[MediaId], touched: &mut Touched) {
        let mut sources: Vec<MediaId> = Vec::with_capacity(wanted.len().min(MAX_SOURCES));
        for source in wanted.iter().filter(|source| **source != listener) {
            let has_room = |node: &Node| node.listeners.contains(&listener) || node.listeners.len() < MAX_LISTENERS;
            if sources.len() < MAX_SOURCES && !sources.contains(source) && self.legs.get(source).is_some_and(has_room) {
                sources.push(*source);
            }
        }
        self.set_sources(listener, sources, touched);
    }

    fn stop_hearing(&mut self, listener: MediaId, source: MediaId, touched: &mut Touched) {
        let Some(node) = self.legs.get(&listener) else { return };
        let sources = node.sources.iter().copied().filter(|other| *other != source).collect();
        self.set_sources(listener, sources, touched);
    }

    /// All ties change here and nowhere else.
    fn set_sources(&mut self, listener: MediaId, sources: Vec<MediaId>, touched: &mut Touched) {
        let Some(node) = self.legs.get_mut(&listener) else { return };
        if node.sources == sources {
            return;
        }
        let former = std::mem::replace(&mut node.sources, sources.clone());
        touched.add(listener, sources.iter().any(|source| !former.contains(source)));
        // The first of a list may begin or cease to talk with the listener, though it is heard before and after.
        for first in [former.first(), sources.first()].into_iter().flatten() {
            touched.add(*first, false);
        }
        for source in former.iter().filter(|source| !sources.contains(source)) {
            if let Some(node) = self.legs.get_mut(source) {
                node.listeners.retain(|other| *other != listener);
                touched.add(*source, false);
            }
        }
        for source in sources.iter().filter(|source| !former.contains(source)) {
            if let Some(node) = self.legs.get_mut(source) {
                node.listeners.push(listener);
                touched.add(*source, false);
            }
        }
    }

    fn changes(&self, touched: Touched) -> Vec<Change> {
        let change = |(leg, begins_to_hear)| {
            let node = self.legs.get(&leg)?;
            let keys_to = self.talks_with(leg);
            let ties = Ties { sources: node.sources.clone(), listeners: node.listeners.clone(), keys_to };
            Some(Change { leg, ties, begins_to_hear })
        };
        touched.0.into_iter().filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(pair: u16) -> MediaId {
        MediaId { thread: pair % 3, pair, turn: 1 }
    }

    fn graph(legs: u16) -> Graph {
        let mut graph = Graph::default();
        (0..legs).for_each(|pair| graph.open(id(pair)));
        graph
    }

    fn hears(graph: &Graph, listener: u16) -> Vec<u16> {
        graph.legs[&id(listener)].sources.iter().map(|source| source.pair).collect()
    }

    fn ties_of(changes: &[Change], leg: u16) -> &Ties {
        &changes.iter().find(|change| change.leg == id(leg)).unwrap().ties
    }

    #[test]
    fn a_bridge_is_two_legs_that_hear_each_other_and_get_each_others_keys() {
        let mut graph = graph(2);
        let changes = graph.bridge(id(0), id(1));
        assert_eq!(changes.len(), 2);
        for (leg, other) in [(0, id(1)), (1, id(0))] {
            let expected = Ties { sources: vec![other], listeners: vec![other], keys_to: Some(other) };
            assert_eq!(*ties_of(&changes, leg), expected);
        }
        assert!(changes.iter().all(|change| change.begins_to_hear));
    }

    #[test]
    fn a_new_bridge_ends_the_former_ones_of_both() {
        let mut graph = graph(4);
        graph.bridge(id(0), id(1));
        graph.bridge(id(2), id(3));
        let changes = graph.bridge(id(1), id(2));
        assert_eq!((hears(&graph, 0), hears(&graph, 3)), (vec![], vec![]));
        assert_eq!((hears(&graph, 1), hears(&graph, 2)), (vec![2], vec![1]));
        assert_eq!(*ties_of(&changes, 0), Ties::default());
        assert_eq!(changes.len(), 4);
    }

    #[test]
    fn a_supervisor_listens_whispers_and_leaves_and_gets_no_keys() {
        let (client, agent, supervisor) = (0, 1, 2);
        let mut graph = graph(3);
        graph.bridge(id(client), id(agent));
        let listen = graph.hear(id(supervisor), &[id(client), id(agent)]);
        assert_eq!(ties_of(&listen, client).listeners, [id(agent), id(supervisor)]);
        assert_eq!(ties_of(&listen, client).keys_to, Some(id(agent)));
        let whisper = graph.hear(id(agent), &[id(client), id(supervisor)]);
        assert_eq!(ties_of(&whisper, agent).keys_to, Some(id(client)), "the bridge stands");
        assert_eq!(ties_of(&whisper, supervisor).keys_to, None);
        assert_eq!(hears(&graph, client), [agent]);
        let gone = graph.close(id(supervisor));
        assert_eq!(hears(&graph, agent), [client]);
        assert_eq!(ties_of(&gone, client).listeners, [id(agent)]);
        assert!(gone.iter().all(|change| !change.begins_to_hear));
    }

    #[test]
    fn a_leg_that_no_longer_hears_the_other_of_its_bridge_gets_no_more_keys_nor_gives_them() {
        let mut graph = graph(3);
        graph.bridge(id(0), id(1));
        let changes = graph.hear(id(0), &[id(2)]);
        assert_eq!(ties_of(&changes, 1).keys_to, None);
        assert_eq!(ties_of(&changes, 0).keys_to, None);
        assert_eq!(hears(&graph, 1), [0], "it is still heard by the other");
        assert!(graph.unbridge(id(1)).is_empty(), "there is no bridge to end");
        let back = graph.hear(id(0), &[id(1), id(2)]);
        assert_eq!((ties_of(&back, 0).keys_to, ties_of(&back, 1).keys_to), (Some(id(1)), Some(id(0))));
        let aside = graph.hear(id(0), &[id(2), id(1)]);
        assert_eq!((ties_of(&aside, 0).keys_to, ties_of(&aside, 1).keys_to), (None, None), "the first counts");
    }

    #[test]
    fn unbridging_leaves_the_others_that_a_leg_hears() {
        let mut graph = graph(3);
        graph.bridge(id(0), id(1));
        graph.hear(id(0), &[id(1), id(2)]);
        graph.unbridge(id(1));
        assert_eq!((hears(&graph, 0), hears(&graph, 1)), (vec![2], vec![]));
    }

    #[test]
    fn only_a_source_that_is_new_makes_a_leg_begin_to_hear() {
        let mut graph = graph(3);
        let begins = |changes: Vec<Change>| changes.iter().any(|change| change.leg == id(0) && change.begins_to_hear);
        assert!(begins(graph.hear(id(0), &[id(1), id(2)])));
        assert!(!begins(graph.hear(id(0), &[id(2)])));
        assert!(!begins(graph.hear(id(0), &[])));
        assert!(begins(graph.bridge(id(0), id(1))));
        assert!(begins(graph.bridge(id(0), id(1))), "a bridge always ends the music");
        assert!(graph.hear(id(0), &[id(1)]).is_empty(), "nothing changes");
    }

    #[test]
    fn nobody_hears_itself_or_a_leg_that_is_gone() {
        let mut graph = graph(3);
        graph.close(id(2));
        graph.hear(id(0), &[id(0), id(1), id(1), id(2)]);
        assert_eq!(hears(&graph, 0), [1]);
        assert!(graph.hear(id(2), &[id(0)]).is_empty());
        assert!(graph.bridge(id(1), id(1)).is_empty());
        let changes = graph.bridge(id(1), id(2));
        assert_eq!(*ties_of(&changes, 1), Ties { sources: vec![], listeners: vec![id(0)], keys_to: None });
        assert_eq!(graph.legs.len(), 2);
    }

    #[test]
    fn sources_and_listeners_are_bounded() {
        let mut graph = graph(80);
        let all: Vec<MediaId> = (0..80).map(id).collect();
        graph.hear(id(0), &all);
        assert_eq!(graph.legs[&id(0)].sources.len(), MAX_SOURCES);
        for listener in 1..80 {
            graph.hear(id(listener), &[id(0)]);
        }
        assert_eq!(graph.legs[&id(0)].listeners.len(), MAX_LISTENERS);
        assert_eq!((1..80).filter(|listener| !hears(&graph, *listener).is_empty()).count(), MAX_LISTENERS);
    }

    fn any_command() -> impl Strategy<Value = (u8, u16, u16, Vec<u16>)> {
        (0u8..5, 0u16..6, 0u16..6, proptest::collection::vec(0u16..6, 0..5))
    }

    proptest! {
        #[test]
        fn both_ends_of_every_tie_agree_and_every_change_is_told(commands in proptest::collection::vec(any_command(), 0..60)) {
            let mut graph = graph(6);
            let mut told: HashMap<MediaId, Ties> = HashMap::new();
            for (what, a, b, sources) in commands {
                let sources: Vec<MediaId> = sources.into_iter().map(id).collect();
                let changes = match what {
                    0 => graph.hear(id(a), &sources),
                    1 => graph.bridge(id(a), id(b)),
                    2 => graph.unbridge(id(a)),
                    3 => {
                        told.remove(&id(a));
                        graph.close(id(a))
                    }
                    _ => {
                        let changes = graph.close(id(a));
                        graph.open(id(a));
                        told.remove(&id(a));
                        changes
                    }
                };
                for change in changes {
                    told.insert(change.leg, change.ties);
                }
                for (leg, node) in &graph.legs {
                    prop_assert!(node.sources.iter().all(|source| graph.legs[source].listeners.contains(leg)));
                    prop_assert!(node.listeners.iter().all(|listener| graph.legs[listener].sources.contains(leg)));
                    if let Some(other) = graph.talks_with(*leg) {
                        prop_assert_eq!(graph.talks_with(other), Some(*leg));
                    }
                    let known = told.get(leg).cloned().unwrap_or_default();
                    prop_assert_eq!(&known.sources, &node.sources);
                    prop_assert_eq!(&known.listeners, &node.listeners);
                    prop_assert_eq!(known.keys_to, graph.talks_with(*leg));
                }
            }
        }
    }
}
