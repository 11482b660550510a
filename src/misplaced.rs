//! A secret where the name of a Secret, or of a key of one, belongs: who pastes it there does not see it again in
//! statuses, events and logs, which more people read than the manifest.

/// A run of letters and digits without a break that is as long as this, and has both, is made by no person.
const LONGEST_WORD: usize = 20;
/// So much of it tells which one is meant.
const SHOWN: usize = 4;

/// The message as it may be shown: names in it that look like a secret are cut.
#[must_use]
pub fn hidden(message: String, names: [&str; 2]) -> String {
    let made = names.into_iter().filter(|name| looks_like_a_secret(name));
    made.fold(message, |message, name| {
        let begin: String = name.chars().take(SHOWN).collect();
        message.replace(
            name,
            &format!("\"{begin}...\" (cut here: it looks like a secret, where its name belongs)"),
        )
    })
}

fn looks_like_a_secret(text: &str) -> bool {
    let is_made = |word: &str| {
        word.len() >= LONGEST_WORD
            && word.chars().any(|c| c.is_ascii_digit())
            && word.chars().any(|c| c.is_ascii_alphabetic())
    };
    uuid::Uuid::parse_str(text).is_ok() || text.split(['-', '.', '_']).any(is_made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_and_secrets_are_not() {
        for usual in [
            "graph",
            "clientSecret",
            "graph-credentials-5bt7k6g24m",
            "sh.helm.release.v1.edusync.v12",
            "averylongnamewithoutanydigitsinit",
            "tls.crt",
            "2027-school-year-secrets-of-the-district-9",
        ] {
            assert_eq!(hidden(usual.to_owned(), [usual, "key"]), usual);
        }
        for secret in [
            "ca9a0815-4f53-4d1e-9a53-b6f0c5b25d1e",
            "ca9a08154f534d1e9a53b6f0c5b25d1e",
            "abc8Q.Zk3f9sLq0aXv7rTn2mWd5yHb6c",
            "0.AXoAj3k2l5n6m7p8q9r0s1t2u3.AgABAAEAAAD",
        ] {
            let message = format!("the key {secret} of the Secret graph: secrets {secret:?} is forbidden");
            let shown = hidden(message, ["graph", secret]);
            assert!(shown.contains("of the Secret graph"), "{shown}");
            assert!(shown.contains("looks like a secret") && !shown.contains(&secret[..8]), "{shown}");
        }
    }
}
