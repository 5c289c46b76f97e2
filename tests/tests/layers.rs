//! The layer rules of ARCHITECTURE.md, kept by a machine.

#![allow(clippy::unwrap_used)] // tests may

use std::fs;
use std::path::{Path, PathBuf};

use pillarbox_tests::{files, root};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    files(&root().join(folder), "rs")
}

/// The part of a file that is shipped: tests may look at the clock.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        && path.components().any(|part| part.as_os_str() == "src")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

fn assert_free_of(folder: &str, words: &[&str]) {
    for (path, text) in
        sources(folder).iter().filter(|(path, _)| !is_test(path.strip_prefix(root()).unwrap()))
    {
        let text = shipped(text);
        for word in words {
            assert!(!text.contains(word), "{} must not use {word}", path.display());
        }
    }
}

#[test]
fn protocol_cores_know_no_io_clock_randomness_or_store() {
    assert_free_of(
        "appliance/proto/src",
        &[
            "tokio", "std::net::Tcp", "std::fs", "std::thread", "Instant::now", "SystemTime",
            "getrandom", "pillarbox_store", "unsafe ",
        ],
    );
}

#[test]
fn code_on_messages_knows_no_io_clock_randomness_store_or_async() {
    assert_free_of(
        "appliance/message/src",
        &[
            "tokio", "async ", "std::net", "std::fs", "std::thread", "Instant", "SystemTime",
            "getrandom", "pillarbox_store", "unsafe ",
        ],
    );
}

#[test]
fn the_store_knows_no_protocol_socket_or_clock() {
    assert_free_of(
        "appliance/store/src",
        &["pillarbox_proto", "std::net::Tcp", "SystemTime", "tokio::net", "tokio::time"],
    );
}

#[test]
fn shared_words_know_no_io_clock_or_protocol() {
    assert_free_of(
        "appliance/vocabulary/src",
        &[
            "pillarbox_", "tokio", "smol", "std::net::Tcp", "std::net::Udp", "std::fs",
            "std::thread", "Instant", "SystemTime", "getrandom", "unsafe ",
        ],
    );
}

#[test]
fn unsafe_code_lives_in_the_store_alone() {
    for folder in [
        "appliance/vocabulary", "appliance/proto", "appliance/message", "appliance/texts",
        "appliance/platform", "appliance/outbound", "appliance/filter", "appliance/office",
        "appliance/web", "appliance/maild", "tests",
    ] {
        for (path, text) in sources(folder) {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//") && !line.contains('"'));
            assert!(
                !code.into_iter().any(|l| l.contains("unsafe ")),
                "{} has unsafe code",
                path.display()
            );
        }
    }
}

/// Files of `office` and what they must not import.
const OFFICE: &[(&str, &[&str])] = &[
    ("routing.rs", &["crate::submission", "crate::auth", "crate::delivery"]),
    ("submission/header.rs", &["crate::", "tokio"]),
    ("delivery.rs", &["crate::routing", "crate::submission", "crate::auth"]),
    ("auth/mod.rs", &["crate::routing", "crate::submission", "crate::delivery"]),
    ("auth/throttle.rs", &["tokio", "Instant::now", "pillarbox_store"]),
    ("records.rs", &["crate::routing", "crate::submission", "crate::delivery", "crate::auth"]),
    (
        "records/check.rs",
        &[
            "crate::routing", "crate::submission", "crate::delivery", "crate::auth",
            "crate::context",
        ],
    ),
    ("mail/query.rs", &["crate::context", "tokio"]),
    ("history.rs", &["crate::", "tokio"]),
];

/// Files of `web` and what they must not import.
const WEB: &[(&str, &[&str])] = &[("guard.rs", &["pillarbox_store"])];

/// Files of the server and what they must not import.
const MAILD: &[(&str, &[&str])] = &[
    ("smtp/mod.rs", &["crate::pop3", "crate::server", "pillarbox_store"]),
    ("pop3/mod.rs", &["crate::smtp", "crate::server", "pillarbox_store"]),
];

/// Files of `platform` and what they must not import.
const PLATFORM: &[(&str, &[&str])] = &[
    ("dns/plain.rs", &["crate::"]),
    ("dns/signed.rs", &["crate::"]),
    ("dns/bare.rs", &["crate::"]),
    ("tls.rs", &["crate::"]),
    ("tls/facts.rs", &["crate::"]),
    ("tls/proof.rs", &["crate::"]),
    ("secrets.rs", &["crate::"]),
    ("clock.rs", &["crate::"]),
];

/// Files of `filter` and what they must not import: what decides looks at nothing.
const FILTER: &[(&str, &[&str])] = &[
    ("verdict.rs", &["tokio", "pillarbox_platform", "Instant", "SystemTime"]),
    ("verdict/reason.rs", &["tokio", "pillarbox_platform"]),
    ("files/mod.rs", &["tokio", "pillarbox_platform", "crate::"]),
    ("dkim/body.rs", &["crate::", "tokio"]),
    ("spf/record.rs", &["crate::", "tokio"]),
];

