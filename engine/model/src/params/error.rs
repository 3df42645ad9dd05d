//! What can be wrong with a parameter.

use std::fmt;

/// A parameter that can't be read, or has no value at this scheduled time.
///
/// Its text names the parameter and its expression where they are known, the byte position, what was found there and
/// what to do. Values are never part of it: they may come from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    kind: ParamErrorKind,
    parameter: Option<String>,
    expression: Option<String>,
    position: usize,
    found: String,
    advice: String,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamErrorKind {
    /// A `$[` or `${` has no closing bracket.
    Unclosed,
    /// Nothing stands between the brackets, or shifts without a format.
    NoFormat,
    /// Text that is no part of the grammar.
    Unexpected,
    /// A format in Java's spelling, or one that mixes upper and lower case.
    JavaFormat,
    /// A space or `=` within brackets.
    SpaceOrEquals,
    /// A time of day in `${…}`, which knows days only.
    TimeInBusinessDate,
    /// A fraction in `${…}`, which counts whole days, months or years.
    FractionInBusinessDate,
    /// A shift that is no number: digits missing, a division by zero, or too many digits to count exactly.
    Shift,
    /// `$name` is no built-in parameter.
    UnknownBuiltIn,
    /// A built-in parameter that only has a meaning inside the service.
    ServiceBuiltIn,
    /// A parameter's name is empty, a format, or begins with `env.`.
    Name,
    /// Two parameters have the same name.
    Duplicate,
    /// A reference to a parameter that isn't declared, or a value set for one.
    UnknownParameter,
    /// Parameters refer to each other in a circle.
    Cycle,
    /// An environment variable isn't set.
    EnvironmentUnset,
    /// A reference, where no other parameters are known.
    ReferenceAlone,
    /// The date lies outside the years 1 to 9999.
    OutOfRange,
    /// The value is longer than [`VALUE_BYTES_MAX`](super::VALUE_BYTES_MAX).
    TooLong,
}

impl ParamError {
    /// `found` is what stands at `position`, `advice` what to do about it, as a clause that can follow a semicolon.
    pub(super) fn new(
        kind: ParamErrorKind,
        position: usize,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            parameter: None,
            expression: None,
            position,
            found: found.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn in_expression(mut self, expression: &str) -> Self {
        self.expression = Some(expression.to_owned());
        self
    }

    pub(super) fn in_parameter(mut self, name: &str) -> Self {
        self.parameter = Some(name.to_owned());
        self
    }

    /// What went wrong, for a caller to act on.
    pub fn kind(&self) -> ParamErrorKind {
        self.kind
    }

    /// The parameter's name, if the expression belongs to one.
    pub fn parameter(&self) -> Option<&str> {
        self.parameter.as_deref()
    }

    /// The expression's text; `None` if the error isn't about one.
    pub fn expression(&self) -> Option<&str> {
        self.expression.as_deref()
    }

    /// Where in the expression, in bytes from its start. 0 without an expression.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The text at that position which is wrong.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl ParamErrorKind {
    /// What is wrong; the text found is written in front of it.
    fn problem(self) -> &'static str {
        match self {
            Self::Unclosed => "has no closing bracket",
            Self::NoFormat => "has no format",
            Self::Unexpected => "is not expected here",
            Self::JavaFormat => "is not how a format is spelled here",
            Self::SpaceOrEquals => "must not stand within brackets",
            Self::TimeInBusinessDate => "is a time of day, and `${…}` knows days only",
            Self::FractionInBusinessDate => "is a fraction, and `${…}` counts whole units",
            Self::Shift => "is no usable number",
            Self::UnknownBuiltIn => "is no built-in parameter",
            Self::ServiceBuiltIn => "has a meaning only inside DataWorks",
            Self::Name => "can't be a parameter's name",
            Self::Duplicate => "is declared twice",
            Self::UnknownParameter => "is no declared parameter",
            Self::Cycle => "depends on itself",
            Self::EnvironmentUnset => "is not set in the environment",
            Self::ReferenceAlone => "is a reference, and no other parameters are known here",
            Self::OutOfRange => "leaves the years 1 to 9999",
            Self::TooLong => "makes the value too long",
        }
    }
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.parameter {
            write!(f, "parameter \"{name}\": ")?;
        }
        if let Some(expression) = &self.expression {
            write!(f, "`{expression}`, byte {}: ", self.position)?;
        }
        write!(
            f,
            "`{}` {}; {}",
            self.found,
            self.kind.problem(),
            self.advice
        )
    }
}

impl std::error::Error for ParamError {}
