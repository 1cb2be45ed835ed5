//! The format of a case: sections, each begun by a line `== name`. What stands in front of the first one is a comment.
//!
//! ```text
//! Why this case is here.
//! == script
//! PRINT 1 +
//! == syntax
//! E_PARSE 1:10-1:10 expected an expression, found the end of the script
//! ```
//!
//! The sections of [`INPUTS`] are given, the others are expected. No script has a line that begins with `==`.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The sections that are given.
pub const INPUTS: &[&str] = &[
    "script",
    "facts",
    "records",
    "answers",
    "parameters",
    "environment",
];

/// A case as it stands in its file.
#[derive(Clone)]
pub struct Case {
    pub path: PathBuf,
    comment: String,
    sections: Vec<(String, String)>,
}

impl Case {
    /// Reads the case in the file `path`.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let (mut comment, mut sections) = (String::new(), Vec::<(String, String)>::new());
        for line in text.split_inclusive('\n') {
            match (line.strip_prefix("== "), sections.last_mut()) {
                (Some(name), _) => sections.push((name.trim_end().to_owned(), String::new())),
                (None, Some((_, body))) => body.push_str(line),
                (None, None) => comment.push_str(line),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            comment,
            sections,
        })
    }

    /// The names of the expected sections, in order.
    pub fn expected(&self) -> impl Iterator<Item = &str> {
        self.sections
            .iter()
            .map(|(name, _)| &**name)
            .filter(|name| !INPUTS.contains(name))
    }

    /// The text of a section, without its last line break.
    pub fn section(&self, name: &str) -> Option<&str> {
        let (_, body) = self.sections.iter().find(|(n, _)| n == name)?;
        Some(body.strip_suffix('\n').unwrap_or(body))
    }

    /// Replaces an expected section, or adds it.
    pub fn set(&mut self, name: &str, body: &str) {
        let body = if body.is_empty() {
            String::new()
        } else {
            format!("{body}\n")
        };
        match self.sections.iter_mut().find(|(n, _)| n == name) {
            Some(section) => section.1 = body,
            None => self.sections.push((name.to_owned(), body)),
        }
    }

    /// Replaces a given section.
    pub fn replace_input(&mut self, name: &str, body: &str) {
        for section in self.sections.iter_mut().filter(|(n, _)| n == name) {
            body.clone_into(&mut section.1);
        }
    }

    /// Writes the case back to its file.
    pub fn write(&self) -> io::Result<()> {
        let mut text = self.comment.clone();
        for (name, body) in &self.sections {
            text.push_str(&format!("== {name}\n{body}"));
        }
        fs::write(&self.path, text)
    }
}

/// All files under `folder` that end in `.case`, in order of their paths.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "case") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
