//! Text that may name a person: Graph's error messages name pupils.
//!
//! It cannot be printed by accident: neither Debug nor Display nor Serialize shows it. Only what a
//! person with the right to see it asks for on a terminal of their own may reveal it.

/// Text that may name a person.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalText(String);

impl PersonalText {
    /// Wraps a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. Call this only where a person asked to see it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PersonalText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} characters about a person]", self.0.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_printed_by_accident() {
        let text = PersonalText::new("Anna Example".to_owned());
        assert_eq!(format!("{text:?}"), "[12 characters about a person]");
        assert_eq!(text.reveal(), "Anna Example");
    }
}
