//! The value of an option, and whether it may be shown.

use std::fmt;

use engine_model::job::OptionValue;

/// Stands for an opaque value.
pub(super) const HIDDEN: &str = "…";

/// The value of one of librdkafka's options.
#[derive(Clone)]
pub enum OptionText {
    /// A value that errors may quote.
    Plain(String),
    /// A secret, or a value from the environment: shown nowhere.
    Opaque(String),
}

impl OptionText {
    /// The value, for librdkafka alone.
    pub(super) fn expose(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Opaque(text) => text,
        }
    }
}

/// Hides opaque values.
impl fmt::Debug for OptionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Opaque(_) => f.write_str(HIDDEN),
        }
    }
}

impl From<&str> for OptionText {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<&OptionValue> for OptionText {
    fn from(value: &OptionValue) -> Self {
        let text = value.expose().to_owned();
        match value {
            OptionValue::Plain(_) => Self::Plain(text),
            OptionValue::Secret(_) => Self::Opaque(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use engine_model::job::Secret;

    use super::*;

    #[test]
    fn what_a_job_keeps_secret_is_opaque() {
        let plain = OptionText::from(&OptionValue::Plain("a".to_owned()));
        assert!(matches!(plain, OptionText::Plain(text) if text == "a"));
        let secret = OptionText::from(&OptionValue::Secret(Secret::new("b")));
        assert!(matches!(secret, OptionText::Opaque(text) if text == "b"));
    }
}
