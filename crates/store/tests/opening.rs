//! The data directory: who may open it, its files, and what is made once.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;

use offhook_store::{Options, Store, StoreError, Use};

fn options(directory: &Path, purpose: Use) -> Options {
    Options::new(directory, purpose)
}

#[tokio::test]
async fn a_second_server_is_refused_and_told_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options(directory.path(), Use::Server)).await.unwrap();
    for purpose in [Use::Server, Use::Command] {
        let error = Store::open(options(directory.path(), purpose)).await.unwrap_err();
        assert!(matches!(&error, StoreError::InUse { pid, .. } if *pid == Some(std::process::id())));
        assert!(error.to_string().ends_with(&format!("process {}", std::process::id())), "{error}");
    }
    store.close().await;
    Store::open(options(directory.path(), Use::Command)).await.unwrap();
}

#[tokio::test]
async fn a_command_that_works_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let command = Store::open(options(directory.path(), Use::Command)).await.unwrap();
    let server = tokio::spawn(Store::open(options(directory.path(), Use::Server)));
    tokio::task::yield_now().await;
    assert!(!server.is_finished());
    command.close().await;
    server.await.unwrap().unwrap();
}

#[tokio::test]
#[cfg(unix)]
async fn everything_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let store = Store::open(options(&directory, Use::Server)).await.unwrap();
    let (_writer, _journals) = store.journals(1).unwrap();
    store.key().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 4);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn the_key_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options(directory.path(), Use::Server)).await.unwrap();
    let key = store.key().await.unwrap();
    assert_ne!(key.0, [0; 32]);
    assert_eq!(store.realm().await.unwrap(), None);
    store.set_realm("example.com").await.unwrap();
    store.close().await;
    let store = Store::open(options(directory.path(), Use::Server)).await.unwrap();
    assert_eq!(store.key().await.unwrap(), key);
    assert_eq!(store.realm().await.unwrap().as_deref(), Some("example.com"));
}

#[tokio::test]
async fn the_journals_are_taken_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options(directory.path(), Use::Server)).await.unwrap();
    let _first = store.journals(1).unwrap();
    assert!(matches!(store.journals(1), Err(StoreError::JournalsTaken)));
}

#[tokio::test]
async fn a_store_that_is_not_sqlite_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for url in ["postgres://localhost/offhook", "sqlite::memory:", "sqlite:"] {
        let options = Options { url: url.into(), ..options(directory.path(), Use::Server) };
        assert!(matches!(Store::open(options).await, Err(StoreError::UnsupportedUrl(_))), "{url}");
    }
}

#[test]
fn a_server_with_several_threads_may_use_all_of_it() {
    fn check<T: Send>(_: fn() -> T) {}
    fn arguments<T>() -> T {
        unreachable!("only its type is of interest")
    }
    check(|| Store::open(arguments()));
    check(|| {
        let store: &'static Store = arguments();
        async {
            drop(store.load(0).await);
            drop(store.key().await);
            drop(store.add_account(arguments(), 0).await);
            drop(store.accounts().await);
            drop(store.set_account(arguments(), arguments()).await);
            drop(store.remove_account(arguments()).await);
            drop(store.import_accounts("", "", 0).await);
            drop(store.declare_accounts(arguments(), 0).await);
            drop(store.numbers().await);
            drop(store.add_number("").await);
            drop(store.assign_number("", arguments(), false).await);
            drop(store.release_number("").await);
            drop(store.remove_number("").await);
        }
    });
    check(|| arguments::<offhook_store::Writer>().run(|| 0));
    check(arguments::<offhook_store::Journal>);
}
