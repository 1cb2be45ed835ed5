//! Exact decimals of at most 38 digits: an integer and a scale. Arithmetic follows the language reference, section 14,
//! ruling 15.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An exact decimal: `mantissa / 10^scale`.
///
/// `==` compares the written form (`1.0` and `1.00` differ); [`Decimal::compare`] compares the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The two halves of the mantissa, the upper one first: an `i128` would give every value its alignment of 16 bytes.
    halves: [u64; 2],
    scale: u8,
}

/// Why arithmetic has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// The integer part needs more than 38 digits.
    #[error("the number has more than 38 digits")]
    Range,
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
}

/// Why a text is no decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalParseError {
    /// It is not a number.
    #[error("the text is not a number")]
    Syntax,
    /// It has more than 38 significant digits, or more than 38 behind the point.
    #[error("the number has more than 38 digits")]
    Range,
}

const LIMIT: u128 = 10u128.pow(Decimal::DIGITS_MAX);

impl Decimal {
    /// Most digits.
    pub const DIGITS_MAX: u32 = 38;

    /// Zero with two digits behind the point, as an uninitialised `number` shows it.
    pub const ZERO: Decimal = Decimal::pack(0, 2);

    /// Makes a decimal; `None` if the mantissa has more than 38 digits or the scale is above 38.
    pub const fn new(mantissa: i128, scale: u8) -> Option<Self> {
        if mantissa.unsigned_abs() >= LIMIT || scale > 38 {
            None
        } else {
            Some(Self::pack(mantissa, scale))
        }
    }

    /// The caller knows that both fit.
    const fn pack(mantissa: i128, scale: u8) -> Self {
        Self {
            halves: [(mantissa >> 64) as u64, mantissa as u64],
            scale,
        }
    }

    /// The digits without the point.
    pub const fn mantissa(self) -> i128 {
        (((self.halves[0] as u128) << 64) | self.halves[1] as u128) as i128
    }

