//! The rules of the house that a machine can see: sizes, edges between crates, homes of packages, words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const LINES_MAX: usize = 800;

/// Which of our crates each crate may use.
const EDGES: [(&str, &[&str]); 6] = [
    ("engine/core", &[]),
    ("engine/lang", &["dajet-core"]),
    (
        "engine/node",
        &["dajet-core", "dajet-lang", "dajet-actors", "dajet-adapters"],
    ),
    ("actors", &["dajet-core", "dajet-lang"]),
    ("adapters", &["dajet-core"]),
    ("loadtest", &["dajet-core"]),
];

/// Packages that only some crates may ship with. `loadtest` and tests may use any driver.
const HOMES: [(&str, &[&str]); 14] = [
    ("actix", &["actors", "engine/node"]),
    ("actix-rt", &["actors", "engine/node"]),
    ("actix-web", &["engine/node"]),
    ("prometheus-client", &["engine/node"]),
    ("tokio-postgres", &["adapters", "loadtest"]),
    ("postgres-types", &["adapters", "loadtest"]),
    ("rusqlite", &["adapters", "loadtest"]),
    ("rdkafka", &["adapters", "loadtest"]),
    ("clap", &["engine/node", "loadtest"]),
    ("config", &["engine/node"]),
    ("indicatif", &["engine/node", "loadtest"]),
    ("annotate-snippets", &["engine/node"]),
    ("tracing-subscriber", &["engine/node"]),
    ("mimalloc", &["engine/node"]),
];

const TOP_LEVEL: [&str; 13] = [
    "Cargo.toml",
    "Cargo.lock",
    "engine",
    "actors",
    "adapters",
    "scripts",
    "loadtest",
    "docker",
    "docs",
    "README.md",
    "LICENSE",
    "justfile",
    "target",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The files of the repository, as paths from its root: those that git knows or would take.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "core.quotePath=false",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace())
        .output();
    let listed = output
        .ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let mut files: Vec<String> = match listed {
        Some(listed) => listed
            .lines()
            .map(str::to_owned)
            .filter(|f| workspace().join(f).is_file())
            .collect(),
        // A copy of the sources without git.
        None => walk(&workspace(), &workspace()),
    };
    files.sort();
    files.dedup();
    assert!(files.len() > 50, "too few files found: {files:?}");
    files
}

fn walk(folder: &Path, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        } else if path.is_dir() && name != "target" && name != ".git" {
            found.extend(walk(&path, root));
        }
    }
    found
}

/// The texts of the files for which `wanted` is true.
fn texts(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|file| wanted(file))
        .map(|file| {
            let text = std::fs::read_to_string(workspace().join(&file)).unwrap();
            (file, text)
        })
        .collect()
}

fn is_code(file: &str) -> bool {
    [".rs", ".sh", ".toml", ".yaml"]
        .iter()
        .any(|end| file.ends_with(end))
        || file.ends_with("justfile")
        || file == ".ci/run"
}

/// Names of the packages in a section of a manifest.
fn packages(manifest: &str, section: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.trim_end_matches(']') == section;
        } else if inside && let Some((name, _)) = line.split_once(['.', '=']) {
            found.insert(name.trim().to_owned());
        }
    }
    found
}

fn manifest(folder: &str) -> String {
    std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap()
}

fn fail_if_any(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn files_are_of_a_size_that_can_be_read() {
    let problems: Vec<String> = texts(is_code)
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(file, text)| {
            format!(
                "{file} has {} lines, at most {LINES_MAX}",
                text.lines().count()
            )
        })
        .collect();
    fail_if_any(&problems);
}

#[test]
fn crates_use_only_those_below_them() {
    let mut problems = Vec::new();
    for (folder, allowed) in EDGES {
        let text = manifest(folder);
        for section in ["dependencies", "build-dependencies"] {
            for package in packages(&text, section)
                .into_iter()
                .filter(|p| p.starts_with("dajet-"))
            {
                if !allowed.contains(&&*package) {
                    problems.push(format!(
                        "{folder} uses {package}: such an edge needs an ADR"
                    ));
                }
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn every_crate_has_its_rules() {
    let folders: BTreeSet<String> = files()
        .iter()
        .filter_map(|f| f.strip_suffix("/Cargo.toml"))
        .map(str::to_owned)
        .collect();
    let known: BTreeSet<String> = EDGES
        .iter()
        .map(|(folder, _)| (*folder).to_owned())
        .collect();
    assert_eq!(folders, known);
}

#[test]
fn packages_stay_in_their_homes() {
    let shipped: BTreeMap<&str, BTreeSet<String>> = EDGES
        .iter()
        .map(|(folder, _)| (*folder, packages(&manifest(folder), "dependencies")))
        .collect();
    let mut problems = Vec::new();
    for (package, homes) in HOMES {
        for (folder, packages) in &shipped {
            if packages.contains(package) && !homes.contains(folder) {
                problems.push(format!("{folder} uses {package}, whose home is {homes:?}"));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn every_dependency_is_used() {
    let mut problems = Vec::new();
    for (folder, _) in EDGES {
        let manifest = manifest(folder);
        for (section, under) in [
            ("dependencies", vec!["src/"]),
            ("dev-dependencies", vec!["src/", "tests/", "examples/"]),
        ] {
            let code: String = texts(|file| {
                file.strip_prefix(folder)
                    .and_then(|f| f.strip_prefix('/'))
                    .is_some_and(|f| {
                        f.ends_with(".rs") && under.iter().any(|part| f.starts_with(part))
                    })
            })
            .into_iter()
            .map(|(_, text)| text)
            .collect();
            for package in packages(&manifest, section) {
                if !code.contains(&format!("{}::", package.replace('-', "_"))) {
                    problems.push(format!("{folder} does not use {package} of its {section}"));
                }
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not hold them.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["#[ig", "nore"],
    ]
    .map(|w| w.concat());
    let mut problems = Vec::new();
    for (file, text) in texts(is_code) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                problems.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    }
    fail_if_any(&problems);
}

#[test]
fn no_registry_is_named_outside_of_the_lock_and_the_servers() {
    let hosts = [
        ["crates", ".io"],
        ["docker", ".io"],
        ["ghcr", ".io"],
        ["mcr.micro", "soft.com"],
        ["quay", ".io"],
    ];
    let hosts = hosts.map(|h| h.concat());
    let mut problems = Vec::new();
    for (file, text) in texts(|f| {
        f != "Cargo.lock" && !f.starts_with("docker/") && (is_code(f) || f.ends_with(".md"))
    }) {
        for host in hosts.iter().filter(|host| text.contains(host.as_str())) {
            problems.push(format!("{file} names {host}"));
        }
    }
    fail_if_any(&problems);
}

#[test]
fn the_top_level_is_as_prescribed() {
    let top: BTreeSet<String> = files()
        .iter()
        .map(|f| f.split('/').next().unwrap_or_default().to_owned())
        .collect();
    let allowed = |name: &str| {
        TOP_LEVEL.contains(&name)
            || name.starts_with('.')
            || name.ends_with(".md")
            || name.ends_with(".toml")
    };
    let problems: Vec<String> = top
        .iter()
        .filter(|name| !allowed(name))
        .map(|name| format!("{name} has no place at the top"))
        .collect();
    fail_if_any(&problems);
    for name in [
        "engine",
        "actors",
        "adapters",
        "scripts",
        "loadtest",
        "docker",
        "docs",
        "README.md",
        "README.ru.md",
    ] {
        assert!(top.contains(name), "{name} is missing");
    }
}
