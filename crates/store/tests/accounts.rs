//! Accounts and numbers, as commands and the API use them.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;

use offhook_exchange::directory::{AddressOfRecord, Also, Answering, Delta, Forward};
use offhook_store::{
    AccountChange, NewAccount, Options, Password, RequestState, Source, Store, StoreError, Use,
};

const NOW: u64 = 1_700_000_000;
const REALM: &str = "example.com";

async fn open(directory: &Path) -> Store {
    Store::open(Options::new(directory, Use::Server)).await.unwrap()
}

fn address(user: &str) -> AddressOfRecord {
    AddressOfRecord::new(user, "example.com")
}

fn new(user: &str, number: Option<&str>) -> NewAccount {
    NewAccount {
        address: address(user),
        password: Some(Password::new("secret").unwrap()),
        name: None,
        number: number.map(str::to_owned),
        email: None,
        language: None,
        realm: REALM.into(),
    }
}

#[tokio::test]
async fn an_account_is_there_after_it_was_added_and_the_store_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let account = NewAccount { name: Some("Alice 王".into()), ..new("alice", Some("+86 138-0000-0000")) };
    let added = store.add_account(account, NOW).await.unwrap();
    assert_eq!(added.generated, None);
    assert_eq!(added.account.number.as_deref(), Some("+8613800000000"));
    assert_eq!(added.account.secrets, Password::new("secret").unwrap().secrets(&address("alice"), REALM));
    store.close().await;

    let store = open(directory.path()).await;
    let is_stored = |delta: &Delta| !matches!(delta, Delta::Bindings(..));
    let stored: Vec<_> = added.deltas.into_iter().filter(is_stored).collect();
    assert_eq!(store.load(NOW).await.unwrap(), stored);
    let stored = store.account(&address("alice")).await.unwrap();
    assert_eq!((stored.account, stored.source, stored.created_at), (added.account, Source::Store, NOW));
}

#[tokio::test]
async fn without_a_password_one_is_generated() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let added = store.add_account(NewAccount { password: None, ..new("alice", None) }, NOW).await.unwrap();
    let generated = added.generated.unwrap();
    assert_eq!(added.account.secrets, generated.secrets(&address("alice"), REALM));
    let change = AccountChange { password: Some((REALM.into(), None)), ..AccountChange::default() };
    let changed = store.set_account(&address("alice"), change).await.unwrap();
    assert_ne!(changed.account.secrets, added.account.secrets);
    assert_ne!(changed.generated.unwrap(), generated);
}

#[tokio::test]
async fn no_file_holds_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let password = Some(Password::new("correct horse battery staple").unwrap());
    store.add_account(NewAccount { password, ..new("alice", None) }, NOW).await.unwrap();
    store.close().await;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"correct horse"));
    }
}

#[tokio::test]
async fn an_account_or_number_that_exists_is_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", Some("1001")), NOW).await.unwrap();
    let error = store.add_account(new("alice", None), NOW).await.unwrap_err();
    assert!(matches!(&error, StoreError::AccountExists(who) if *who == address("alice")));
    assert!(error.is_conflict());
    let error = store.add_account(new("bob", Some("tel:1001")), NOW).await.unwrap_err();
    assert!(matches!(&error, StoreError::NumberTaken { owner: Some(who), .. } if *who == address("alice")));
    assert!(error.is_conflict());
    // Nothing of the second remains.
    assert!(store.account(&address("bob")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_removed_account_is_gone_and_its_number_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", Some("1001")), NOW).await.unwrap();
    let deltas = store.remove_account(&address("alice")).await.unwrap();
    assert_eq!(deltas, [Delta::AccountRemoved(address("alice"))]);
    assert_eq!(store.load(NOW).await.unwrap(), []);
    assert!(store.remove_account(&address("alice")).await.unwrap_err().is_not_found());
    assert_eq!(store.numbers().await.unwrap()[0].account, None);
    store.add_account(new("bob", Some("1001")), NOW).await.unwrap();
}

#[tokio::test]
async fn a_field_that_is_not_named_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let account =
        NewAccount { name: Some("A".into()), email: Some("a@example.com".into()), ..new("alice", None) };
    let added = store.add_account(account, NOW).await.unwrap();
    let change = AccountChange { name: Some(Some("B".into())), ..AccountChange::default() };
    let changed = store.set_account(&address("alice"), change).await.unwrap();
    assert_eq!(changed.deltas, [Delta::Account(changed.account.clone())]);
    assert_eq!(changed.account.secrets, added.account.secrets);
    let stored = store.account(&address("alice")).await.unwrap();
    assert_eq!(stored.account.name.as_deref(), Some("B"));
    assert_eq!(stored.email.as_deref(), Some("a@example.com"));
}

#[tokio::test]
async fn a_name_with_a_line_break_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let account = NewAccount { name: Some("A\r\nVia: x".into()), ..new("alice", None) };
    let error = store.add_account(account, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::BadText { field: "name" }));
}

