//! Offsets that are not in their topic any more: it was deleted and made anew, or its oldest messages were deleted before they were read.
//!
//! Every message that such a topic holds is one that was not read. So reading begins at its first one, whatever `AutoOffsetReset` says about groups
//! that have read nothing; only `error` stops it.

use dajet_core::{Advance, SystemError};
use rdkafka::Offset;

use super::letter::Place;

/// An offset that is not in its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    /// Which of the beginnings.
    pub(super) index: usize,
    place: Place,
    offset: i64,
    /// The first offset of the partition.
    pub(super) low: i64,
    /// The offset behind its last message.
    end: i64,
}

/// The beginnings that are not in their partitions, as far as the brokers tell what those hold.
pub(super) fn find(
    begun: &[(Place, Offset)],
    lows: &[(Place, i64)],
    ends: &[(Place, i64)],
) -> Vec<Stray> {
    let of = |edges: &[(Place, i64)], place: &Place| {
        let found = edges.iter().find(|(of, _)| of == place);
        found.map(|(_, offset)| *offset)
    };
    let stray = |(index, (place, offset)): (usize, &(Place, Offset))| {
        let Offset::Offset(offset) = *offset else {
            return None;
        };
        let (low, end) = (of(lows, place)?, of(ends, place)?);
        (offset < low || offset > end).then(|| Stray {
            index,
            place: place.clone(),
            offset,
            low,
            end,
        })
    };
    begun.iter().enumerate().filter_map(stray).collect()
}

impl Stray {
    /// What is wrong with it. `table` is where it is kept, if not at the brokers.
    pub(super) fn told(&self, table: Option<&str>) -> String {
        let (topic, partition) = (&self.place.0, self.place.1);
        let kept = table.map_or_else(String::new, |name| format!(" (table \"{name}\")"));
        let cause = if self.offset > self.end {
            "it was made anew or has lost messages"
        } else {
            "messages were deleted before they were read"
        };
        format!(
            "offset {}{kept} is not in partition {partition} of topic \"{topic}\", which goes from {} to {}: {cause}",
            self.offset, self.low, self.end
        )
    }

    /// The error of who wants no other beginning.
    pub(super) fn refused(&self, table: Option<&str>) -> SystemError {
        let hint = match table {
            Some(_) => "Correct the offset in the table, or set AutoOffsetReset to 'earliest'.",
            None => "Commit another offset for the group, or set AutoOffsetReset to 'earliest'.",
        };
        SystemError::misconfigured("E_OFFSET", self.told(table)).with_hint(hint)
    }

    /// The move to the first message.
    pub(super) fn correction(&self) -> Advance {
        Advance {
            topic: (&*self.place.0).into(),
            partition: self.place.1,
            began: self.offset,
            next: self.low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_astray_before_the_first_message_and_behind_the_end() {
        let place = |partition| -> Place { ("заказы".into(), partition) };
        let all =
            |offsets: &[i64]| -> Vec<_> { (0..).map(place).zip(offsets.iter().copied()).collect() };
        let mut begun: Vec<_> = all(&[4, 5, 9, 10])
            .into_iter()
            .map(|(place, offset)| (place, Offset::Offset(offset)))
            .collect();
        begun.push((place(4), Offset::Invalid));
        begun.push((place(5), Offset::Offset(70)));
        let (lows, ends) = (all(&[5, 5, 5, 5, 5]), all(&[9, 9, 9, 9, 9]));
        let found = find(&begun, &lows, &ends);
        assert_eq!(
            found.iter().map(|one| one.index).collect::<Vec<_>>(),
            [0, 3]
        );
        assert_eq!(
            found[0].told(None),
            "offset 4 is not in partition 0 of topic \"заказы\", which goes from 5 to 9: messages were deleted before they were read"
        );
        assert_eq!(
            found[1].refused(Some("Смещения")).message,
            "offset 10 (table \"Смещения\") is not in partition 3 of topic \"заказы\", which goes from 5 to 9: \
             it was made anew or has lost messages"
        );
    }
}
