//! `sqlite://path/to/file.db?mode=…&map=…`

use std::path::{Path, PathBuf};

use dajet_core::contract::Environment;
use dajet_core::diagnostic::nearest;
use dajet_core::{Address, Identity, SystemError};
use percent_encoding::percent_decode_str;

/// How the file may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The file must exist and is not written.
    ReadOnly,
    /// The file must exist.
    ReadWrite,
    /// The file is created when it is absent.
    ReadWriteCreate,
    /// No file: a database in the memory of this process, shared by all that name it.
    Memory,
}

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, absolute and canonical as far as it exists.
    pub path: PathBuf,
    /// How it may be used.
    pub mode: Mode,
    /// The mapping file.
    pub map: Option<PathBuf>,
}

const MODES: [(&str, Mode); 4] = [
    ("ReadOnly", Mode::ReadOnly),
    ("ReadWrite", Mode::ReadWrite),
    ("ReadWriteCreate", Mode::ReadWriteCreate),
    ("Memory", Mode::Memory),
];

impl Location {
    /// Reads an address; relative paths start at the root of `environment`.
    ///
    /// # Errors
    /// `Misconfigured`: no path, unknown parameters.
    pub fn parse(address: &Address, environment: &Environment) -> Result<Self, SystemError> {
        let wrong = |why: String| {
            SystemError::misconfigured("E_URI", format!("bad address \"{address}\": {why}"))
        };
        let text = address.expose();
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded
                .map(String::from)
                .map_err(|_| wrong("it is not UTF-8 when decoded".into()))
        };
        let path = decode(path)?;
        if path.is_empty() {
            return Err(wrong("it names no file".into()));
        }
        if path.contains('\0') {
            return Err(wrong("a path cannot hold U+0000".into()));
        }
        let (mut mode, mut map) = (Mode::ReadWriteCreate, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "mode" => mode = parse_mode(&value).map_err(wrong)?,
                "map" if value.is_empty() => return Err(wrong("\"map\" names no file".into())),
                "map" => map = Some(environment.root.join(value)),
                other => {
                    let error = wrong(format!("unknown parameter \"{other}\""));
                    return Err(match nearest(other, ["mode", "map"]) {
                        Some(near) => error.with_hint(format!("Did you mean \"{near}\"?")),
                        None => error,
                    });
                }
            }
        }
        Ok(Self {
            path: canonical(&environment.root.join(path)),
            mode,
            map,
        })
    }

    /// What makes two addresses the same place.
    pub fn identity(&self) -> Identity {
        match self.mode {
            Mode::Memory => Identity::new(format!("sqlite:memory:{}", self.path.display())),
            _ => Identity::new(format!("sqlite:{}", self.path.display())),
        }
    }

    /// The file's name, for people.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn parse_mode(value: &str) -> Result<Mode, String> {
    let found = MODES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        let names: Vec<_> = MODES.iter().map(|(name, _)| *name).collect();
        format!("unknown mode \"{value}\", there are {}", names.join(", "))
    })
}

/// The canonical path of the file, or that of its folder with the file's name if there is no file yet.
fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (
        absolute.parent().map(Path::canonicalize),
        absolute.file_name(),
    ) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, String> {
        let environment = Environment {
            root: "/нет такого".into(),
            ..Environment::default()
        };
        Location::parse(&Address::new(text), &environment).map_err(|e| e.message)
    }

    #[test]
    fn addresses_are_decoded() {
        let path = |text: &str| parse(text).map(|l| (l.path.display().to_string(), l.mode));
        let create = Mode::ReadWriteCreate;
        assert_eq!(
            path("sqlite://а/б.db"),
            Ok(("/нет такого/а/б.db".into(), create))
        );
        assert_eq!(
            path("sqlite:///x%20y/%D0%B1.db"),
            Ok(("/x y/б.db".into(), create))
        );
        let read_only = Ok(("/x.db".into(), Mode::ReadOnly));
        assert_eq!(path("sqlite:///x.db?mode=readonly"), read_only);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| parse(text).expect_err("it is wrong");
        assert_eq!(
            error("sqlite://"),
            "bad address \"sqlite://\": it names no file"
        );
        assert!(error("sqlite://a?mod=x").contains("unknown parameter \"mod\""));
        assert!(error("sqlite://a?mode=x").contains("ReadWriteCreate"));
    }
}
