//! No text makes the compiler panic, and no plan its machine.

use std::path::Path;

use crate::case::{Case, files};
use crate::trace::trace;

/// Every case, cut off and with a piece taken out at many places.
#[test]
fn survives_broken_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for path in files(&folder).expect("there are cases") {
        let case = Case::read(&path).expect("cases are text");
        let script = case.section("script").unwrap_or_default().to_owned();
        let places: Vec<usize> = script.char_indices().map(|(at, _)| at).collect();
        for (step, at) in places.iter().enumerate() {
            if step % 13 == 0 {
                run(&case, &script[..*at]);
            }
            if step % 17 == 0 {
                let behind = places.get(step + 6).copied().unwrap_or(script.len());
                run(&case, &format!("{}{}", &script[..*at], &script[behind..]));
            }
        }
    }
}

fn run(case: &Case, script: &str) {
    let mut broken = case.clone();
    broken.replace_input("script", script);
    trace(&broken);
}
