//! The address of the status: `host:port`, or a port of this machine alone.

use std::net::IpAddr;

/// Makes `host:port` of what people write. A port alone is open to this machine only.
///
/// # Errors
/// A text that is neither; the message says what it must be.
pub fn parse(text: &str) -> Result<String, String> {
    let wrong = || "it must be host:port, or a port of this machine".to_owned();
    if text.contains('@') {
        return Err("it holds no user and no password".to_owned());
    }
    let text = text.strip_prefix("http://").unwrap_or(text);
    let text = text.trim_end_matches('/');
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let ipv6_without_brackets = host.contains(':') && !host.ends_with(']');
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || ipv6_without_brackets || !host.chars().all(plain) {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}

/// The address by which a node that listens at `address` is reached from its own machine.
pub fn reachable(address: &str) -> String {
    let Some((host, port)) = address.rsplit_once(':') else {
        return address.to_owned();
    };
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    match ip {
        Some(IpAddr::V4(ip)) if ip.is_unspecified() => format!("127.0.0.1:{port}"),
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => format!("[::1]:{port}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_this_machine() {
        for (text, expected) in [
            ("7070", "127.0.0.1:7070"),
            ("0.0.0.0:7070", "0.0.0.0:7070"),
            ("узел:80", "узел:80"),
            ("[::1]:7070", "[::1]:7070"),
            ("http://localhost:7070/", "localhost:7070"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(expected));
        }
        assert!(parse("http://u:pw@host:7070").is_err_and(|why| why.contains("no user")));
        for text in [
            "", "host", ":7070", "host:", "1:2:3", "99999", "a b:1", "h/x:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_node_open_to_all_is_reached_by_loopback() {
        assert_eq!(reachable("0.0.0.0:7070"), "127.0.0.1:7070");
        assert_eq!(reachable("[::]:7070"), "[::1]:7070");
        assert_eq!(reachable("узел:7070"), "узел:7070");
    }
}
