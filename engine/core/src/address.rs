//! Addresses of systems: secret when written down, comparable when normalised.

use std::fmt;
use std::sync::Arc;

/// An address as the script gives it, templates substituted. It may hold a password, so that `Display` and `Debug` mask it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Arc<str>);

impl Address {
    /// Takes the text of an address.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The whole text, password included: for connecting, never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The scheme: what stands before `://`, or the whole text (`kafka`) if there is none.
    pub fn scheme(&self) -> &str {
        self.0
            .split_once("://")
            .map_or(&*self.0, |(scheme, _)| scheme)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(&self.0);
        };
        write!(f, "{scheme}://")?;
        let place = match rest.rsplit_once('@') {
            None => rest,
            Some((user, place)) => {
                match user.split_once(':') {
                    Some((user, _)) => write!(f, "{user}:***@")?,
                    None => write!(f, "{user}@")?,
                }
                place
            }
        };
        let (place, query) = match place.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (place, None),
        };
        f.write_str(place)?;
        for (index, pair) in query.iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if is_secret(name) => write!(f, "{name}=***")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

/// True for parameters that may hold a password, known to a connector or not.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "secret"]
        .iter()
        .any(|word| name.contains(word))
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What makes two addresses the same place: normalised host, port, database and user, or a canonical path. Holds no password.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Takes the normalised text, which must not hold a password.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints_a_password() {
        let address = Address::new("pgsql://user:se:cr@et@host:1/база");
        assert_eq!(address.to_string(), "pgsql://user:***@host:1/база");
        assert_eq!(format!("{address:?}"), "\"pgsql://user:***@host:1/база\"");
        assert_eq!(Address::new("kafka").to_string(), "kafka");
        let address = Address::new("pgsql://host/база?user=u&Password=geheim&map=x");
        assert_eq!(
            address.to_string(),
            "pgsql://host/база?user=u&Password=***&map=x"
        );
    }
}
