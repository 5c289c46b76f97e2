//! Who imports whom: the files of all crates as a graph, read from their `use` lines and paths.
//! Rooms stay rooms as long as few files hang on each other.

#![allow(clippy::unwrap_used)] // tests may

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pillarbox_tests::{files, root};
use syn::visit::{self, Visit};

/// A module by its path: the crate's name, then the modules down to it.
type Module = Vec<String>;

/// The files of a crate that hang on each other, at most: each can be reached from each other one by imports.
const CIRCLE: usize = 5;
/// Files that know a type, at most.
const KNOWN_BY: usize = 30;
/// What everything may know: the words of the field that crates share.
const VOCABULARY: &[&str] =
    &["AccountId", "FolderId", "MessageId", "Timestamp", "Reader", "Store", "Error", "Result"];
/// A file's module, and what it names of this workspace.
struct Room {
    module: Module,
    paths: BTreeSet<Vec<String>>,
}

/// The names that crates have in code, with their folders.
fn crates() -> Vec<(String, PathBuf)> {
    let folders =
        fs::read_dir(root().join("appliance")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<(String, PathBuf)> = folders
        .filter(|folder| folder.join("Cargo.toml").exists())
        .map(|folder| {
            (format!("pillarbox_{}", folder.file_name().unwrap().to_str().unwrap()), folder)
        })
        .collect();
    found.sort();
    found
}

/// Every file of a crate that is shipped.
fn rooms(name: &str, folder: &Path) -> Vec<Room> {
    let (src, mut found) = (folder.join("src"), Vec::new());
    for (path, text) in files(&src, "rs") {
        let within = path.strip_prefix(&src).unwrap().with_extension("");
        let mut module: Module =
            within.iter().map(|part| part.to_str().unwrap().to_string()).collect();
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        module.insert(0, name.to_string());
        let file = syn::parse_file(&text).unwrap();
        let mut names = Names { module: &module, paths: BTreeSet::new() };
        names.visit_file(&file);
        let paths = names.paths;
        found.push(Room { module, paths });
    }
    found
}

/// Gathers the paths that a file names, from the crate's name on.
struct Names<'a> {
    module: &'a Module,
    paths: BTreeSet<Vec<String>>,
}

impl Names<'_> {
    fn add(&mut self, path: &[String]) {
        let (first, rest) = path.split_first().unwrap();
        let own = &self.module[..];
        let ups = path.iter().take_while(|part| *part == "super").count();
        let whole: Vec<String> = match first.as_str() {
            "crate" => own[..1].iter().chain(rest).cloned().collect(),
            "self" => own.iter().chain(rest).cloned().collect(),
            "super" => own[..own.len().saturating_sub(ups).max(1)]
                .iter()
                .chain(&path[ups..])
                .cloned()
                .collect(),
            name if name.starts_with("pillarbox_") => path.to_vec(),
            // A module below this one, or something from elsewhere: whoever resolves it knows which.
            _ => own.iter().chain(path).cloned().collect(),
        };
        self.paths.insert(whole);
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Rename(name) => self.leaf(before, name.ident.to_string()),
            syn::UseTree::Glob(_) => self.add(before),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(before, tree))
            }
        }
    }

    fn leaf(&mut self, before: &[String], name: String) {
        let path: Vec<String> =
            before.iter().cloned().chain((name != "self").then_some(name)).collect();
        self.add(&path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.add(&parts);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What stands within is no syntax before the macro was run: its words are read.
        let text = call.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let parts: Vec<String> = word.split("::").map(str::to_string).collect();
            if parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && !part.contains(':')) {
                self.add(&parts);
            }
        }
    }
}

/// The files of all crates; who imports whom, by their places in the list.
struct Graph {
    rooms: Vec<Room>,
    imports: Vec<BTreeSet<usize>>,
}

impl Graph {
    fn read() -> Graph {
        let rooms: Vec<Room> =
            crates().iter().flat_map(|(name, folder)| rooms(name, folder)).collect();
        let places: BTreeMap<&[String], usize> =
            rooms.iter().enumerate().map(|(at, room)| (&room.module[..], at)).collect();
        let imports = rooms
            .iter()
            .enumerate()
            .map(|(at, room)| {
                let resolve = |path: &Vec<String>| {
                    (1..=path.len()).rev().find_map(|end| places.get(&path[..end]).copied())
                };
                room.paths.iter().filter_map(resolve).filter(|other| *other != at).collect()
            })
            .collect();
        Graph { rooms, imports }
    }

