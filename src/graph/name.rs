//! When are two display names one name? Trimmed, composed (NFC) and case-folded, as people see them.
//!
//! Graph documents no uniqueness of `displayName`; edusync makes it the key within a tenant.

use std::sync::Arc;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;

/// A display name in the form in which names are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(Arc<str>);

impl NameKey {
    /// The key of a name.
    #[must_use]
    pub fn of(display_name: &str) -> Self {
        let nfc = ComposingNormalizer::new_nfc();
        let composed = nfc.normalize(display_name.trim());
        let folded = CaseMapper::new().fold_string(&composed).into_owned();
        // Folding can take a composed letter apart (U+0130), so it is composed once more.
        Self(nfc.normalize(&folded).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one_name() {
        for (left, right) in [
            ("Contoso SDS", "  contoso sds "),
            ("STRASSE", "straße"),
            ("Caf\u{e9}", "Cafe\u{301}"),
            ("\u{130}stanbul", "i\u{307}stanbul"),
        ] {
            assert_eq!(NameKey::of(left), NameKey::of(right), "{left} and {right}");
        }
    }

    #[test]
    fn names_that_differ_stay_apart() {
        assert_ne!(NameKey::of("Contoso SDS"), NameKey::of("Contoso  SDS"));
        assert_ne!(NameKey::of("Contoso 1"), NameKey::of("Contoso 2"));
    }
}
