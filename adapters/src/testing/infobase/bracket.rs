//! Bracket text, the form in which the platform writes metadata, and the files made of it.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use uuid::Uuid;

/// A value of bracket text.
#[derive(Clone, Debug)]
pub(super) enum Node {
    List(Vec<Node>),
    /// Written in quotes.
    Text(String),
    /// Written as it is: a number, a uuid.
    Bare(String),
    /// An empty place.
    Nothing,
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Node::Bare(value.to_string())
    }
}

impl From<Uuid> for Node {
    fn from(value: Uuid) -> Self {
        Node::Bare(value.to_string())
    }
}

/// A quoted value.
pub(super) fn text(value: &str) -> Node {
    Node::Text(value.to_owned())
}

/// A bare value.
pub(super) fn bare(value: &str) -> Node {
    Node::Bare(value.to_owned())
}

/// A count as the platform writes it.
pub(super) fn count<T>(items: &[T]) -> Node {
    Node::Bare(items.len().to_string())
}

/// `list![1, uuid, text("…")]`
macro_rules! list {
    ($($item:expr),* $(,)?) => { $crate::testing::infobase::bracket::Node::List(vec![$($item.into()),*]) };
}
pub(super) use list;

/// A list whose places matter: those that nobody sets hold something that means nothing.
pub(super) struct Places(Vec<Node>);

impl Places {
    pub(super) fn new(version: i64, length: usize) -> Self {
        let fill = |place: usize| match place % 4 {
            0 => list![0],
            1 => Node::from(0),
            2 => Node::from(Uuid::nil()),
            _ => list![1, list![0, 0]],
        };
        let mut places: Vec<Node> = (0..length).map(fill).collect();
        places[0] = version.into();
        Self(places)
    }

    pub(super) fn set(mut self, place: usize, node: impl Into<Node>) -> Self {
        self.0[place] = node.into();
        self
    }
}

impl From<Places> for Node {
    fn from(places: Places) -> Self {
        Node::List(places.0)
    }
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::List(items) => {
            out.push('{');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if matches!(item, Node::List(_)) {
                    out.push_str("\r\n");
                }
                write(item, out);
            }
            if matches!(items.last(), Some(Node::List(_))) {
                out.push_str("\r\n");
            }
            out.push('}');
        }
        Node::Text(value) => {
            out.push('"');
            out.push_str(&value.replace('"', "\"\""));
            out.push('"');
        }
        Node::Bare(value) => out.push_str(value),
        Node::Nothing => {}
    }
}

/// The bytes of a file that is not compressed.
pub(super) fn plain(node: &Node) -> Vec<u8> {
    let mut out = String::from("\u{feff}");
    write(node, &mut out);
    out.into_bytes()
}

/// The bytes of a file as most are stored: raw DEFLATE.
pub(super) fn packed(node: &Node) -> Vec<u8> {
    deflate(&plain(node))
}

/// Raw DEFLATE.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("memory takes what is written")
}

/// A small file, as it is stored, that inflates to so many MiB of a byte behind the beginning of a list. A block that refers
/// to nothing before it may stand any number of times.
pub fn bomb(byte: u8, mebibytes: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let mut written = |bytes: &[u8]| {
        let done = encoder.write_all(bytes).and_then(|()| encoder.flush());
        done.expect("memory takes what is written");
        encoder.get_ref().clone()
    };
    let head = written("\u{feff}{1,".as_bytes()).len();
    let bytes = written(&vec![byte; 1 << 20]);
    let (head, block) = bytes.split_at(head);
    [head, &block.repeat(mebibytes), &[3, 0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_the_platform_does() {
        let node = list![2, list![list![0], text("а\"{б}\",\r\nв")], Node::Nothing];
        let expected = "\u{feff}{2,\r\n{\r\n{0},\"а\"\"{б}\"\",\r\nв\"},}";
        assert_eq!(String::from_utf8(plain(&node)).as_deref(), Ok(expected));
    }
}
