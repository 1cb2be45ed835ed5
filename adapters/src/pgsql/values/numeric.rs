//! `numeric`: groups of four decimal digits, exact both ways.

use bytes::{BufMut, BytesMut};
use dajet_core::Decimal;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const TOO_LONG: &str = "a numeric of more than 38 digits";

/// Appends the binary form.
pub(super) fn write(value: Decimal, out: &mut BytesMut) {
    let scale = usize::from(value.scale());
    let digits = value.mantissa().unsigned_abs().to_string();
    let (whole, fraction) = if digits.len() > scale {
        digits.split_at(digits.len() - scale)
    } else {
        ("", digits.as_str())
    };
    let fraction = format!("{fraction:0>scale$}");
    // both halves are filled up to whole groups: the one from the left, the other from the right
    let whole = format!("{whole:0>width$}", width = whole.len().next_multiple_of(4));
    let fraction = format!("{fraction:0<width$}", width = scale.next_multiple_of(4));
    let mut groups: Vec<u16> = Vec::with_capacity(20);
    for group in whole
        .as_bytes()
        .chunks_exact(4)
        .chain(fraction.as_bytes().chunks_exact(4))
    {
        groups.push(
            group
                .iter()
                .fold(0, |number, digit| number * 10 + u16::from(digit - b'0')),
        );
    }
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let trailing = groups[leading..]
        .iter()
        .rev()
        .take_while(|group| **group == 0)
        .count();
    let significant = &groups[leading..groups.len() - trailing];
    let weight = if significant.is_empty() {
        0
    } else {
        whole.len() as i16 / 4 - 1 - leading as i16
    };
    out.put_u16(significant.len() as u16);
    out.put_i16(weight);
    out.put_u16(if value.mantissa() < 0 {
        NEGATIVE
    } else {
        POSITIVE
    });
    out.put_u16(scale as u16);
    for group in significant {
        out.put_u16(*group);
    }
}

/// Reads the binary form.
pub(super) fn read(raw: &[u8]) -> Result<Decimal, &'static str> {
    let word = |index: usize| {
        raw.get(index * 2..index * 2 + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let (Some(count), Some(weight), Some(sign), Some(scale)) = (word(0), word(1), word(2), word(3))
    else {
        return Err("a numeric that is cut short");
    };
    let negative = match sign {
        POSITIVE => false,
        NEGATIVE => true,
        0xC000 => return Err("NaN"),
        _ => return Err("an infinite numeric"),
    };
    let (count, weight, scale) = (i64::from(count), i64::from(weight as i16), i64::from(scale));
    let mut mantissa: u128 = 0;
    for index in 0..count {
        let group = u128::from(word(4 + index as usize).ok_or("a numeric that is cut short")?);
        // power of ten of this group within the mantissa
        let exponent = 4 * (weight - index) + scale;
        let (factor, group) = match exponent {
            0.. => (10_000, group),
            // the last group reaches behind the scale; what it holds there is zero
            -3..0 => (
                10u128.pow((4 + exponent) as u32),
                group / 10u128.pow(-exponent as u32),
            ),
            _ => (1, 0),
        };
        mantissa = mantissa
            .checked_mul(factor)
            .and_then(|m| m.checked_add(group))
            .ok_or(TOO_LONG)?;
    }
    let missing = (4 * (weight - count + 1) + scale).max(0);
    if mantissa != 0 && missing > 0 {
        let factor = u32::try_from(missing)
            .ok()
            .and_then(|m| 10u128.checked_pow(m))
            .ok_or(TOO_LONG)?;
        mantissa = mantissa.checked_mul(factor).ok_or(TOO_LONG)?;
    }
    let mantissa = i128::try_from(mantissa).map_err(|_| TOO_LONG)?;
    let scale = u8::try_from(scale).map_err(|_| TOO_LONG)?;
    Decimal::new(if negative { -mantissa } else { mantissa }, scale).ok_or(TOO_LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(mantissa: i128, scale: u8) -> Decimal {
        Decimal::new(mantissa, scale).expect("at most 38 digits")
    }

    #[test]
    fn reads_what_it_writes() {
        let most = 10i128.pow(38) - 1;
        for mantissa in [
            0,
            1,
            -1,
            9,
            10,
            1234,
            12_345_678,
            10_000,
            -99_990_000,
            most,
            -most,
            i128::from(i64::MAX),
        ] {
            for scale in 0..=38 {
                let value = decimal(mantissa, scale);
                let mut bytes = BytesMut::new();
                write(value, &mut bytes);
                assert_eq!(read(&bytes), Ok(value), "{mantissa} / 10^{scale}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        assert_eq!(read(&[0, 0, 0, 0, 0xC0, 0, 0, 0]), Err("NaN"));
        assert_eq!(
            read(&[0, 0, 0, 0, 0xD0, 0, 0, 0]),
            Err("an infinite numeric")
        );
        assert_eq!(read(&[0, 1, 0, 9, 0, 0, 0, 0, 0, 100]), Err(TOO_LONG)); // 10^38
        assert!(read(&[0, 1, 0, 9, 0, 0, 0, 0]).is_err());
    }
}