#[tokio::test]
async fn numbers_are_added_assigned_moved_and_released() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", None), NOW).await.unwrap();
    store.add_account(new("bob", Some("1002")), NOW).await.unwrap();
    store.add_number("1001").await.unwrap();
    assert!(store.add_number("1001").await.unwrap_err().is_conflict());

    let deltas = store.assign_number("1001", &address("alice"), false).await.unwrap();
    assert_eq!(deltas[0], Delta::Number("1001".into(), Some(address("alice"))));
    assert!(matches!(&deltas[1], Delta::Account(account) if account.number.as_deref() == Some("1001")));
    assert!(store.assign_number("1001", &address("bob"), false).await.unwrap_err().is_conflict());

    // A second number does not replace the first as the one that is shown.
    let deltas = store.assign_number("1001", &address("bob"), true).await.unwrap();
    let shown: Vec<_> = deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Account(account) => Some((account.address.user(), account.number.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(shown, [("alice", None), ("bob", Some("1002"))]);

    let deltas = store.release_number("1002").await.unwrap();
    assert_eq!(deltas[0], Delta::Number("1002".into(), None));
    assert!(matches!(&deltas[1], Delta::Account(account) if account.number.as_deref() == Some("1001")));
    assert_eq!(store.remove_number("1002").await.unwrap(), []);
    assert!(store.remove_number("1002").await.unwrap_err().is_not_found());
    assert!(store.assign_number("1003", &address("carol"), false).await.unwrap_err().is_not_found());
    assert_eq!(store.numbers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn accounts_are_imported_all_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let text =
        "address,password,name,number,language\nsip:a@example.com,pw,\"A, B\",1001,zh\nb@example.com,,,,\n";
    let made = store.import_accounts(text, REALM, NOW).await.unwrap();
    assert_eq!(made.len(), 2);
    assert!(made[0].generated.is_none() && made[1].generated.is_some());
    let error = store.import_accounts("c@example.com\nd@example.com,,,1001\n", REALM, NOW).await.unwrap_err();
    assert!(error.is_conflict());
    assert!(error.to_string().starts_with("line 2: number 1001"), "{error}");
    assert_eq!(store.accounts().await.unwrap().len(), 2);
    let exported = store.export_accounts().await.unwrap();
    assert_eq!(
        exported,
        "address,password,name,number,email,language\nsip:a@example.com,,\"A, B\",1001,,zh\nsip:b@example.com,,,,,\n"
    );
}

#[tokio::test]
async fn accounts_of_the_configuration_are_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", Some("1001")), NOW).await.unwrap();
    let generated = NewAccount { password: None, ..new("bob", Some("1002")) };
    let declared = vec![new("alice", Some("1003")), generated.clone()];
    let changed = store.declare_accounts(declared.clone(), NOW).await.unwrap();
    assert_eq!(changed[0].deltas.len(), 3);
    assert!(changed[1].generated.is_some());
    assert_eq!(changed[0].account.number.as_deref(), Some("1003"));

    // Read once more, nothing changes, and no password is generated.
    assert!(store.declare_accounts(declared, NOW).await.unwrap().is_empty());
    for result in [
        store.remove_account(&address("bob")).await.map(drop),
        store.set_account(&address("bob"), AccountChange::default()).await.map(drop),
        store.release_number("1002").await.map(drop),
    ] {
        assert!(matches!(result, Err(StoreError::FileOwned(_))));
    }

    let changed = store.declare_accounts(vec![generated], NOW).await.unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].deltas, [Delta::AccountRemoved(address("alice"))]);
    assert_eq!(store.accounts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn how_calls_are_answered_is_kept_and_goes_with_its_account() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", None), NOW).await.unwrap();
    assert_eq!(store.answering(&address("alice")).await.unwrap(), Answering::default());
    let wanted = Answering {
        forward: Forward { busy: Some("1002".into()), ..Forward::default() },
        ring_seconds: Some(7),
        do_not_disturb: true,
        reject_anonymous: false,
        blocked: vec!["+49900*".into()],
        pickup_group: Some("sales".into()),
        allowed: vec!["1003".into()],
        also: vec![Also { to: "1004".into(), after: 10 }],
        hours: None,
    };
    let change = |answering: &mut Answering| *answering = wanted.clone();
    let (changed, delta) = store.set_answering(&address("alice"), change).await.unwrap();
    assert_eq!(changed, wanted);
    store.close().await;

    let store = open(directory.path()).await;
    assert!(store.load(NOW).await.unwrap().contains(&delta));
    let (usual, _) = store.set_answering(&address("alice"), |it| *it = Answering::default()).await.unwrap();
    assert!(usual.is_usual());
    store.set_answering(&address("alice"), |it| it.do_not_disturb = true).await.unwrap();
    store.remove_account(&address("alice")).await.unwrap();
    store.add_account(new("alice", None), NOW).await.unwrap();
    assert_eq!(store.answering(&address("alice")).await.unwrap(), Answering::default());
}