    /// Digits behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// True if the number is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa() == 0
    }

    /// Compares the numbers, whatever their scales.
    pub fn compare(self, other: Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        let sign = self.mantissa().signum().cmp(&other.mantissa().signum());
        if sign != Ordering::Equal {
            return sign;
        }
        let magnitude = self.widened(scale).cmp(&other.widened(scale));
        if self.mantissa() < 0 {
            magnitude.reverse()
        } else {
            magnitude
        }
    }

    /// The whole number, if there is no fraction and it fits.
    pub fn to_integer(self) -> Option<i64> {
        let unit = 10i128.pow(u32::from(self.scale));
        if self.mantissa() % unit != 0 {
            return None;
        }
        i64::try_from(self.mantissa() / unit).ok()
    }

    /// The whole part, cut towards zero, if it fits.
    pub fn truncate(self) -> Option<i64> {
        i64::try_from(self.mantissa() / 10i128.pow(u32::from(self.scale))).ok()
    }

    /// Adds; the scale is the larger one.
    ///
    /// # Errors
    /// The integer part needs more than 38 digits.
    pub fn checked_add(self, other: Self) -> Result<Self, ArithmeticError> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.widened(scale), other.widened(scale));
        let (a_negative, b_negative) = (self.mantissa() < 0, other.mantissa() < 0);
        if a_negative == b_negative {
            return a.plus(b).fit(a_negative, scale);
        }
        match a.cmp(&b) {
            Ordering::Less => b.minus(a).fit(b_negative, scale),
            _ => a.minus(b).fit(a_negative, scale),
        }
    }

    /// Subtracts; the scale is the larger one.
    ///
    /// # Errors
    /// The integer part needs more than 38 digits.
    pub fn checked_subtract(self, other: Self) -> Result<Self, ArithmeticError> {
        self.checked_add(other.negate())
    }

    /// Multiplies; the scale is the sum of both.
    ///
    /// # Errors
    /// The integer part needs more than 38 digits.
    pub fn checked_multiply(self, other: Self) -> Result<Self, ArithmeticError> {
        let negative = (self.mantissa() < 0) != (other.mantissa() < 0);
        let product = Wide::product(
            self.mantissa().unsigned_abs(),
            other.mantissa().unsigned_abs(),
        );
        product.fit(negative, self.scale + other.scale)
    }

    /// Divides; rounded half away from zero to the scale max(6, both scales), then trailing zeros are cut down to the larger
    /// of both scales.
    ///
    /// # Errors
    /// Division by zero; or the integer part needs more than 38 digits.
    pub fn checked_divide(self, other: Self) -> Result<Self, ArithmeticError> {
        if other.mantissa() == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        let least = self.scale.max(other.scale);
        let wanted = i32::from(least.max(6));
        let (a, b) = (
            self.mantissa().unsigned_abs(),
            other.mantissa().unsigned_abs(),
        );
        let (mut quotient, mut rest) = (a / b, a % b);
        let mut scale = i32::from(self.scale) - i32::from(other.scale);
        while scale < wanted && quotient < LIMIT / 10 {
            let (digit, next) = next_digit(rest, b);
            quotient = quotient * 10 + digit;
            rest = next;
            scale += 1;
        }
        if scale < 0 {
            return Err(ArithmeticError::Range);
        }
        if rest * 2 >= b {
            quotient += 1;
        }
        let negative = (self.mantissa() < 0) != (other.mantissa() < 0);
        let result = Wide {
            high: 0,
            low: quotient,
        }
        .fit(negative, scale as u8)?;
        Ok(result.trimmed(least))
    }

    /// The remainder with the sign of the dividend; the scale is the larger one.
    ///
    /// # Errors
    /// Division by zero.
    pub fn checked_remainder(self, other: Self) -> Result<Self, ArithmeticError> {
        if other.mantissa() == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        let (a, b) = (
            self.mantissa().unsigned_abs(),
            other.mantissa().unsigned_abs(),
        );
        let rest = if self.scale <= other.scale {
            (self.scale..other.scale).fold(a % b, |rest, _| next_digit(rest, b).1)
        } else {
            let widened = 10u128.checked_pow(u32::from(self.scale - other.scale));
            widened
                .and_then(|unit| b.checked_mul(unit))
                .map_or(a, |b| a % b)
        };
        let negative = self.mantissa() < 0;
        Wide { high: 0, low: rest }.fit(negative, self.scale.max(other.scale))
    }

    /// The number with the other sign.
    pub const fn negate(self) -> Self {
        Self::pack(-self.mantissa(), self.scale)
    }

    /// The same number with `scale` digits behind the point, rounded half away from zero where digits are cut.
    ///
    /// # Errors
    /// The number would need more than 38 digits.
    pub fn rescale(self, scale: u8) -> Result<Self, ArithmeticError> {
        let negative = self.mantissa() < 0;
        if scale > 38 {
            return Err(ArithmeticError::Range);
        }
        let result = if scale >= self.scale {
            self.widened(scale).fit(negative, scale)?
        } else {
            Wide {
                high: 0,
                low: self.mantissa().unsigned_abs(),
            }
            .rounded(self.scale - scale)
            .fit(negative, scale)?
        };
        if result.scale == scale {
            Ok(result)
        } else {
            Err(ArithmeticError::Range)
        }
    }

    /// Rounds half away from zero to at most `scale` digits behind the point; never adds digits.
    pub fn round(self, scale: u8) -> Self {
        if scale >= self.scale {
            self
        } else {
            self.rescale(scale).unwrap_or(self)
        }
    }

    /// Cuts trailing zeros, down to `scale` digits behind the point.
    pub fn trimmed(mut self, scale: u8) -> Self {
        while self.scale > scale && self.mantissa() % 10 == 0 {
            self = Self::pack(self.mantissa() / 10, self.scale - 1);
        }
        self
    }

    /// The magnitude in units of the larger `scale`.
    fn widened(self, scale: u8) -> Wide {
        Wide::product(
            self.mantissa().unsigned_abs(),
            10u128.pow(u32::from(scale - self.scale)),
        )
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::pack(i128::from(value), 0)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa().unsigned_abs().to_string();
        if self.mantissa() < 0 {
            f.write_str("-")?;
        }
        let scale = usize::from(self.scale);
        if scale == 0 {
            return f.write_str(&digits);
        }
        if digits.len() <= scale {
            return write!(f, "0.{digits:0>scale$}");
        }
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{whole}.{fraction}")
    }
}

impl FromStr for Decimal {
    type Err = DecimalParseError;

    /// Reads `[+-]digits[.digits][e[+-]digits]` exactly; the scale is kept as written.
    fn from_str(text: &str) -> Result<Self, DecimalParseError> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (number, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], parse_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        let pointed = number.len() > whole.len();
        if whole.is_empty()
            || (pointed && fraction.is_empty())
            || !digits().all(|b| b.is_ascii_digit())
        {
            return Err(DecimalParseError::Syntax);
        }
        let mut scale =
            i64::try_from(fraction.len()).map_err(|_| DecimalParseError::Range)? - exponent;
        let mut mantissa: u128 = 0;
        let mut zeros: i64 = 0; // trailing zeros seen so far, not yet in the mantissa
        for digit in digits() {
            if digit == b'0' {
                zeros += 1;
                continue;
            }
            mantissa = shift(mantissa, zeros + 1).ok_or(DecimalParseError::Range)?
                + u128::from(digit - b'0');
            zeros = 0;
        }
        if mantissa == 0 {
            return Ok(Self::pack(0, scale.clamp(0, 38) as u8));
        }
        zeros += (-scale).max(0);
        while zeros > 0 && scale > 0 && (scale > 38 || shift(mantissa, zeros).is_none()) {
            (zeros, scale) = (zeros - 1, scale - 1); // zeros behind the point that find no room
        }
        let mantissa = shift(mantissa, zeros).ok_or(DecimalParseError::Range)?;
        let scale = u8::try_from(scale.max(0)).map_err(|_| DecimalParseError::Range)?;
        let mantissa = if negative {
            -(mantissa as i128)
        } else {
            mantissa as i128
        };
        Self::new(mantissa, scale).ok_or(DecimalParseError::Range)
    }
}

