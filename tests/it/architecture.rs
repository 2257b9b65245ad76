//! The rules between the rooms of `src/`, read from the code itself. A broken rule is named with file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms that hold plain values and decide.
const PURE: [&str; 12] =
    ["types", "sip", "gateway", "call", "routing", "agents", "media", "cards", "events", "site", "access", "outbound"];

/// What an IO room may use besides pure rooms, and why.
const IO_MAY_USE: [(&str, &[&str]); 14] = [
    ("clock", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("transport", &["clock"]),
    ("relay", &["clock"]),
    ("connectors", &[]),
    ("recording", &["relay", "clock"]), // the tap
    ("store", &["clock"]),
    ("engine", &["transport", "relay", "recording", "store", "clock"]), // where decisions meet IO
    ("web", &["engine", "store", "recording", "clock"]),                // `engine::Handle` for calls, `store` to read
    ("admin", &["engine", "store", "config", "clock"]),                 // the same, for the administrator
    ("support", &["transport", "relay", "clock"]),                      // the test phone
    (
        "app",
        &[
            "admin",
            "clock",
            "config",
            "connectors",
            "engine",
            "recording",
            "relay",
            "store",
            "support",
            "telemetry",
            "transport",
            "web",
        ],
    ),
    ("main", &["admin", "app", "config", "support", "telemetry"]),
];

/// Words that a pure room must not contain: sockets, clocks, files, SQL, tokio, logs.
const IMPURE: [&str; 13] = [
    "tokio::",
    "sqlx::",
    "tracing::",
    "metrics::",
    "std::fs",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "UdpSocket",
    "TcpStream",
    "std::thread",
];

struct Line {
    file: String,
    number: usize,
    text: String,
}

/// The code of every room, without comments and without test modules.
fn rooms() -> BTreeMap<String, Vec<Line>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    let only_for_tests = test_modules(&root);
    for path in rust_files(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy().to_string();
        let room = first.trim_end_matches(".rs").to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_test_file = only_for_tests.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"));
        if room == "lib" || is_test_file {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = rooms.entry(room).or_default();
        for (index, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            lines.push(Line { file: inside.display().to_string(), number: index + 1, text: code.to_string() });
        }
    }
    rooms
}

/// Modules declared behind `#[cfg(test)]`, as paths without extension.
fn test_modules(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in rust_files(root) {
        let text = std::fs::read_to_string(&path).unwrap();
        let is_folder_file = path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
        let folder = if is_folder_file { path.parent().unwrap().to_path_buf() } else { path.with_extension("") };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let name = pair[1].trim_start_matches("pub(super) ").strip_prefix("mod ").and_then(|rest| rest.split(';').next());
            found.extend(name.filter(|name| !name.contains('{')).map(|name| folder.join(name)));
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Rooms that a line names: `crate::room::…`, `use crate::{room::…, room}`.
fn named_rooms<'a>(line: &'a str, all: &BTreeSet<String>) -> Vec<&'a str> {
    let word = |text: &'a str| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        &text[..end]
    };
    let mut found = Vec::new();
    for (start, _) in line.match_indices("crate::").chain(line.match_indices("perezvon::")) {
        let rest = &line[start..];
        let rest = rest.split_once("::").unwrap().1;
        match rest.strip_prefix('{') {
            Some(list) => found.extend(list.split(',').map(str::trim).map(word)),
            None => found.push(word(rest)),
        }
    }
    found.retain(|name| all.contains(*name));
    found
}

fn uses() -> Vec<(String, String, String)> {
    let rooms = rooms();
    let all: BTreeSet<String> = rooms.keys().cloned().collect();
    let mut uses = Vec::new();
    for (room, lines) in &rooms {
        for line in lines {
            for used in named_rooms(&line.text, &all).into_iter().filter(|used| used != room) {
                uses.push((room.clone(), used.to_string(), format!("src/{}:{}", line.file, line.number)));
            }
        }
    }
    uses
}

