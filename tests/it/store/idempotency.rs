//! A POST that is repeated dials once.

use perezvon::store::{Idempotent, StoredAnswer};
use perezvon::types::AgentId;

use super::samples::at;
use crate::support::databases::{TestDb, on_both};

const DAY: i64 = 24 * 60 * 60;

on_both! {
    a_repeated_post_gets_the_first_answer,
    a_key_whose_request_had_no_effect_is_free_again,
    of_many_at_once_one_is_fresh,
}

async fn a_repeated_post_gets_the_first_answer(db: TestDb) {
    let (anna, olga) = (AgentId::new("anna"), AgentId::new("olga"));
    let begin = async |login: &AgentId, request: &str, seconds| {
        db.store.begin_idempotent(login, "key-1", request, at(seconds)).await.expect("answered")
    };
    assert_eq!(begin(&anna, "POST calls 1", 0).await, Idempotent::Fresh);
    assert_eq!(begin(&anna, "POST calls 1", 1).await, Idempotent::Running);
    assert_eq!(begin(&anna, "POST calls 2", 1).await, Idempotent::Mismatch);
    assert_eq!(begin(&olga, "POST calls 2", 1).await, Idempotent::Fresh, "another person's key is another key");
    let answer = StoredAnswer { status: 201, body: r#"{"id": "…"}"#.into() };
    db.store.finish_idempotent(&anna, "key-1", &answer).await.expect("kept");
    assert_eq!(begin(&anna, "POST calls 1", 2).await, Idempotent::Replay(answer.clone()));
    assert_eq!(begin(&anna, "POST calls 2", 2).await, Idempotent::Mismatch);
    assert_eq!(begin(&anna, "POST calls 1", DAY - 1).await, Idempotent::Replay(answer));
    assert_eq!(begin(&anna, "POST calls 2", DAY).await, Idempotent::Fresh, "a day later the key is free");
}

async fn a_key_whose_request_had_no_effect_is_free_again(db: TestDb) {
    let anna = AgentId::new("anna");
    let answer = StoredAnswer { status: 201, body: "{}".into() };
    db.store.begin_idempotent(&anna, "k", "r", at(0)).await.expect("answered");
    db.store.forget_idempotent(&anna, "k").await.expect("freed");
    assert_eq!(db.store.begin_idempotent(&anna, "k", "r", at(0)).await.expect("answered"), Idempotent::Fresh);
    db.store.finish_idempotent(&anna, "k", &answer).await.expect("kept");
    db.store.forget_idempotent(&anna, "k").await.expect("a kept answer stays");
    assert_eq!(db.store.begin_idempotent(&anna, "k", "r", at(1)).await.expect("answered"), Idempotent::Replay(answer));
    assert_eq!(
        (
            db.store.sweep_idempotency(at(DAY - 1)).await.expect("swept"),
            db.store.sweep_idempotency(at(DAY)).await.expect("swept")
        ),
        (0, 1)
    );
}

async fn of_many_at_once_one_is_fresh(db: TestDb) {
    let requests: Vec<_> = (0..30)
        .map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move { store.begin_idempotent(&AgentId::new("anna"), "k", "r", at(0)).await.expect("answered") })
        })
        .collect();
    let mut fresh = 0;
    for request in requests {
        match request.await.expect("finished") {
            Idempotent::Fresh => fresh += 1,
            Idempotent::Running => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fresh, 1);
}
