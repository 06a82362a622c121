//! Text messages in the store.
#![allow(clippy::unwrap_used, reason = "a test")]

use offhook_exchange::directory::{AddressOfRecord, Delta};
use offhook_exchange::message::{Text, TextAnswer, TextRequest, TextState};
use offhook_store::{NewAccount, Options, Store, TextLimits, Use};

const LIMITS: TextLimits = TextLimits { messages: 3, octets: 100 };

fn address(user: &str) -> AddressOfRecord {
    AddressOfRecord::new(user, "example.com")
}

fn text(body: &str, at: u64) -> Text {
    Text {
        account: address("bob"),
        from: "\"Alice\" <sip:alice@example.com>".into(),
        sender: Some(address("alice")),
        content_type: "text/plain;charset=UTF-8".into(),
        headers: vec![("Subject".into(), "A \"word\"".into())],
        body: body.to_owned().into(),
        sent_at: at,
        expires_at: at + 100,
    }
}

async fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(Options::new(folder.path(), Use::Server)).await.unwrap()
}

async fn add(store: &Store, user: &str) {
    let new = NewAccount {
        address: address(user),
        password: None,
        name: None,
        number: None,
        email: None,
        language: None,
        realm: "example.com".into(),
    };
    store.add_account(new, 1).await.unwrap();
}

async fn ask(store: &Store, request: TextRequest, now: u64) -> TextAnswer {
    store.texts(vec![request], LIMITS, now).await.unwrap().remove(0)
}

#[tokio::test]
async fn messages_come_back_in_order_as_they_were_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(&folder).await;
    add(&first, "bob").await;
    let keep = ["one", "two"].map(|body| TextRequest::Keep(text(body, 10)));
    assert_eq!(first.texts(keep.to_vec(), LIMITS, 10).await.unwrap(), [TextAnswer::Kept, TextAnswer::Kept]);
    // Nobody closes it.
    drop(first);
    let again = store(&folder).await;
    let waits = |deltas: &[Delta]| deltas.contains(&Delta::Texts(address("bob"), true));
    assert!(waits(&again.load(20).await.unwrap()));
    assert!(!waits(&again.load(110).await.unwrap()), "they have expired by then");
    let TextAnswer::Next(Some(one)) = ask(&again, TextRequest::Next(address("bob"), 0), 20).await else {
        panic!()
    };
    assert_eq!(one.text, text("one", 10));
    let TextAnswer::Next(Some(two)) = ask(&again, TextRequest::Next(address("bob"), one.id), 20).await else {
        panic!()
    };
    assert_eq!(two.text.body, "two");
    for id in [one.id, two.id] {
        ask(&again, TextRequest::Settle(id, TextState::Delivered), 30).await;
    }
    assert_eq!(ask(&again, TextRequest::Next(address("bob"), 0), 30).await, TextAnswer::Next(None));
    assert!(!waits(&again.load(30).await.unwrap()));
    let history = again.list_texts(&address("alice"), 10).await.unwrap();
    assert_eq!(
        history.iter().map(|one| (one.kept.id, one.settled_at)).collect::<Vec<_>>(),
        [(2, Some(30)), (1, Some(30))]
    );
    assert!(history.iter().all(|one| one.state == TextState::Delivered));
}

#[tokio::test]
async fn a_mailbox_is_full_by_count_and_by_octets_until_what_waits_expires() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    add(&store, "bob").await;
    assert_eq!(ask(&store, TextRequest::Keep(text(&"x".repeat(101), 0)), 0).await, TextAnswer::Full);
    for _ in 0..3 {
        assert_eq!(ask(&store, TextRequest::Keep(text("x", 0)), 0).await, TextAnswer::Kept);
    }
    assert_eq!(ask(&store, TextRequest::Keep(text("x", 50)), 50).await, TextAnswer::Full);
    assert_eq!(ask(&store, TextRequest::Keep(text("x", 100)), 100).await, TextAnswer::Kept);
    store.tidy_texts(100, 0).await.unwrap();
    let states: Vec<_> =
        store.list_texts(&address("bob"), 10).await.unwrap().iter().map(|one| one.state).collect();
    assert_eq!(states, [TextState::Kept, TextState::Expired, TextState::Expired, TextState::Expired]);
    store.tidy_texts(100, 101).await.unwrap();
    assert_eq!(store.list_texts(&address("bob"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_account_that_is_gone_takes_its_messages_along() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    assert_eq!(ask(&store, TextRequest::Keep(text("x", 0)), 0).await, TextAnswer::Failed);
    add(&store, "bob").await;
    ask(&store, TextRequest::Note(text("x", 0)), 0).await;
    assert_eq!(store.list_texts(&address("bob"), 10).await.unwrap().len(), 1);
    store.remove_account(&address("bob")).await.unwrap();
    assert!(store.list_texts(&address("bob"), 10).await.unwrap().is_empty());
}