/// Files of `outbound` and what they must not import.
const OUTBOUND: &[(&str, &[&str])] = &[
    ("dkim.rs", &["crate::", "tokio"]),
    ("schedule.rs", &["tokio", "Instant::now", "SystemTime", "platform::clock"]),
    ("failure.rs", &["crate::", "tokio"]),
    ("dsn.rs", &["tokio", "clock::now"]),
];

fn assert_imports(folder: &str, rules: &[(&str, &[&str])]) {
    for (file, forbidden) in rules {
        // The crate's error type knows no other file of it, and every file may know it.
        let text = fs::read_to_string(root().join(folder).join(file))
            .unwrap()
            .replace("crate::error::", "");
        for word in *forbidden {
            assert!(!shipped(&text).contains(word), "{folder}/{file} must not use {word}");
        }
    }
}

#[test]
fn edges_roles_and_services_import_downwards_only() {
    assert_imports("appliance/office/src", OFFICE);
    assert_imports("appliance/web/src", WEB);
    assert_imports("appliance/maild/src", MAILD);
}

#[test]
fn what_the_box_can_do_knows_no_way_in_and_the_server_no_page() {
    assert_free_of("appliance/office/src", &["axum", "askama", "fluent", "unsafe "]);
    assert_free_of("appliance/web/src", &["rustls", "unsafe "]);
    assert_free_of("appliance/maild/src", &["askama", "fluent", "hyper"]);
}

#[test]
fn what_a_server_stands_on_knows_no_protocol_edge_mailbox_or_page() {
    assert_free_of(
        "appliance/platform/src",
        &["pillarbox_message", "pillarbox_store", "axum", "hyper", "askama", "unsafe "],
    );
    assert_imports("appliance/platform/src", PLATFORM);
}

#[test]
fn mail_to_other_servers_knows_no_server_page_or_way_in() {
    assert_free_of("appliance/outbound/src", &["axum", "askama", "unsafe "]);
    assert_imports("appliance/outbound/src", OUTBOUND);
}

#[test]
fn what_is_known_of_a_message_knows_no_store_way_in_or_page() {
    // Its own tests borrow a world from `outbound`.
    assert_free_of(
        "appliance/filter/src",
        &["pillarbox_store", "pillarbox_office", "axum", "askama", "unsafe "],
    );
    assert_imports("appliance/filter/src", FILTER);
    let manifest = fs::read_to_string(root().join("appliance/filter/Cargo.toml")).unwrap();
    let (shipped, _) = manifest.split_once("[dev-dependencies]").unwrap();
    assert!(!shipped.contains("pillarbox-store") && !shipped.contains("pillarbox-outbound"));
}

#[test]
fn texts_know_no_program_page_clock_or_file() {
    assert_free_of(
        "appliance/texts/src",
        &[
            "pillarbox_", "tokio", "smol", "askama", "axum", "std::fs", "std::net", "SystemTime",
            "Instant", "unsafe ",
        ],
    );
}

#[test]
fn manifests_keep_the_crates_apart() {
    let manifest = |name: &str| {
        fs::read_to_string(root().join("appliance").join(name).join("Cargo.toml")).unwrap()
    };
    assert!(!manifest("proto").contains("tokio") && !manifest("proto").contains("pillarbox-store"));
    assert!(
        !manifest("message").contains("tokio") && !manifest("message").contains("pillarbox-store")
    );
    assert!(
        !manifest("platform").contains("pillarbox-store")
            && !manifest("platform").contains("axum")
            && !manifest("platform").contains("hyper")
    );
    assert!(!manifest("outbound").contains("office") && !manifest("outbound").contains("axum"));
    assert!(!manifest("office").contains("pillarbox-web") && !manifest("office").contains("axum"));
    assert!(!manifest("web").contains("maild"));
    // What waits in little memory, or runs as root, reads plain texts only.
    assert!(!manifest("beacon").contains("fluent") && !manifest("host").contains("fluent"));
    assert!(
        !manifest("store").contains("pillarbox-proto") && !manifest("store").contains("rustls")
    );
}

#[test]
fn no_file_holds_a_path_of_a_developers_machine() {
    for folder in ["appliance", "tests"] {
        for (path, text) in sources(folder) {
            for word in ["/work/", "/root/", "/home/"].map(|w| format!("\"{w}")) {
                assert!(
                    !text.contains(&word) || path.ends_with("layers.rs"),
                    "{} names {word}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_name_in_the_office_is_held_without_clock_or_socket() {
    for file in [
        "candidates", "link", "packet", "records", "responder/mod", "responder/answers",
        "responder/conflicts",
    ] {
        let text = fs::read_to_string(root().join(format!("appliance/beacon/src/name/{file}.rs")))
            .unwrap();
        for word in ["Instant::now", "UdpSocket", "smol", "std::fs", "pillarbox_host"] {
            assert!(!shipped(&text).contains(word), "{file}.rs must not use {word}");
        }
    }
}

#[test]
fn what_runs_as_root_and_the_beacon_know_nothing_of_mail() {
    assert_free_of(
        "appliance/host/src",
        &["pillarbox_store", "pillarbox_proto", "tokio", "smol", "unsafe "],
    );
    assert_free_of(
        "appliance/beacon/src",
        &["pillarbox_store", "pillarbox_proto", "tokio", "unsafe "],
    );
}
