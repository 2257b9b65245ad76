//! Sessions and API tokens: opaque, hashed, revoked at once.

use std::time::Duration;

use perezvon::store::SessionKind;
use perezvon::types::AgentId;

use super::samples::at;
use crate::support::databases::{TestDb, on_both};

on_both! {
    a_token_opens_its_session_until_it_expires,
    an_api_token_lives_until_it_is_revoked,
    every_session_of_a_person_can_be_ended_at_once,
    no_token_is_stored,
}

async fn a_token_opens_its_session_until_it_expires(db: TestDb) {
    let anna = AgentId::new("anna");
    let (token, session) =
        db.store.create_session(&anna, SessionKind::Browser, Some(Duration::from_secs(60)), at(0)).await.expect("made");
    assert_eq!(token.as_str().len(), 43, "256 bits in base64url");
    assert!(!format!("{token:?}").contains(token.as_str()));
    assert_eq!(db.store.session_by_token(token.as_str(), at(59)).await.expect("readable"), Some(session.clone()));
    assert_eq!((session.login, session.kind, session.expires_at), (anna, SessionKind::Browser, Some(at(60))));
    assert_eq!(db.store.session_by_token(token.as_str(), at(60)).await.expect("readable"), None);
    for wrong in ["", "x", &token.as_str()[..42], &format!("{}A", token.as_str())] {
        assert_eq!(db.store.session_by_token(wrong, at(1)).await.expect("readable"), None, "{wrong}");
    }
    assert_eq!(db.store.sweep_sessions(at(60)).await.expect("swept"), 1);
}

async fn an_api_token_lives_until_it_is_revoked(db: TestDb) {
    let (token, session) = db.store.create_session(&AgentId::new("olga"), SessionKind::Api, None, at(0)).await.expect("made");
    assert_eq!(db.store.sweep_sessions(at(1_000_000)).await.expect("swept"), 0);
    let found = db.store.session_by_token(token.as_str(), at(1_000_000)).await.expect("readable");
    assert_eq!(found.map(|s| (s.kind, s.expires_at)), Some((SessionKind::Api, None)));
    let mut revocations = db.store.session_revocations();
    assert!(db.store.revoke_session(session.id).await.expect("revoked"));
    assert!(!db.store.revoke_session(session.id).await.expect("nothing left"));
    assert_eq!(revocations.recv().await, Ok(session.id));
    assert_eq!(db.store.session_by_token(token.as_str(), at(1)).await.expect("readable"), None);
}

async fn every_session_of_a_person_can_be_ended_at_once(db: TestDb) {
    let (anna, olga) = (AgentId::new("anna"), AgentId::new("olga"));
    let mut of_anna = Vec::new();
    for kind in [SessionKind::Browser, SessionKind::Browser, SessionKind::Api] {
        of_anna.push(db.store.create_session(&anna, kind, None, at(0)).await.expect("made").1.id);
    }
    let (of_olga, _) = db.store.create_session(&olga, SessionKind::Browser, None, at(0)).await.expect("made");
    let mut revocations = db.store.session_revocations();
    assert_eq!(db.store.revoke_sessions_of(&anna).await.expect("revoked"), 3);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(revocations.recv().await.expect("told"));
    }
    told.sort();
    of_anna.sort();
    assert_eq!(told, of_anna);
    assert!(db.store.session_by_token(of_olga.as_str(), at(1)).await.expect("readable").is_some());
}

async fn no_token_is_stored(db: TestDb) {
    let (token, _) = db.store.create_session(&AgentId::new("anna"), SessionKind::Api, None, at(0)).await.expect("made");
    let bytes = hex::encode(token.as_str().as_bytes());
    let query = match db.is_sqlite() {
        true => format!("select count(*) from sessions where token_hash = x'{bytes}'"),
        false => format!("select count(*) from sessions where token_hash = decode('{bytes}', 'hex')"),
    };
    assert_eq!(db.count(&query).await, 0);
    assert_eq!(db.count("select count(*) from sessions where length(token_hash) = 32").await, 1);
}
