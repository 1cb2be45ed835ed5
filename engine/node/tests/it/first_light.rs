//! The README's main job: its numbers are those of the golden file.

use std::path::Path;

use super::node::Node;

#[path = "../../examples/first-light.rs"]
#[expect(dead_code, reason = "the example's main is not called here")]
mod example;

#[test]
fn delivers_ten_thousand_rows_in_order_and_empties_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    example::fill(folder.path()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/first-light.djs");
    let arguments = example::arguments(&script, folder.path());
    let arguments: Vec<&str> = arguments[1..].iter().map(|a| a.to_str().unwrap()).collect();
    let run = Node::start(folder.path(), &arguments, &[]).finish();
    run.expect(
        0,
        &[
            "first-light.djs: ended, 10000 records in 10 batches",
            "0 errors",
        ],
    );
    assert_eq!(
        example::summary(folder.path()).unwrap(),
        include_str!("golden/first-light.txt").trim_end()
    );
}

#[test]
fn the_readme_tells_the_truth_about_its_two_commands() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let run = std::fs::read_to_string(workspace.join(".ci/run")).unwrap();
    for name in ["README.md", "README.ru.md"] {
        let text = std::fs::read_to_string(workspace.join(name)).unwrap();
        assert!(
            text.contains(include_str!("golden/first-light.txt")),
            "{name} shows other numbers"
        );
        for command in [
            "cargo run --release -p dajet-node --example first-light\n",
            "docker/services.sh run cargo test --workspace\n",
        ] {
            assert!(text.contains(command), "{name} has no command {command}");
            assert!(
                run.replace(" --locked", "").contains(command.trim()),
                ".ci/run does not run {command}"
            );
        }
    }
}
