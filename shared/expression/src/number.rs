//! The one number type: integers exact in 64 bit, everything else a finite float; never NaN or infinite.
//!
//! Used by operators, comparison and functions. `1` and `1.0` are the same number; how the sender wrote it changes
//! no result. Integers run from the least `i64` to the greatest `u64`, as JSON readers keep them.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number as JsonNumber, Value as Json};

/// A number on its way through a calculation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// Within `i64::MIN..=u64::MAX`; wider inside, so that a step cannot overflow unseen.
    Integer(i128),
    /// Finite.
    Float(f64),
}

/// Floats below this magnitude hold every integer exactly.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;
/// Beyond every integer of the language, and exact as a float.
const BEYOND_INTEGERS: f64 = 36_893_488_147_419_103_232.0;

impl Number {
    pub(crate) fn of(number: &JsonNumber) -> Self {
        if let Some(integer) = number.as_i64() {
            Self::Integer(integer.into())
        } else if let Some(integer) = number.as_u64() {
            Self::Integer(integer.into())
        } else {
            // A number no float holds becomes infinite here and is refused where it is used.
            Self::Float(number.as_f64().unwrap_or(f64::INFINITY))
        }
    }

    /// The number as JSON; fails where it is no longer one.
    pub(crate) fn json(self) -> Result<Json, String> {
        match self {
            Self::Integer(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => Ok(Json::from(value)),
                (_, Ok(value)) => Ok(Json::from(value)),
                _ => Err(format!("{value} does not fit in a 64-bit integer")),
            },
            Self::Float(value) => JsonNumber::from_f64(value)
                .map(Json::Number)
                .ok_or_else(|| "the result is too large or no real number".to_owned()),
        }
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The integer this number is: `3` and `3.0`, not `3.5`.
    pub(crate) fn whole(self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(value),
            Self::Float(value) => {
                (value.fract() == 0.0 && value.abs() < BEYOND_INTEGERS).then_some(value as i128)
            }
        }
    }

    pub(crate) fn add(self, other: Self) -> Result<Self, String> {
        self.calculate(other, "+", i128::checked_add, |a, b| a + b)
    }

    pub(crate) fn subtract(self, other: Self) -> Result<Self, String> {
        self.calculate(other, "-", i128::checked_sub, |a, b| a - b)
    }

    pub(crate) fn multiply(self, other: Self) -> Result<Self, String> {
        self.calculate(other, "*", i128::checked_mul, |a, b| a * b)
    }

    /// True division: `7 / 2` is 3.5; an exact quotient of integers is an integer.
    pub(crate) fn divide(self, other: Self) -> Result<Self, String> {
        if other.is_zero() {
            return Err(format!("{self} / {other} divides by zero"));
        }
        if let (Self::Integer(a), Self::Integer(b)) = (self, other)
            && a % b == 0
        {
            return Self::Integer(a / b).checked(self, "/", other);
        }
        Self::Float(self.float() / other.float()).checked(self, "/", other)
    }

    /// What division leaves; it has the sign of the dividend.
    pub(crate) fn remainder(self, other: Self) -> Result<Self, String> {
        if other.is_zero() {
            return Err(format!("{self} % {other} divides by zero"));
        }
        self.calculate(other, "%", i128::checked_rem, |a, b| a % b)
    }

    pub(crate) fn negate(self) -> Result<Self, String> {
        Self::Integer(0).subtract(self)
    }

    pub(crate) fn power(self, exponent: Self) -> Result<Self, String> {
        if let (Self::Integer(base), Self::Integer(power)) = (self, exponent)
            && let Ok(power) = u32::try_from(power)
        {
            let result =
                base.checked_pow(power).ok_or_else(|| overflow(self, "to the power of", exponent))?;
            return Self::Integer(result).checked(self, "to the power of", exponent);
        }
        Self::Float(self.float().powf(exponent.float())).checked(self, "to the power of", exponent)
    }

    fn calculate(
        self,
        other: Self,
        sign: &str,
        exact: fn(i128, i128) -> Option<i128>,
        rounded: fn(f64, f64) -> f64,
    ) -> Result<Self, String> {
        let result = match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => {
                Self::Integer(exact(a, b).ok_or_else(|| overflow(self, sign, other))?)
            }
            _ => Self::Float(rounded(self.float(), other.float())),
        };
        result.checked(self, sign, other)
    }

    fn checked(self, left: Self, sign: &str, right: Self) -> Result<Self, String> {
        let fits = match self {
            Self::Integer(value) => value >= i64::MIN.into() && value <= u64::MAX.into(),
            Self::Float(value) => value.is_finite(),
        };
        if fits { Ok(self) } else { Err(overflow(left, sign, right)) }
    }

    fn is_zero(self) -> bool {
        match self {
            Self::Integer(value) => value == 0,
            Self::Float(value) => value == 0.0,
        }
    }

    /// The order of two numbers, exact also between a large integer and a float.
    pub(crate) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Integer(a), Self::Float(b)) => order_mixed(a, b),
            (Self::Float(a), Self::Integer(b)) => order_mixed(b, a).reverse(),
        }
    }

    /// Rounds half away from zero to `digits` decimal digits, by the decimal text: 2.675 becomes 2.68.
    pub(crate) fn round(self, digits: usize) -> Self {
        let Self::Float(value) = self else { return self };
        let text = value.to_string();
        let Some((whole, fraction)) = text.split_once('.') else { return self };
        if fraction.len() <= digits {
            return self;
        }
        let up = fraction.as_bytes().get(digits).is_some_and(|digit| *digit >= b'5');
        let kept = format!("{whole}{}", fraction.get(..digits).unwrap_or_default());
        let scaled = if up { increment(&kept) } else { kept };
        let point = scaled.len() - digits;
        let rounded = format!("{}.{}", &scaled[..point], &scaled[point..]);
        rounded.parse().map_or(self, Self::Float)
    }
}

/// Adds one to the last place of a decimal text with an optional sign.
fn increment(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let tail = digits.len() - digits.trim_end_matches('9').len();
    let head = &digits[..digits.len() - tail];
    let (head, last) = head.split_at(head.len().saturating_sub(1));
    let raised = last.bytes().next().map_or('1', |digit| char::from(digit + 1));
    format!("{sign}{head}{raised}{}", "0".repeat(tail))
}

fn order_mixed(integer: i128, float: f64) -> Ordering {
    if float.abs() >= BEYOND_INTEGERS {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    let whole = float.trunc();
    integer
        .cmp(&(whole as i128))
        .then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal))
}

fn overflow(left: Number, sign: &str, right: Number) -> String {
    format!("{left} {sign} {right} has no exact 64-bit integer or finite result")
}

/// The text of the number: 15 and 15.0 are the same number and read the same.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < EXACT_FLOAT => (value as i64).fmt(f),
            Self::Float(value) => match JsonNumber::from_f64(value) {
                Some(number) => number.fmt(f),
                None => value.fmt(f),
            },
        }
    }
}
