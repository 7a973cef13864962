//! The database keeps its data through every way of ending and starting.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use claw_devstack::{Error, Postgres};
use common::{Scratch, kill_9, lives, sql};

fn port(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').unwrap();
    rest.split_once('/').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn data_and_url_survive_a_stop() {
    let dir = Scratch::new("stop");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let (url, pid) = (postgres.url().to_owned(), postgres.pid());
    sql(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)");
    postgres.stop().await.unwrap();
    assert!(!lives(pid));

    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert_eq!(postgres.url(), url);
    assert_eq!(sql(&url, "SELECT n FROM kept"), "7");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn it_is_private_and_durable() {
    let dir = Scratch::new("private");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let show = |name: &str| sql(postgres.url(), &format!("SHOW {name}"));
    assert_eq!(show("listen_addresses"), "127.0.0.1");
    assert_eq!(show("unix_socket_directories"), "");
    assert_eq!(show("server_encoding"), "UTF8");
    assert_eq!(show("fsync"), "on");
    assert_eq!(show("synchronous_commit"), "on");
    assert_eq!(show("full_page_writes"), "on");
    assert_eq!(show("max_connections"), "200");
    assert_eq!(sql(postgres.url(), "SELECT current_database()"), "ii_claw");

    let home = dir.path().join("postgres");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.join("password")), 0o600);
    assert_eq!(mode(&home), 0o700);

    let without = postgres.url().replace("ii_claw:", "ii_claw:0");
    let refused =
        std::process::Command::new("psql").args(["-X", "-w", "-c", "SELECT 1", &without]).output().unwrap();
    assert!(!refused.status.success());
    assert!(!format!("{postgres:?}").contains("postgres://"));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn data_survives_kill_9_and_the_end_is_reported() {
    let dir = Scratch::new("kill");
    let mut postgres = Postgres::start(dir.path()).await.unwrap();
    sql(postgres.url(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (8)");
    let pid = postgres.pid();
    kill_9(pid);
    match postgres.wait().await {
        Error::Died { service, pid: dead, .. } => assert_eq!((service, dead), ("PostgreSQL", pid)),
        other => panic!("{other}"),
    }
    drop(postgres);

    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert_ne!(postgres.pid(), pid);
    assert_eq!(sql(postgres.url(), "SELECT n FROM kept"), "8");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn dropping_the_handle_stops_the_server_and_frees_the_directory() {
    let dir = Scratch::new("drop");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let pid = postgres.pid();
    drop(postgres);
    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert!(!lives(pid));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_user_of_the_directory_is_refused() {
    let dir = Scratch::new("second");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let error = Postgres::start(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    let me = format!("held by process {}", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");
    sql(postgres.url(), "SELECT 1");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_replaced_for_good() {
    let dir = Scratch::new("port");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let first = port(postgres.url());
    postgres.stop().await.unwrap();

    let taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let second = port(postgres.url());
    assert_ne!(first, second);
    postgres.stop().await.unwrap();
    drop(taken);

    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert_eq!(port(postgres.url()), second);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_is_somebody_elses_is_no_obstacle() {
    let dir = Scratch::new("alien");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let pid_file = dir.path().join("postgres/data/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    kill_9(postgres.pid());
    drop(postgres);

    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let text = format!("{}\n{}\n", other.id(), lines.join("\n"));
    std::fs::write(&pid_file, text).unwrap();

    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert!(lives(other.id()));
    other.kill().unwrap();
    other.wait().unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_creation_heals() {
    let dir = Scratch::new("heal");
    let left = dir.path().join("postgres.tmp.00c0ffee");
    std::fs::create_dir_all(left.join("data/base")).unwrap();
    std::fs::write(left.join("data/PG_VERSION"), "15\n").unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    assert_eq!(sql(postgres.url(), "SELECT 1"), "1");
    assert!(!left.exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_start_is_explained_from_its_log() {
    let dir = Scratch::new("broken");
    let postgres = Postgres::start(dir.path()).await.unwrap();
    postgres.stop().await.unwrap();
    let broken = dir.path().join("postgres/data/postgresql.conf");
    std::fs::write(broken, "no_such_setting = on\n").unwrap();
    let error = Postgres::start(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn data_of_a_missing_version_is_left_alone() {
    let dir = Scratch::new("version");
    let data = dir.path().join("postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = Postgres::start(dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::PostgresVersion { major: 9, .. }), "{error}");
    assert!(data.join("PG_VERSION").exists());
}

/// Only root has a server run as somebody else, who may not get there.
#[tokio::test]
async fn data_nobody_else_can_reach_goes_elsewhere_with_a_symlink() {
    let dir = Scratch::new("closed");
    let chmod = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(dir.path(), chmod).unwrap();
    let inside = dir.path().join("checkout");
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt;
        meta.uid() == 0
    });
    if !root {
        return;
    }
    let postgres = Postgres::start(&inside).await.unwrap();
    sql(postgres.url(), "CREATE TABLE kept (n int); INSERT INTO kept VALUES (9)");
    postgres.stop().await.unwrap();
    let home = std::fs::read_link(inside.join("postgres")).unwrap();
    assert!(home.starts_with("/var/lib/ii-claw"), "{}", home.display());

    let postgres = Postgres::start(&inside).await.unwrap();
    assert_eq!(sql(postgres.url(), "SELECT n FROM kept"), "9");
    postgres.stop().await.unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    std::fs::remove_file(home.with_extension("lock")).unwrap();
    // Unless it was there before, with something in it.
    let _ = std::fs::remove_dir("/var/lib/ii-claw");
}