#[tokio::test]
async fn what_cannot_be_called_or_kept_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", None), NOW).await.unwrap();
    let nobody = store.set_answering(&address("bob"), |it| it.do_not_disturb = true).await;
    assert!(matches!(nobody, Err(StoreError::NoAccount(_))));
    for place in ["", "a b", "x\r\nVia: y", "<sip:x@y>"] {
        let changed =
            store.set_answering(&address("alice"), |it| it.forward.always = Some(place.into())).await;
        assert!(matches!(changed, Err(StoreError::BadDestination(_))), "{place:?}");
    }
    for seconds in [0, 181] {
        let changed = store.set_answering(&address("alice"), |it| it.ring_seconds = Some(seconds)).await;
        assert!(matches!(changed, Err(StoreError::BadRingSeconds(_))));
        let changed = store.set_answering(&address("alice"), |it| it.pickup_group = Some("a b".into())).await;
        assert!(matches!(changed, Err(StoreError::BadGroup(_))));
    }
    let crowd = |it: &mut Answering| it.blocked = vec!["1".into(); 201];
    let changed = store.set_answering(&address("alice"), crowd).await;
    assert!(matches!(changed, Err(StoreError::TooManyBlocked(_))));
    assert!(store.answering(&address("alice")).await.unwrap().is_usual());
}

#[tokio::test]
async fn a_number_is_applied_for_approved_and_released_and_has_a_history() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    store.add_account(new("alice", None), NOW).await.unwrap();
    store.add_account(new("bob", None), NOW).await.unwrap();
    let added = store.add_numbers("+4930100", "+4930103").await.unwrap();
    assert_eq!(added.len(), 4);
    let (alice, bob) = (address("alice"), address("bob"));

    let first = store.request_number(&alice, Some("+49 30 102"), 2, NOW).await.unwrap();
    assert_eq!((first.number.as_deref(), &first.state), (Some("+4930102"), &RequestState::Waiting));
    let wanted = store.request_number(&bob, Some("+4930102"), 2, NOW).await;
    assert!(matches!(wanted, Err(StoreError::NumberWanted(_))));
    let any = store.request_number(&alice, None, 2, NOW + 1).await.unwrap();
    let quota = store.request_number(&alice, None, 2, NOW + 2).await;
    assert!(matches!(quota, Err(StoreError::NumberQuota { most: 2, .. })));

    let (approved, deltas) = store.approve_number(any.id, NOW + 3).await.unwrap();
    assert_eq!((approved.number.as_deref(), approved.state), (Some("+4930100"), RequestState::Approved));
    assert_eq!(deltas[0], Delta::Number("+4930100".into(), Some(alice.clone())));
    let again = store.approve_number(any.id, NOW + 4).await;
    assert!(matches!(again, Err(StoreError::RequestDecided(_))));
    let rejected = store.reject_number(first.id, Some("one is enough"), NOW + 5).await.unwrap();
    assert_eq!(rejected.state, RequestState::Rejected(Some("one is enough".into())));
    assert!(store.number_requests(false).await.unwrap().is_empty());
    assert_eq!(store.number_requests(true).await.unwrap().len(), 2);
    assert!(matches!(store.approve_number(99, NOW).await, Err(StoreError::NoRequest(99))));

    store.assign_number("+4930100", &bob, true).await.unwrap();
    store.release_number("+4930100").await.unwrap();
    store.remove_number("+4930100").await.unwrap();
    let history = store.number_history("+4930100").await.unwrap();
    let events: Vec<_> = history.iter().map(|one| (one.event.as_str(), one.account.clone())).collect();
    let (a, b) = (Some(alice), Some(bob));
    assert_eq!(
        events,
        [
            ("added", None),
            ("assigned", a.clone()),
            ("released", a),
            ("assigned", b.clone()),
            ("released", b),
            ("removed", None),
        ]
    );
    assert!(matches!(store.number_history("4711").await, Err(StoreError::NoNumber(_))));
}

#[tokio::test]
async fn a_range_has_two_ends_and_the_account_that_goes_gives_its_numbers_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (first, last) in [("100", "99"), ("100", "+199"), ("100", "1000"), ("1", "a"), ("00000", "10000")] {
        assert!(store.add_numbers(first, last).await.is_err(), "{first} to {last}");
    }
    assert_eq!(store.add_numbers("0098", "0101").await.unwrap()[0].number, "0098");
    assert_eq!(store.add_numbers("0098", "0102").await.unwrap().len(), 1, "only the new one");
    store.add_account(new("alice", None), NOW).await.unwrap();
    let asked = store.request_number(&address("alice"), None, 1, NOW).await.unwrap();
    store.approve_number(asked.id, NOW).await.unwrap();
    store.remove_account(&address("alice")).await.unwrap();
    let history = store.number_history("0098").await.unwrap();
    assert_eq!(history.last().map(|one| one.event.as_str()), Some("released"));
    assert!(store.number_requests(true).await.unwrap().is_empty(), "they go with the account");
}