/// Reads the digits behind `e`.
fn parse_exponent(text: &str) -> Result<i64, DecimalParseError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalParseError::Syntax);
    }
    text.parse()
        .map(|e: i64| e.clamp(-10_000, 10_000))
        .map_err(|_| DecimalParseError::Range)
}

/// `value * 10^zeros`, if that has at most 38 digits.
fn shift(value: u128, zeros: i64) -> Option<u128> {
    if value == 0 {
        return Some(0);
    }
    let unit = 10u128.checked_pow(u32::try_from(zeros).ok()?)?;
    value.checked_mul(unit).filter(|v| *v < LIMIT)
}

/// One step of a long division: the digit `rest * 10 / divisor` and the new rest. `rest < divisor < 10^38`.
fn next_digit(rest: u128, divisor: u128) -> (u128, u128) {
    if let Some(ten) = rest.checked_mul(10) {
        return (ten / divisor, ten % divisor);
    }
    let (mut digit, mut sum) = (0, 0);
    for _ in 0..10 {
        sum += rest;
        if sum >= divisor {
            sum -= divisor;
            digit += 1;
        }
    }
    (digit, sum)
}

/// A magnitude of 256 bits: what a sum or product needs before it is cut to 38 digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wide {
    high: u128,
    low: u128,
}

