//! Finding script files and reading them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dajet_core::{Diagnostic, Span};

use crate::error::{HostError, causes};

/// How deep folders are searched for scripts.
const DEPTH_MAX: usize = 32;

/// A script file's text, or the diagnostic that says why there is none.
#[derive(Clone, Debug)]
pub struct ScriptText {
    /// The path as people know it.
    pub name: Arc<str>,
    /// The text; empty where there is none.
    pub text: Arc<str>,
    /// Set if the file is no text, or cannot be read.
    pub unreadable: Option<Diagnostic>,
}

/// Finds the scripts that `paths` name: files as they are, folders searched for `*.djs`, in the order of their paths. A
/// file that is named twice counts once.
///
/// # Errors
/// A path that does not exist, a folder without scripts.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, HostError> {
    let mut found = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|e| HostError::file("script", path, e))?;
        if !kind.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        search(path, DEPTH_MAX, &mut found)?;
        if found.len() == before {
            return Err(HostError::usage(format!(
                "folder \"{}\" holds no script (*.djs)",
                path.display()
            )));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    Ok(found)
}

/// Reads scripts. One of several that cannot be read disturbs no other: it gets a diagnostic.
///
/// # Errors
/// Those of [`read`] if there is one path.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<ScriptText>, HostError> {
    if let [path] = paths {
        return read(path).map(|script| vec![script]);
    }
    let found = paths.iter().map(|path| {
        read(path).unwrap_or_else(|error| {
            let diagnostic = Diagnostic::error("E_FILE", Span::default(), causes(&error));
            ScriptText {
                name: path.display().to_string().into(),
                text: "".into(),
                unreadable: Some(diagnostic.maybe_hint(error.hint().map(str::to_owned))),
            }
        })
    });
    Ok(found.collect())
}

/// Reads one script.
///
/// # Errors
/// A file that is missing, is a folder or cannot be read. A file that is no text is no error here.
pub fn read(path: &Path) -> Result<ScriptText, HostError> {
    if path.is_dir() {
        return Err(HostError::Usage {
            message: format!("\"{}\" is a folder, not a script", path.display()),
            hint: Some("Only run and check take folders.".to_owned()),
        });
    }
    let bytes = std::fs::read(path).map_err(|e| HostError::file("script", path, e))?;
    let name: Arc<str> = path.display().to_string().into();
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(ScriptText {
            name,
            text: text.into(),
            unreadable: None,
        }),
        Ok(_) => Ok(not_text(name, "the file is binary, not a script")),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Ok(not_text(
                name,
                &format!("the file is not UTF-8 text: wrong byte at offset {at}"),
            ))
        }
    }
}

fn not_text(name: Arc<str>, message: &str) -> ScriptText {
    let diagnostic = Diagnostic::error("E_LEX", Span::default(), message)
        .hint("Name a script file that is saved as UTF-8.");
    ScriptText {
        name,
        text: "".into(),
        unreadable: Some(diagnostic),
    }
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), HostError> {
    if depth == 0 {
        return Err(HostError::usage(format!(
            "folder \"{}\" is nested too deeply",
            folder.display()
        )));
    }
    let fail = |e| HostError::file("folder", folder, e);
    let mut entries = std::fs::read_dir(folder)
        .map_err(fail)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_script = || {
            let named = path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("djs"));
            // A pipe would be waited for; a link that leads nowhere is told when it is read.
            named && std::fs::metadata(&path).map_or(true, |kind| kind.is_file())
        };
        // Links to folders are not followed: they may form a circle.
        if entry.file_type().map_err(fail)?.is_dir() {
            search(&path, depth - 1, found)?;
        } else if is_script() {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_folders_in_order_and_names_each_file_once() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("б/в")).unwrap();
        for name in ["z.djs", "a.djs", "б/в/c.DJS", "note.txt"] {
            std::fs::write(at(name), "PRINT 1").unwrap();
        }
        let found = find(&[at("z.djs"), root.path().to_owned()]).unwrap();
        assert_eq!(found, [at("z.djs"), at("a.djs"), at("б/в/c.DJS")]);
    }

    #[test]
    fn missing_and_empty_places_are_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("orders.sql"), "").unwrap();
        let error = find(&[root.path().join("order.sql")]).unwrap_err();
        assert!(error.hint().unwrap().contains("orders.sql"), "{error}");
        let error = find(&[root.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("holds no script"), "{error}");
        assert!(
            read(root.path())
                .unwrap_err()
                .to_string()
                .contains("is a folder")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_script_that_cannot_be_read_disturbs_no_other() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("заказы.djs"), "PRINT 1").unwrap();
        std::os::unix::fs::symlink(at("нет"), at("ссылка.djs")).unwrap();
        std::os::unix::net::UnixListener::bind(at("s.djs")).unwrap();
        let found = find(&[root.path().to_owned()]).unwrap();
        assert_eq!(found, [at("заказы.djs"), at("ссылка.djs")]);
        let read_ones = read_all(&found).unwrap();
        assert_eq!(&*read_ones[0].text, "PRINT 1");
        assert!(read_ones[0].unreadable.is_none());
        let told = read_ones[1].unreadable.as_ref().unwrap();
        assert!(told.message.contains("cannot read script"), "{told:?}");
        assert_eq!((told.code, told.hint.as_deref()), ("E_FILE", None));
        assert!(read_all(&[at("ссылка.djs")]).is_err());
    }

    #[test]
    fn binary_files_are_no_scripts() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.djs");
        std::fs::write(&path, [b'P', 0xff, 0]).unwrap();
        let message = read(&path).unwrap().unreadable.unwrap().message;
        assert_eq!(
            message,
            "the file is not UTF-8 text: wrong byte at offset 1"
        );
        std::fs::write(&path, b"PRINT\0 1").unwrap();
        assert!(read(&path).unwrap().unreadable.is_some());
    }
}