fn report(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "rule broken: {rule}\n  {}", broken.join("\n  "));
}

#[test]
fn pure_rooms_import_only_pure_rooms() {
    let broken = uses().into_iter().filter(|(room, used, _)| PURE.contains(&&**room) && !PURE.contains(&&**used));
    report(
        "1. Pure rooms import only pure rooms",
        broken.map(|(room, used, place)| format!("{place}: {room} uses {used}")).collect(),
    );
}

#[test]
fn pure_rooms_hold_no_socket_clock_file_sql_or_tokio() {
    let mut broken = Vec::new();
    for (room, lines) in rooms().iter().filter(|(room, _)| PURE.contains(&&***room)) {
        for line in lines {
            for word in IMPURE.iter().filter(|word| line.text.contains(**word)) {
                broken.push(format!("src/{}:{}: {room} says {word}", line.file, line.number));
            }
        }
    }
    report("1. Pure rooms hold no socket, clock, file, SQL, log or tokio", broken);
}

#[test]
fn the_call_knows_neither_sip_nor_gateway_nor_routing() {
    let forbidden: [(&str, &[&str]); 6] = [
        ("call", &["sip", "gateway", "routing"]),
        ("routing", &["sip", "gateway"]),
        ("agents", &["sip", "gateway"]),
        ("media", &["sip", "gateway"]),
        ("cards", &["sip", "gateway"]),
        ("events", &["sip", "gateway"]),
    ];
    let is_broken = |room: &str, used: &str| forbidden.iter().any(|(of, list)| *of == room && list.contains(&used));
    let broken = uses().into_iter().filter(|(room, used, _)| is_broken(room, used));
    report(
        "2. `call` knows neither `sip`, `gateway` nor `routing`; nothing below `gateway` knows SIP",
        broken.map(|(room, used, place)| format!("{place}: {room} uses {used}")).collect(),
    );
}

#[test]
fn io_rooms_import_pure_rooms_and_what_their_duty_needs() {
    let allowed: BTreeMap<&str, &[&str]> = IO_MAY_USE.into_iter().collect();
    let mut broken = Vec::new();
    for (room, used, place) in uses().into_iter().filter(|(room, used, _)| !PURE.contains(&&**room) && !PURE.contains(&&**used)) {
        match allowed.get(&*room) {
            Some(list) if list.contains(&&*used) => {}
            Some(_) => broken.push(format!("{place}: {room} uses {used}")),
            None => broken.push(format!("{place}: the room {room} is in no list of this test")),
        }
    }
    report("3. IO rooms import pure rooms, not each other; only `engine` and `app` tie them together", broken);
}

#[test]
fn no_circles_between_rooms() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (room, used, _) in uses() {
        edges.entry(room).or_default().insert(used);
    }
    let mut broken = Vec::new();
    for start in edges.keys() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = edges[start].iter().collect();
        while let Some(room) = open.pop() {
            if reached.insert(room.clone()) {
                open.extend(edges.get(room).into_iter().flatten());
            }
        }
        if reached.contains(start) {
            broken.push(format!("{start} reaches itself"));
        }
    }
    report("4. No circles between rooms", broken);
}

#[test]
fn the_table_of_contents_names_every_room() {
    let contents = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let missing = rooms().into_keys().filter(|room| room != "main" && !contents.contains(&format!("pub mod {room}; //")));
    report("lib.rs is a table of contents: one line a room, with its duty", missing.collect());
}

#[test]
fn the_test_sees_a_broken_rule() {
    let all: BTreeSet<String> = ["call", "store", "sip"].map(String::from).into();
    assert_eq!(named_rooms("use crate::store::Store;", &all), ["store"]);
    assert_eq!(named_rooms("use crate::{call::Call, sip};", &all), ["call", "sip"]);
    assert_eq!(named_rooms("let x = crate::sip::wire::parse(y);", &all), ["sip"]);
    assert!(named_rooms("use crate::callous::X;", &all).is_empty());
}