impl Wide {
    fn product(a: u128, b: u128) -> Self {
        const MASK: u128 = u64::MAX as u128;
        if let Some(low) = a.checked_mul(b) {
            return Self { high: 0, low };
        }
        let (a1, a0, b1, b0) = (a >> 64, a & MASK, b >> 64, b & MASK);
        let low = a0 * b0;
        let middle = a1 * b0 + (low >> 64);
        let cross = a0 * b1 + (middle & MASK);
        Self {
            high: a1 * b1 + (middle >> 64) + (cross >> 64),
            low: (cross << 64) | (low & MASK),
        }
    }

    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self {
            high: self.high + other.high + u128::from(carry),
            low,
        }
    }

    /// `other <= self`.
    fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self {
            high: self.high - other.high - u128::from(borrow),
            low,
        }
    }

    /// Divides by ten; the digit that falls out.
    fn divide_by_ten(self) -> (Self, u8) {
        let limbs = [self.high >> 64, self.high, self.low >> 64, self.low].map(|v| v as u64);
        let mut rest = 0u128;
        let [a, b, c, d] = limbs.map(|limb| {
            let current = (rest << 64) | u128::from(limb);
            rest = current % 10;
            current / 10
        });
        (
            Self {
                high: (a << 64) | b,
                low: (c << 64) | d,
            },
            rest as u8,
        )
    }

    /// Cuts `digits` digits, rounding half away from zero. (Only the first digit that is cut decides.)
    fn rounded(mut self, digits: u8) -> Self {
        let mut last = 0;
        for _ in 0..digits {
            (self, last) = self.divide_by_ten();
        }
        if last >= 5 {
            self.plus(Self { high: 0, low: 1 })
        } else {
            self
        }
    }

    fn fits(self) -> bool {
        self.high == 0 && self.low < LIMIT
    }

    /// Makes a decimal, giving up digits behind the point where there are too many.
    fn fit(self, negative: bool, scale: u8) -> Result<Decimal, ArithmeticError> {
        let mut cut = scale.saturating_sub(38);
        let mut value = self.rounded(cut);
        while !value.fits() {
            if cut == scale {
                return Err(ArithmeticError::Range);
            }
            cut += 1;
            value = self.rounded(cut);
        }
        let mantissa = if negative {
            -(value.low as i128)
        } else {
            value.low as i128
        };
        Ok(Decimal::pack(mantissa, scale - cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn keeps_the_scale_in_text() {
        for text in [
            "0.00",
            "1",
            "-1.50",
            "0.001",
            "-0.05",
            "99999999999999999999999999999999999999",
        ] {
            assert_eq!(d(text).to_string(), text);
        }
        assert_eq!(d("1e3").to_string(), "1000");
        assert_eq!(d("1.50e1").to_string(), "15.0");
        assert_eq!(d("15e-4").to_string(), "0.0015");
        assert_eq!(d("0e5").to_string(), "0");
        assert_eq!(d("100").to_string(), "100");
        assert_eq!(d("100e-1").to_string(), "10.0");
        assert_eq!(Decimal::default().to_string(), "0");
    }

    #[test]
    fn refuses_what_is_no_number_or_too_long() {
        for text in ["", "-", ".5", "5.", "1e", "1e+", "abc", "1 ", "1..2", "0x1"] {
            assert_eq!(
                text.parse::<Decimal>(),
                Err(DecimalParseError::Syntax),
                "{text}"
            );
        }
        for text in [
            "100000000000000000000000000000000000000",
            "1e40",
            "1e-39",
            "1e999999999",
        ] {
            assert_eq!(
                text.parse::<Decimal>(),
                Err(DecimalParseError::Range),
                "{text}"
            );
        }
    }

    #[test]
    fn compares_numbers_whatever_the_scale() {
        assert_eq!(d("1.0").compare(d("1.00")), Ordering::Equal);
        assert_eq!(d("-1.1").compare(d("-1.09")), Ordering::Less);
        assert_eq!(d("0.1").compare(d("-99")), Ordering::Greater);
        let long = d("99999999999999999999999999999999999999");
        assert_eq!(
            long.compare(d("0.00000000000000000000000000000000000001")),
            Ordering::Greater
        );
    }

    #[test]
    fn adds_and_subtracts_to_the_larger_scale() {
        assert_eq!(
            d("1234").checked_add(d("12.34")).unwrap().to_string(),
            "1246.34"
        );
        assert_eq!(
            d("1.5").checked_subtract(d("2.25")).unwrap().to_string(),
            "-0.75"
        );
        assert_eq!(d("-1").checked_add(d("1.00")).unwrap().to_string(), "0.00");
        let long = d("99999999999999999999999999999999999999");
        assert_eq!(long.checked_add(d("1")), Err(ArithmeticError::Range));
        assert_eq!(long.checked_add(d("0.4")).unwrap(), long);
    }

    #[test]
    fn multiplies_to_the_sum_of_scales() {
        assert_eq!(
            d("1.25").checked_multiply(d("-0.4")).unwrap().to_string(),
            "-0.500"
        );
        let long = d("1234567890123456789.123456789012345678");
        let product = long.checked_multiply(long).unwrap();
        assert_eq!(
            product.to_string(),
            "1524157875323883675323883573814967253.8"
        );
        assert_eq!(
            product.checked_multiply(product),
            Err(ArithmeticError::Range)
        );
    }

    #[test]
    fn divides_half_away_from_zero_to_six_digits() {
        assert_eq!(
            d("1").checked_divide(d("3.0")).unwrap().to_string(),
            "0.333333"
        );
        assert_eq!(
            d("2.00").checked_divide(d("3")).unwrap().to_string(),
            "0.666667"
        );
        assert_eq!(
            d("-2").checked_divide(d("3.0")).unwrap().to_string(),
            "-0.666667"
        );
        assert_eq!(
            d("1.00").checked_divide(d("4")).unwrap().to_string(),
            "0.25"
        );
        assert_eq!(
            d("1.00").checked_divide(d("2")).unwrap().to_string(),
            "0.50"
        );
        assert_eq!(
            d("1").checked_divide(d("0.0")),
            Err(ArithmeticError::DivisionByZero)
        );
        let long = d("99999999999999999999999999999999999999");
        assert_eq!(long.checked_divide(d("0.1")), Err(ArithmeticError::Range));
        assert_eq!(
            long.checked_divide(d("7.0")).unwrap().to_string(),
            "14285714285714285714285714285714285714"
        );
    }

    #[test]
    fn remainder_has_the_sign_of_the_dividend() {
        assert_eq!(
            d("7.5").checked_remainder(d("2")).unwrap().to_string(),
            "1.5"
        );
        assert_eq!(
            d("-7").checked_remainder(d("2.5")).unwrap().to_string(),
            "-2.0"
        );
        let long = d("99999999999999999999999999999999999999");
        assert_eq!(long.checked_remainder(d("0.7")).unwrap().to_string(), "0.3");
    }

    #[test]
    fn rounds_half_away_from_zero() {
        assert_eq!(d("2.345").round(2).to_string(), "2.35");
        assert_eq!(d("-2.345").round(2).to_string(), "-2.35");
        assert_eq!(d("2.3449").round(2).to_string(), "2.34");
        assert_eq!(d("1.5").rescale(3).unwrap().to_string(), "1.500");
        assert_eq!(d("99").rescale(37), Err(ArithmeticError::Range));
        assert_eq!(
            (d("12.00").to_integer(), d("12.01").to_integer()),
            (Some(12), None)
        );
        assert_eq!(d("-12.99").truncate(), Some(-12));
    }
}
