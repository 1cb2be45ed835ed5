//! Bytes of a stored file become text: raw DEFLATE, or plain UTF-8 behind a byte order mark.

use flate2::{Decompress, FlushDecompress, Status};

/// Most bytes of an inflated file. The largest that are known have some MiB; a text of this length, the places in it and
/// the stored bytes stay below 300 MB together.
pub(super) const INFLATED_MAX: usize = 128 << 20;
/// What a file is inflated to before its length is known. Longer ones are measured first: a buffer that grows is copied,
/// and what it was copied from is not given back at once.
const UNMEASURED_MAX: usize = 1 << 20;
const MARK: &[u8] = b"\xef\xbb\xbf";
const DAMAGED: &str = "its compressed bytes are damaged";
/// Output grows by so much at a time.
const STEP: usize = 64 << 10;

/// Inflates files, one after another.
pub(super) struct Inflater {
    stream: Decompress,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self {
            stream: Decompress::new(false),
        }
    }

    /// The text of a whole file without its mark.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn text(&mut self, stored: &[u8]) -> Result<String, &'static str> {
        self.text_within(stored, INFLATED_MAX)
    }

    fn text_within(&mut self, stored: &[u8], most: usize) -> Result<String, &'static str> {
        let bytes = match stored.strip_prefix(MARK) {
            Some(plain) => plain.to_vec(),
            None => self.whole(stored, most)?,
        };
        let mut text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text")?;
        if text.starts_with('\u{feff}') {
            text.drain(..MARK.len());
        }
        Ok(text)
    }

    fn whole(&mut self, stored: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
        let short = most.min(UNMEASURED_MAX);
        let guess = stored.len().saturating_mul(4).clamp(64, short);
        let (bytes, ended) = self.inflate(stored, short, guess)?;
        if ended {
            return Ok(bytes);
        }
        drop(bytes);
        let length = self.length(stored, most)?;
        // one more, or the end is not seen
        let (bytes, _) = self.inflate(stored, length + 1, length + 1)?;
        Ok(bytes)
    }

    /// The length of a file when it is inflated.
    fn length(&mut self, stored: &[u8], most: usize) -> Result<usize, &'static str> {
        self.stream.reset(false);
        let mut scratch = vec![0; STEP];
        loop {
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let rest = usize::try_from(taken).unwrap_or(stored.len());
            let status = self
                .stream
                .decompress(&stored[rest..], &mut scratch, FlushDecompress::None)
                .map_err(|_| DAMAGED)?;
            let length = self.stream.total_out();
            if usize::try_from(length).is_ok_and(|length| length >= most) {
                return Err("it is larger than 128 MiB when inflated");
            }
            if status == Status::StreamEnd {
                return usize::try_from(length).map_err(|_| DAMAGED);
            }
            if (taken, made) == (self.stream.total_in(), length) {
                return Err("its compressed bytes are cut off");
            }
        }
    }

    /// The beginning of a file's text, of at most about `most` bytes, as far as the first stored bytes tell it.
    pub(super) fn beginning(&mut self, stored: &[u8], most: usize) -> String {
        let mut bytes = match stored.strip_prefix(MARK) {
            Some(plain) => plain[..plain.len().min(most)].to_vec(),
            None => match self.inflate(stored, most, most.min(stored.len().saturating_mul(4))) {
                Ok((bytes, _)) => bytes,
                Err(_) => Vec::new(),
            },
        };
        if bytes.starts_with(MARK) {
            bytes.drain(..MARK.len());
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                bytes.truncate(valid);
                String::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    /// At most about `most` bytes, and whether the stream has come to its end. Room for `first` bytes is made at once.
    fn inflate(
        &mut self,
        stored: &[u8],
        most: usize,
        first: usize,
    ) -> Result<(Vec<u8>, bool), &'static str> {
        self.stream.reset(false);
        let mut bytes = Vec::with_capacity(first.max(64));
        loop {
            if bytes.len() == bytes.capacity() {
                if bytes.len() >= most {
                    return Ok((bytes, false));
                }
                let more = STEP.max(bytes.len() / 2).min(most - bytes.len());
                bytes.reserve_exact(more);
            }
            let taken = usize::try_from(self.stream.total_in()).unwrap_or(stored.len());
            let before = bytes.len();
            let status = self
                .stream
                .decompress_vec(&stored[taken..], &mut bytes, FlushDecompress::None)
                .map_err(|_| DAMAGED)?;
            let idle = bytes.len() == before
                && usize::try_from(self.stream.total_in()).is_ok_and(|now| now == taken);
            match status {
                Status::StreamEnd => return Ok((bytes, true)),
                _ if idle => return Ok((bytes, false)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_both_forms() {
        let mut inflater = Inflater::new();
        let plain = "\u{feff}{1,\"Ёлка\"}";
        assert_eq!(inflater.text(plain.as_bytes()).as_deref(), Ok(&plain[3..]));
        let packed = deflate(plain.as_bytes());
        assert_eq!(inflater.text(&packed).as_deref(), Ok(&plain[3..]));
        assert_eq!(
            inflater.text(b"").err(),
            Some("its compressed bytes are cut off")
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let mut inflater = Inflater::new();
        let packed = deflate("{1,\"Имя\"}".repeat(50).as_bytes());
        let cut = inflater.text(&packed[..packed.len() / 2]);
        assert!(cut.is_err(), "{cut:?}");
        let mut flipped = packed.clone();
        flipped[0] ^= 0x07;
        assert!(inflater.text(&flipped).is_err());
        assert_eq!(
            inflater.text(&deflate(b"\xff\xfe")).err(),
            Some("it is no UTF-8 text")
        );
    }

    #[test]
    fn stops_at_the_limit() {
        let bomb = deflate(&vec![b'{'; 200_000]);
        assert!(Inflater::new().text_within(&bomb, 200_001).is_ok());
        let error = Inflater::new()
            .text_within(&bomb, 199_999)
            .expect_err("it is too large");
        assert!(error.contains("128 MiB"), "{error}");
    }

    #[test]
    fn measures_what_is_long() {
        let text = "{1,\"Имя\"}\r\n".repeat(UNMEASURED_MAX / 8);
        let packed = deflate(text.as_bytes());
        let mut inflater = Inflater::new();
        let read = inflater.text(&packed).expect("the file is sound");
        assert_eq!((read.len(), &read), (text.len(), &text));
        assert!(read.capacity() <= text.len() + 64, "{}", read.capacity());
        let cut = &packed[..packed.len() - 1];
        assert_eq!(
            inflater.text(cut).err(),
            Some("its compressed bytes are cut off")
        );
    }

    #[test]
    fn reads_a_beginning() {
        let text: String = (0..2_000).map(|n| format!("{{{n},\"Имя\"}},")).collect();
        let packed = deflate(text.as_bytes());
        let mut inflater = Inflater::new();
        let beginning = inflater.beginning(&packed[..1_000], 4_096);
        assert!(
            beginning.len() > 500 && text.starts_with(&beginning),
            "{beginning}"
        );
        assert_eq!(inflater.beginning(b"\xff\xff\xff\xff", 100), "");
    }
}
