//! Which card a caller is: known, ambiguous, unknown or withheld, with the reason in plain words. It ranks the cards
//! that `store` found by number and finds none itself; `engine` asks it once for every call.

use crate::cards::Caller;
use crate::events::{Candidate, CardBrief, Match};
use crate::site::Language;
use crate::types::Wall;

/// What a number on a card is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// The number by which the client wants to be known.
    Main,
    Mobile,
    Work,
    Home,
    Fax,
    Other,
}

impl NumberKind {
    /// The word in the database and in JSON; an unknown word is `Other`.
    pub fn from_name(name: &str) -> NumberKind {
        match name {
            "main" => NumberKind::Main,
            "mobile" => NumberKind::Mobile,
            "work" => NumberKind::Work,
            "home" => NumberKind::Home,
            "fax" => NumberKind::Fax,
            _ => NumberKind::Other,
        }
    }
}

/// A card that carries the caller's number, with what ranks it.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateCard {
    pub brief: CardBrief,
    /// What the matching number is for on this card.
    pub number_kind: NumberKind,
    /// The extension that stands with the number on this card.
    pub extension: Option<String>,
    /// A switchboard or family line that several people speak from.
    pub is_shared: bool,
    /// When we last spoke, in either direction.
    pub last_contact: Option<Wall>,
    /// How many times we spoke.
    pub contacts: u32,
}

/// Whom we think it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    pub matched: Match,
    /// One sentence in the asked language.
    pub reason: String,
    /// Set only when `matched` is `Known`.
    pub card: Option<CardBrief>,
    /// Best first, ranks from 1, at most [`MAX_CANDIDATES`]; the chosen card is the first. Empty when nobody was found.
    pub candidates: Vec<Candidate>,
    /// An unknown caller with a public number: a stub card is to be made.
    pub needs_stub: bool,
}

/// As many as a chooser can show with one key each.
pub const MAX_CANDIDATES: usize = 9;

/// A card spoken with this much later than every other card of the number is the likely one: a quarter of a year.
const CLEARLY_LATER_MS: u64 = 90 * 24 * 3600 * 1000;

/// Compares the cards found for the caller's number and says whom we think it is.
pub fn identify(caller: &Caller, found: Vec<CandidateCard>, language: Language) -> Identity {
    let nobody = |matched, why: Why, needs_stub| Identity {
        matched,
        reason: why.in_words(language),
        card: None,
        candidates: Vec::new(),
        needs_stub,
    };
    let extension = match caller {
        Caller::Withheld => return nobody(Match::Withheld, Why::Withheld, false),
        Caller::Unknown { .. } => return nobody(Match::Unknown, Why::NoNumber, false),
        Caller::Short { .. } => return nobody(Match::Unknown, Why::ShortNumber, false),
        Caller::Known { extension, .. } => extension.as_deref(),
    };
    if found.is_empty() {
        return nobody(Match::Unknown, Why::NoCard, true);
    }
    let ranked = ranked(found, extension);
    let (matched, why) = verdict(&ranked, extension);
    Identity {
        matched,
        reason: why.in_words(language),
        card: ranked.first().filter(|_| matched == Match::Known).map(|best| best.brief.clone()),
        candidates: candidates(ranked, extension, language),
        needs_stub: false,
    }
}

/// Best first. The order is total, so that the same rows make the same list every time.
fn ranked(mut found: Vec<CandidateCard>, extension: Option<&str>) -> Vec<CandidateCard> {
    found.sort_by(|a, b| {
        let key = |card: &CandidateCard| {
            let last_contact = card.last_contact.map(|at| std::cmp::Reverse(at.as_micros()));
            // `None` would sort before every `Some`; a card never spoken with comes last instead.
            let never_spoken = last_contact.is_none();
            let strength = (!has_extension(card, extension), card.is_shared, kind_order(card.number_kind));
            (strength, never_spoken, last_contact, std::cmp::Reverse(card.contacts))
        };
        key(a).cmp(&key(b)).then_with(|| a.brief.name.cmp(&b.brief.name)).then_with(|| a.brief.id.cmp(&b.brief.id))
    });
    // A card may carry the number twice; its better row came first.
    let mut seen = Vec::with_capacity(found.len());
    found.retain(|card| {
        let is_new = !seen.contains(&card.brief.id);
        seen.push(card.brief.id);
        is_new
    });
    found
}

