//! The JSON form of values that have a text form.

/// Gives a type with a text form (`Display` and `FromStr`) the conversions by which serde writes
/// and reads it as that text: `#[serde(try_from = "String", into = "String")]`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use serde_as_text;
