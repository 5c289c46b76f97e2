//! The shape of the code, as CONTRIBUTING.md has it: how wide comments are, how long functions and documents.

#![allow(clippy::unwrap_used)] // tests may

use std::fs;
use std::path::{Path, PathBuf};

use pillarbox_tests::{files, root};

/// Columns of a comment or a line of a document. Tables and addresses may be wider.
const COLUMNS: usize = 120;
/// Lines of a function.
const LINES: usize = 70;
/// Lines of ARCHITECTURE.md.
const ARCHITECTURE: usize = 250;

/// Longer functions: tables, and walks through the product that are one story.
const TABLES: &[(&str, &str)] = &[
    ("web/src/lib.rs", "table"),
    ("filter/src/verdict/tests.rs", "what_is_known_decides"),
    ("browser/src/webmail.rs", "what_is_dangerous_is_told_and_what_is_in_junk_says_why"),
    ("browser/src/hostile.rs", "nothing_runs_and_nothing_gets_out"),
    ("browser/src/office.rs", "a_message_shows_its_parts_and_its_way"),
];

fn below(folders: &[&str], extension: &str) -> Vec<(PathBuf, String)> {
    folders.iter().flat_map(|folder| files(&root().join(folder), extension)).collect()
}

/// The functions of a file: name, lines from the signature to the closing brace.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words: Vec<&str> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let Some(place) = words.iter().position(|word| *word == "fn") else { continue };
        let before = ["pub", "crate", "super", "async", "const", "unsafe", "extern", "C", "in", ""];
        if !words[..place].iter().all(|word| before.contains(word)) {
            continue;
        }
        let Some(name) = words.get(place + 1).filter(|name| !name.is_empty()) else { continue };
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[at..].iter().position(|line| *line == end) {
            found.push((name.to_string(), length + 1));
        }
    }
    found
}

#[test]
fn functions_are_short_unless_they_are_tables() {
    let mut long = Vec::new();
    for (path, text) in below(&["appliance", "tests"], "rs") {
        for (name, lines) in functions(&text).into_iter().filter(|(_, lines)| *lines > LINES) {
            let is_table =
                TABLES.iter().any(|(file, table)| path.ends_with(file) && *table == name);
            if !is_table {
                long.push(format!("{} {name}: {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "over {LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn comments_and_documents_fit_a_screen() {
    let mut wide = Vec::new();
    let mut note = |path: &Path, number: usize, line: &str| {
        if line.chars().count() > COLUMNS {
            wide.push(format!("{}:{}", path.display(), number + 1));
        }
    };
    for (path, text) in below(&["appliance", "tests"], "rs") {
        let lines = text.lines().enumerate();
        let comments = lines.filter(|(_, line)| line.trim_start().starts_with("//"));
        comments
            .filter(|(_, line)| !line.contains("://"))
            .for_each(|(number, line)| note(&path, number, line));
    }
    let documents =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let named = documents.iter().map(|name| root().join(name));
    let named = named.map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    for (path, text) in named.chain(below(&["docs"], "md")) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('|')) {
            // What can't be broken: an address, a command.
            if !line.contains("](") && !line.contains("://") && !line.contains('`') {
                note(&path, number, line);
            }
        }
    }
    assert!(wide.is_empty(), "over {COLUMNS} columns:\n{}", wide.join("\n"));
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.lines().count() <= ARCHITECTURE);
}

#[test]
fn functions_are_found_with_their_length() {
    let text = "impl X {\n    pub(crate) async fn one(\n        a: u8,\n    ) {\n        a();\n    }\n}\nfn two() {}\nlet f = fn_like(\n);\n";
    assert_eq!(functions(text), [("one".to_string(), 5)]);
}