fn has_extension(card: &CandidateCard, extension: Option<&str>) -> bool {
    extension.is_some() && card.extension.as_deref() == extension
}

/// Main numbers first; the other kinds say nothing about who speaks, except that nobody speaks from a fax.
fn kind_order(kind: NumberKind) -> u8 {
    match kind {
        NumberKind::Main => 0,
        NumberKind::Mobile | NumberKind::Work | NumberKind::Home | NumberKind::Other => 1,
        NumberKind::Fax => 2,
    }
}

/// Whether the best card is the one, and why. `ranked` is not empty.
fn verdict(ranked: &[CandidateCard], extension: Option<&str>) -> (Match, Why) {
    let by_extension = ranked.iter().filter(|card| has_extension(card, extension)).count();
    let personal = ranked.iter().filter(|card| !card.is_shared).count();
    let main = ranked.iter().filter(|card| !card.is_shared && card.number_kind == NumberKind::Main).count();
    match ranked {
        [only] if has_extension(only, extension) => (Match::Known, Why::Extension),
        [only] => (Match::Known, if only.is_shared { Why::OnlyCardOfShared } else { Why::OnlyCard }),
        _ if by_extension == 1 => (Match::Known, Why::Extension),
        // A switchboard: how lately somebody called says nothing about who calls now.
        _ if by_extension > 1 || personal == 0 => (Match::Ambiguous, Why::SharedNumber(ranked.len())),
        _ if personal == 1 => (Match::Known, Why::OwnNumber),
        _ if main == 1 => (Match::Known, Why::MainNumber),
        [first, rest @ ..] if is_clearly_later(first, rest) => (Match::Known, Why::LaterContact),
        _ => (Match::Ambiguous, Why::SeveralCards(ranked.len())),
    }
}

fn is_clearly_later(first: &CandidateCard, rest: &[CandidateCard]) -> bool {
    let Some(last) = first.last_contact else { return false };
    rest.iter()
        .filter(|card| !card.is_shared)
        .all(|card| card.last_contact.is_none_or(|other| last.millis_since(other) >= CLEARLY_LATER_MS))
}

fn candidates(ranked: Vec<CandidateCard>, extension: Option<&str>, language: Language) -> Vec<Candidate> {
    let rows = ranked.into_iter().take(MAX_CANDIDATES).zip(1..);
    rows.map(|(card, rank)| Candidate { reason: candidate_reason(&card, extension, language), rank, card: card.brief }).collect()
}

/// What speaks for one card: the number's part first, then how often and when we spoke.
fn candidate_reason(card: &CandidateCard, extension: Option<&str>, language: Language) -> String {
    let russian = language == Language::Ru;
    let pick = |ru: &'static str, en: &'static str| if russian { ru } else { en };
    let number = match card.number_kind {
        _ if has_extension(card, extension) => pick("добавочный совпал", "the extension matches"),
        _ if card.is_shared => pick("общий номер", "shared number"),
        NumberKind::Main => pick("основной номер", "main number"),
        NumberKind::Mobile => pick("мобильный", "mobile"),
        NumberKind::Work => pick("рабочий номер", "work number"),
        NumberKind::Home => pick("домашний номер", "home number"),
        NumberKind::Fax => pick("факс", "fax"),
        NumberKind::Other => pick("номер в карточке", "number on the card"),
    };
    let spoken = match (card.contacts, card.last_contact) {
        (0, None) => pick("контактов не было", "no contact yet").to_owned(),
        (_, None) => format!("{}: {}", pick("контактов", "contacts"), card.contacts),
        (_, Some(at)) => {
            let day = at.as_datetime().format(pick("%d.%m.%Y", "%Y-%m-%d"));
            let count = card.contacts.max(1);
            format!("{}: {count}, {} {day}", pick("контактов", "contacts"), pick("последний", "last on"))
        }
    };
    format!("{number}; {spoken}")
}

/// Why this verdict.
enum Why {
    Withheld,
    NoNumber,
    ShortNumber,
    NoCard,
    OnlyCard,
    OnlyCardOfShared,
    Extension,
    OwnNumber,
    MainNumber,
    LaterContact,
    SharedNumber(usize),
    SeveralCards(usize),
}

