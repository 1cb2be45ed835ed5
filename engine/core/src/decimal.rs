//! Exact decimals of at most 38 digits: an integer and a scale.

/// An exact decimal: `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// Most digits.
    pub const DIGITS_MAX: u32 = 38;

    /// Makes a decimal; `None` if the mantissa has more than 38 digits or the scale is above 38.
    pub const fn new(mantissa: i128, scale: u8) -> Option<Self> {
        const LIMIT: u128 = 10u128.pow(Decimal::DIGITS_MAX);
        if mantissa.unsigned_abs() >= LIMIT || scale > 38 { None } else { Some(Self { mantissa, scale }) }
    }

    /// The digits without the point.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// Digits behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }
}
