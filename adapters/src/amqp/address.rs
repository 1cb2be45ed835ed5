//! `amqp://user:password@host[:port]/vhost[?cacertfile=PATH]`, and the same with `amqps` over TLS.

use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::{Address, Identity, Secret, SystemError};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

const PARAMETERS: [&str; 1] = ["cacertfile"];
const PORT: u16 = 5672;
const PORT_TLS: u16 = 5671;
/// What the broker takes for who does not say a name.
const GUEST: &str = "guest";

/// The parts of an address, percent-decoded.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) vhost: String,
    /// `cacertfile`: path of the certificates (PEM) that are trusted beside the system's own.
    pub(super) cacertfile: Option<String>,
    pub(super) identity: Identity,
}

impl Target {
    /// Takes an address apart.
    ///
    /// # Errors
    /// `Misconfigured`; the message never holds the password.
    pub(super) fn parse(address: &Address) -> Result<Self, SystemError> {
        parse(address.expose()).map_err(|Mistake { message, hint }| {
            SystemError::misconfigured("E_URI", format!("wrong address \"{address}\": {message}"))
                .with_hint(hint.unwrap_or_else(|| {
                    "An address has the form amqp://user:password@host:port/vhost, special characters as %XX."
                        .to_owned()
                }))
        })
    }

    /// Where the broker is, for messages: `host:port/vhost`.
    pub(super) fn place(&self) -> Arc<str> {
        let vhost = if self.vhost == "/" { "" } else { &self.vhost };
        format!("{}:{}/{vhost}", self.host, self.port).into()
    }

    /// For the client library. Holds the password.
    pub(super) fn uri(&self, heartbeat_seconds: u16) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.expose().to_owned(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(heartbeat_seconds),
                ..AMQPQueryString::default()
            },
        }
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
    let (scheme, rest) = text.split_once("://").ok_or("\"://\" is missing")?;
    let tls = match scheme {
        "amqp" => false,
        "amqps" => true,
        _ => return Err("the scheme is neither \"amqp\" nor \"amqps\"".into()),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(user, place)| (Some(user), place));
    let (user, password) = match authority {
        None => (GUEST.to_owned(), GUEST.to_owned()),
        Some(authority) => match authority.split_once(':') {
            Some((user, password)) => (decode(user)?, decode(password)?),
            None => return Err("the password is missing".into()),
        },
    };
    if user.is_empty() {
        return Err("the user is missing".into());
    }
    let (place, vhost) = path.split_once('/').unwrap_or((path, ""));
    if vhost.contains('/') {
        return Err(Mistake {
            message: "the virtual host holds a slash".to_owned(),
            hint: Some("Write a slash inside the name of a virtual host as %2F.".to_owned()),
        });
    }
    let (host, port) = host_and_port(place, if tls { PORT_TLS } else { PORT })?;
    let vhost = match decode(vhost)? {
        vhost if vhost.is_empty() => "/".to_owned(),
        vhost => vhost,
    };
    for (part, limit) in [(&user, 255), (&vhost, 255)] {
        if part.len() > limit {
            return Err(format!("a part is longer than {limit} bytes").into());
        }
    }
    let cacertfile = parameters(query, tls)?;
    let named = format!("{scheme}://{user}@{}:{port}/{vhost}", host.to_lowercase());
    Ok(Target {
        tls,
        host,
        port,
        user,
        password: Secret::new(password),
        vhost,
        cacertfile,
        identity: Identity::new(named),
    })
}

fn parameters(query: &str, tls: bool) -> Result<Option<String>, Mistake> {
    let mut cacertfile = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "cacertfile" if !tls => {
                return Err("parameter \"cacertfile\" needs the scheme \"amqps\"".into());
            }
            "cacertfile" => match decode(value)? {
                path if path.is_empty() => {
                    return Err("parameter \"cacertfile\" has no value".into());
                }
                path => cacertfile = Some(path),
            },
            _ => {
                let hint = match nearest(name, PARAMETERS) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => format!("Known parameters are {}.", PARAMETERS.join(", ")),
                };
                return Err(Mistake {
                    message: format!("unknown parameter \"{name}\""),
                    hint: Some(hint),
                });
            }
        }
    }
    Ok(cacertfile)
}

fn host_and_port(place: &str, default: u16) -> Result<(String, u16), Mistake> {
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
    let host = decode(host)?;
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    let port = match port {
        None | Some("") => default,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            // Not shown: a password with an unescaped "@" may have got here.
            _ => return Err("the port is no number from 1 to 65535".into()),
        },
    };
    Ok((host, port))
}

fn decode(part: &str) -> Result<String, Mistake> {
    percent_encoding::percent_decode_str(part)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| "a part is not UTF-8 when percent-decoded".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_apart() {
        let target = |text: &str| Target::parse(&Address::new(text)).expect("it is valid");
        let full = target("amqp://%D1%8E%D0%B7:p%40ss@Host:1234/%D0%B1%D0%B0%D0%B7%D0%B0");
        assert_eq!((full.user.as_str(), full.password.expose()), ("юз", "p@ss"));
        assert_eq!(
            (full.vhost.as_str(), full.port, full.tls),
            ("база", 1234, false)
        );
        assert_eq!(full.identity.as_str(), "amqp://юз@host:1234/база");
        assert_eq!(&*full.place(), "Host:1234/база");
        for root in ["amqp://u:p@h", "amqp://u:p@h/", "amqp://u:p@h/%2F"] {
            assert_eq!(target(root).vhost, "/");
            assert_eq!(&*target(root).place(), "h:5672/");
        }
        let tls = target("amqps://[::1]?cacertfile=ca%20root.pem");
        assert_eq!((tls.host.as_str(), tls.port, tls.tls), ("::1", 5671, true));
        assert_eq!(
            (tls.user.as_str(), tls.cacertfile.as_deref()),
            ("guest", Some("ca root.pem"))
        );
    }

    #[test]
    fn tells_what_is_wrong_without_the_password() {
        let wrong = |text: &str| {
            let error = Target::parse(&Address::new(text)).expect_err("it is wrong");
            assert!(!error.message.contains("geheim"), "{error}");
            (error.message, error.hint.expect("there is one"))
        };
        assert_eq!(
            wrong("amqp://u:geheim@h:x/").0,
            "wrong address \"amqp://u:***@h:x/\": the port is no number from 1 to 65535"
        );
        assert_eq!(
            wrong("amqps://u:geheim@h/?cacertfil=x").1,
            "Did you mean \"cacertfile\"?"
        );
        assert!(
            wrong("amqp://u@h/")
                .0
                .ends_with(": the password is missing")
        );
        assert!(wrong("amqp://u:geheim@h/a/b").1.contains("%2F"));
    }
}