impl Why {
    fn in_words(&self, language: Language) -> String {
        let (ru, en) = match self {
            Why::Withheld => ("Номер скрыт звонящим", "The caller withheld the number"),
            Why::NoNumber => ("Номер не передан", "No number was sent"),
            Why::ShortNumber => ("Короткий номер, карточки не ищутся", "A short number: cards are not searched"),
            Why::NoCard => ("Номера нет ни в одной карточке", "No card carries this number"),
            Why::OnlyCard => ("Номер есть только в этой карточке", "Only this card carries the number"),
            Why::OnlyCardOfShared => ("Общий номер, но карточка с ним одна", "A shared number, but only one card carries it"),
            Why::Extension => ("Совпали номер и добавочный", "Number and extension match"),
            Why::OwnNumber => ("Личный номер, у остальных он общий", "The client's own number; the others share it"),
            Why::MainNumber => ("Основной номер этого клиента", "The main number of this client"),
            Why::LaterContact => {
                ("С этим клиентом говорили намного позже других", "We spoke with this client far later than with the others")
            }
            Why::SharedNumber(_) => ("Общий номер, карточек", "Shared number, cards"),
            Why::SeveralCards(_) => ("Номер в нескольких карточках", "Several cards carry the number"),
        };
        let words = if language == Language::Ru { ru } else { en };
        match self {
            Why::SharedNumber(cards) | Why::SeveralCards(cards) => format!("{words}: {cards}"),
            _ => words.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use uuid::Uuid;

    use super::*;
    use crate::types::{CardId, E164, Region};

    const DAY_US: i64 = 24 * 3600 * 1_000_000;

    fn caller(extension: Option<&str>) -> Caller {
        let number = E164::parse("+74951234567", Region::RU).unwrap();
        Caller::Known { number, extension: extension.map(str::to_owned), display: None }
    }

    fn card(name: &str) -> CandidateCard {
        let id = CardId(Uuid::from_u128(name.bytes().fold(0, |sum, b| sum * 256 + u128::from(b))));
        let url = format!("/clients/{id}");
        let brief = CardBrief { id, name: name.into(), company: None, owner: None, url, tags: Vec::new(), fields: Map::new() };
        CandidateCard {
            brief,
            number_kind: NumberKind::Mobile,
            extension: None,
            is_shared: false,
            last_contact: None,
            contacts: 0,
        }
    }

    fn shared(name: &str) -> CandidateCard {
        CandidateCard { is_shared: true, number_kind: NumberKind::Work, ..card(name) }
    }

    fn spoken(name: &str, day: i64) -> CandidateCard {
        CandidateCard { last_contact: Some(Wall::from_micros(day * DAY_US)), contacts: 3, ..card(name) }
    }

    fn names(identity: &Identity) -> Vec<&str> {
        identity.candidates.iter().map(|candidate| candidate.card.name.as_str()).collect()
    }

    fn chosen(identity: &Identity) -> Option<&str> {
        identity.card.as_ref().map(|card| card.name.as_str())
    }

    #[test]
    fn one_card_is_known() {
        let identity = identify(&caller(None), vec![card("anna")], Language::En);
        assert_eq!((identity.matched, chosen(&identity)), (Match::Known, Some("anna")));
        assert_eq!(identity.reason, "Only this card carries the number");
        assert_eq!(identity.candidates.len(), 1);
        assert!(!identity.needs_stub);
        let russian = identify(&caller(None), vec![card("anna")], Language::Ru);
        assert_eq!(russian.reason, "Номер есть только в этой карточке");
    }

    #[test]
    fn a_public_number_on_no_card_asks_for_a_stub_and_nothing_else_does() {
        let stub = identify(&caller(None), vec![], Language::En);
        assert_eq!((stub.matched, stub.needs_stub), (Match::Unknown, true));
        let others = [
            (Caller::Withheld, Match::Withheld),
            (Caller::Unknown { text: None, display: None }, Match::Unknown),
            (Caller::Short { digits: "101".into(), display: None }, Match::Unknown),
        ];
        for (caller, matched) in others {
            // Rows that should never have been looked for change nothing.
            let identity = identify(&caller, vec![card("anna")], Language::En);
            assert_eq!((identity.matched, identity.needs_stub, identity.card), (matched, false, None));
            assert!(identity.candidates.is_empty());
        }
    }

    #[test]
    fn a_switchboard_number_is_ambiguous_however_lately_someone_called() {
        let lately = CandidateCard { is_shared: true, ..spoken("boris", 1000) };
        let identity = identify(&caller(None), vec![shared("anna"), lately], Language::Ru);
        assert_eq!((identity.matched, chosen(&identity)), (Match::Ambiguous, None));
        assert_eq!(names(&identity), ["boris", "anna"]);
        assert_eq!(identity.reason, "Общий номер, карточек: 2");
        let reasons: Vec<_> = identity.candidates.iter().map(|c| (c.rank, c.reason.as_str())).collect();
        assert_eq!(reasons, [(1, "общий номер; контактов: 3, последний 27.09.1972"), (2, "общий номер; контактов не было")]);
        assert!(!identity.needs_stub);
    }

    #[test]
    fn the_extension_tells_who_calls_from_a_switchboard() {
        let with = |name, extension: &str| CandidateCard { extension: Some(extension.into()), ..shared(name) };
        let found = vec![with("anna", "11"), with("boris", "12"), shared("clara")];
        let identity = identify(&caller(Some("12")), found.clone(), Language::En);
        assert_eq!((identity.matched, chosen(&identity)), (Match::Known, Some("boris")));
        assert_eq!(identity.candidates[0].reason, "the extension matches; no contact yet");
        let nobody = identify(&caller(Some("13")), found.clone(), Language::En);
        assert_eq!(nobody.matched, Match::Ambiguous);
        let without = identify(&caller(None), found, Language::En);
        assert_eq!(without.matched, Match::Ambiguous);
        let twice = identify(&caller(Some("12")), vec![with("anna", "12"), with("boris", "12")], Language::En);
        assert_eq!(twice.matched, Match::Ambiguous);
    }

    #[test]
    fn an_own_number_beats_shared_ones_and_a_main_number_beats_others() {
        let identity = identify(&caller(None), vec![shared("anna"), card("boris")], Language::En);
        assert_eq!((identity.matched, chosen(&identity)), (Match::Known, Some("boris")));
        let main = CandidateCard { number_kind: NumberKind::Main, ..card("clara") };
        let identity = identify(&caller(None), vec![spoken("anna", 1000), main.clone()], Language::En);
        assert_eq!((identity.matched, chosen(&identity)), (Match::Known, Some("clara")));
        let second = CandidateCard { brief: card("dora").brief, ..main.clone() };
        let identity = identify(&caller(None), vec![main, second], Language::En);
        assert_eq!(identity.matched, Match::Ambiguous);
    }

    #[test]
    fn a_far_later_contact_decides_and_a_slightly_later_one_does_not() {
        let far = identify(&caller(None), vec![spoken("anna", 900), spoken("boris", 1000)], Language::En);
        assert_eq!((far.matched, chosen(&far)), (Match::Known, Some("boris")));
        let near = identify(&caller(None), vec![spoken("anna", 990), spoken("boris", 1000)], Language::En);
        assert_eq!((near.matched, chosen(&near)), (Match::Ambiguous, None));
        assert_eq!(names(&near), ["boris", "anna"]);
        let never = identify(&caller(None), vec![card("anna"), spoken("boris", 5)], Language::En);
        assert_eq!(chosen(&never), Some("boris"));
        let none = identify(&caller(None), vec![card("anna"), card("boris")], Language::En);
        assert_eq!(none.matched, Match::Ambiguous);
    }

    #[test]
    fn the_order_of_the_rows_changes_nothing_and_long_lists_are_cut() {
        let mut found: Vec<_> = (0..30).map(|n| spoken(&format!("card {n:02}"), 100 + n % 3)).collect();
        let forward = identify(&caller(None), found.clone(), Language::En);
        found.reverse();
        assert_eq!(forward, identify(&caller(None), found, Language::En));
        assert_eq!(forward.candidates.len(), MAX_CANDIDATES);
        assert_eq!(forward.candidates.iter().map(|c| c.rank).collect::<Vec<_>>(), (1..=9).collect::<Vec<u32>>());
        assert_eq!(forward.reason, "Several cards carry the number: 30");
    }

    #[test]
    fn a_card_that_carries_the_number_twice_is_one_candidate() {
        let work = CandidateCard { number_kind: NumberKind::Fax, ..card("anna") };
        let identity = identify(&caller(None), vec![work, card("anna")], Language::En);
        assert_eq!((identity.matched, identity.candidates.len()), (Match::Known, 1));
        assert_eq!(identity.candidates[0].reason, "mobile; no contact yet");
    }
}