    /// Files that each can reach each other, the largest group first.
    fn circles(&self) -> Vec<Vec<usize>> {
        let reached: Vec<BTreeSet<usize>> =
            (0..self.rooms.len()).map(|start| self.reached_from(start)).collect();
        let (mut circles, mut seen) = (Vec::new(), BTreeSet::new());
        for at in 0..self.rooms.len() {
            let circle: Vec<usize> =
                reached[at].iter().copied().filter(|other| reached[*other].contains(&at)).collect();
            if circle.len() > 1 && circle.iter().all(|member| seen.insert(*member)) {
                circles.push(circle);
            }
        }
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    fn reached_from(&self, start: usize) -> BTreeSet<usize> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(at) = next.pop() {
            next.extend(self.imports[at].iter().copied().filter(|other| reached.insert(*other)));
        }
        reached
    }

    fn name(&self, at: usize) -> String {
        self.rooms[at].module.join("::")
    }

    fn crate_of(&self, at: usize) -> &str {
        &self.rooms[at].module[0]
    }
}

static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::read);

/// Compares each crate's largest figure of a kind with what it may be.
fn judge(most: usize, kind: &str, found: &BTreeMap<String, (usize, String)>) {
    for (name, (count, what)) in found {
        assert!(*count <= most, "{name}, {kind}: {count}, at most {most} may. {what}");
    }
}

#[test]
fn files_hang_on_each_other_in_small_groups_and_never_over_a_crates_border() {
    let graph = &*GRAPH;
    let mut found = BTreeMap::new();
    for circle in graph.circles() {
        let name = graph.crate_of(circle[0]);
        let members: Vec<String> = circle.iter().map(|at| graph.name(*at)).collect();
        assert!(
            circle.iter().all(|at| graph.crate_of(*at) == name),
            "over a crate's border: {members:?}"
        );
        // The largest one comes first.
        found.entry(name.to_string()).or_insert((circle.len(), format!("{members:#?}")));
    }
    judge(CIRCLE, "files that hang on each other", &found);
}

#[test]
fn no_type_is_known_everywhere() {
    let graph = &*GRAPH;
    let mut knowers: BTreeMap<&[String], BTreeSet<usize>> = BTreeMap::new();
    let is_type = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.contains(|c: char| c.is_ascii_lowercase())
    };
    for (at, room) in graph.rooms.iter().enumerate() {
        for path in room.paths.iter().filter(|path| path[..path.len() - 1] != room.module[..]) {
            // Behind the type come its own functions and variants.
            let end = path
                .iter()
                .position(|part| is_type(part))
                .filter(|end| !VOCABULARY.contains(&path[*end].as_str()));
            if let Some(end) = end {
                knowers.entry(&path[..=end]).or_default().insert(at);
            }
        }
    }
    let mut found: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (path, files) in knowers {
        let largest = found.entry(path[0].clone()).or_default();
        if files.len() > largest.0 {
            *largest = (files.len(), path.join("::"));
        }
    }
    judge(KNOWN_BY, "files that know a type", &found);
}

/// Printed for whoever looks: `cargo test -p pillarbox-tests --test graph -- --nocapture`.
#[test]
fn importers_are_counted() {
    let graph = &*GRAPH;
    let mut importers: Vec<usize> = vec![0; graph.rooms.len()];
    graph.imports.iter().flatten().for_each(|at| importers[*at] += 1);
    let mut order: Vec<usize> = (0..graph.rooms.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(importers[*at]));
    for at in order.iter().take(20) {
        println!("{:4} files import {}", importers[*at], graph.name(*at));
    }
    for circle in graph.circles() {
        println!("{:4} files of {} hang on each other", circle.len(), graph.crate_of(circle[0]));
    }
    assert!(importers.iter().sum::<usize>() > graph.rooms.len(), "imports are not seen any more");
}
