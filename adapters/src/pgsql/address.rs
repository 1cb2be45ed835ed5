//! `pgsql://user:password@host[:port]/database[?map=PATH&sslmode=…&schema=…]`

use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::secret::Secret;
use dajet_core::{Address, Identity, SystemError};

const PORT: u16 = 5432;
const PARAMETERS: [&str; 3] = ["map", "schema", "sslmode"];

/// The parts of an address, percent-decoded.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    /// `map`: path of the mapping file.
    pub(super) map: Option<String>,
    /// `schema`: the search path of the sessions.
    pub(super) schema: Option<String>,
    pub(super) identity: Identity,
}

impl Target {
    /// Takes an address apart.
    ///
    /// # Errors
    /// `Misconfigured`; the message never holds the password.
    pub(super) fn parse(address: &Address) -> Result<Self, SystemError> {
        parse(address.expose()).map_err(|Mistake { message, hint }| {
            let message = format!("wrong address \"{address}\": {message}");
            let error = SystemError::misconfigured("E_URI", message);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error.with_hint(
                    "An address has the form pgsql://user:password@host:port/database, special characters as %XX.",
                ),
            }
        })
    }

    /// Where the database is, for messages: `host:port/database`.
    pub(super) fn place(&self) -> Arc<str> {
        format!("{}:{}/{}", self.host, self.port, self.database).into()
    }
}

struct Mistake {
    message: String,
    hint: Option<String>,
}

impl<T: Into<String>> From<T> for Mistake {
    fn from(message: T) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }
}

fn parse(text: &str) -> Result<Target, Mistake> {
    let rest = text
        .strip_prefix("pgsql://")
        .ok_or("the scheme is not \"pgsql://\"")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(user, place)| (Some(user), place));
    let (user, password) = match authority {
        None => return Err("the user is missing".into()),
        Some(authority) => match authority.split_once(':') {
            Some((user, password)) => (decode(user)?, Some(Secret::new(decode(password)?))),
            None => (decode(authority)?, None),
        },
    };
    if user.is_empty() {
        return Err("the user is missing".into());
    }
    let (place, database) = path.split_once('/').ok_or("the database is missing")?;
    let (host, port) = host_and_port(place)?;
    if database.trim_end_matches('/').contains('/') {
        return Err("procedures are not supported here".into());
    }
    let database = decode(database.trim_end_matches('/'))?;
    if database.is_empty() {
        return Err("the database is missing".into());
    }
    let (mut map, mut schema) = (None, None);
    for (name, value) in query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
    {
        match name {
            "map" => map = Some(required(name, value)?),
            "schema" => schema = Some(required(name, value)?),
            "sslmode" => check_ssl_mode(&decode(value)?)?,
            _ => return Err(unknown_parameter(name)),
        }
    }
    let identity = Identity::new(format!(
        "pgsql://{user}@{}:{port}/{database}",
        normalised(&host)
    ));
    Ok(Target {
        host,
        port,
        database,
        user,
        password,
        map,
        schema,
        identity,
    })
}

fn required(name: &str, value: &str) -> Result<String, Mistake> {
    match decode(value)? {
        value if value.is_empty() => Err(format!("parameter \"{name}\" has no value").into()),
        value => Ok(value),
    }
}

fn unknown_parameter(name: &str) -> Mistake {
    let hint = match nearest(name, PARAMETERS) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => format!("Known parameters are {}.", PARAMETERS.join(", ")),
    };
    Mistake {
        message: format!("unknown parameter \"{name}\""),
        hint: Some(hint),
    }
}

fn check_ssl_mode(mode: &str) -> Result<(), Mistake> {
    match mode {
        // Without TLS in this build, `prefer` means what it means when the server has none.
        "disable" | "prefer" => Ok(()),
        "require" | "verify-ca" | "verify-full" => Err(Mistake {
            message: format!(
                "sslmode \"{mode}\" is not supported: this build speaks no TLS to PostgreSQL"
            ),
            hint: Some("Use sslmode=disable over a trusted network or a tunnel.".into()),
        }),
        _ => Err(Mistake {
            message: format!("unknown sslmode \"{mode}\""),
            hint: Some("Use disable, prefer or require.".into()),
        }),
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), Mistake> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .ok_or("the host lacks its closing bracket")?;
            (host, rest.strip_prefix(':'))
        }
        None => place
            .split_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|p| *p != 0)
            .ok_or(format!("\"{port}\" is no port"))?,
    };
    Ok((decode(host)?, port))
}

/// Three names of the own machine are one place.
fn normalised(host: &str) -> String {
    match host.to_lowercase().as_str() {
        "localhost" | "127.0.0.1" | "::1" => "localhost".into(),
        host => host.into(),
    }
}

fn decode(text: &str) -> Result<String, Mistake> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.extend(u8::try_from(high * 16 + low)),
            _ => return Err("\"%\" is not followed by two hexadecimal digits".into()),
        }
    }
    String::from_utf8(bytes).map_err(|_| "a part is not UTF-8 after decoding".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, SystemError> {
        Target::parse(&Address::new(text))
    }

    #[test]
    fn decodes_every_part() {
        let t = target(
            "pgsql://us%40er:p%2Fw%3A@Host/%D0%B1аза?map=карта.tsv&schema=%22S&sslmode=prefer",
        )
        .unwrap();
        assert_eq!(
            (t.user.as_str(), t.host.as_str(), t.port),
            ("us@er", "Host", 5432)
        );
        assert_eq!(t.password.as_ref().map(Secret::expose), Some("p/w:"));
        assert_eq!(
            (t.database.as_str(), t.map.as_deref(), t.schema.as_deref()),
            ("база", Some("карта.tsv"), Some("\"S"))
        );
        assert_eq!(t.identity.as_str(), "pgsql://us@er@host:5432/база");
    }

    #[test]
    fn knows_the_same_place_by_several_names() {
        let identity = |text| target(text).unwrap().identity;
        let one = identity("pgsql://u:p@localhost/д");
        assert_eq!(
            one,
            identity("pgsql://u:other@127.0.0.1:5432/д?sslmode=disable")
        );
        assert_eq!(one, identity("pgsql://u@[::1]:5432/д"));
        assert_ne!(one, identity("pgsql://w@localhost/д"));
    }

    #[test]
    fn names_a_mistake_and_never_the_password() {
        let check = |text: &str, message: &str, hint: &str| {
            let error = target(text).unwrap_err();
            let hint_found = error.hint.clone().unwrap_or_default();
            assert!(
                error.message.contains(message) && hint_found.contains(hint),
                "{error} / {hint_found}"
            );
            assert!(!format!("{error:?}").contains("secret"));
        };
        check(
            "pgsql://u:secret@h/d?mpa=x",
            "unknown parameter \"mpa\"",
            "\"map\"",
        );
        check("pgsql://u:secret@h:0/d", "no port", "");
        check("pgsql://u:secret@h/", "database is missing", "");
        check("pgsql://u:secret%4@h/d", "hexadecimal", "");
        check("pgsql://u:secret@h/d?sslmode=require", "no TLS", "disable");
        check("pgsql://h/d", "user is missing", "");
    }
}
