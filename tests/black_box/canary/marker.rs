//! Markers, and the search for them: in the clear, and in every form in which a text could carry one unnoticed.
//!
//! It knows forms, and nothing of edusync; what may be where is for others to say.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What a marker stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A client secret of an application in Entra.
    ClientSecret,
    /// The secret of a OneRoster or PowerSchool source.
    SourceSecret,
    /// The private key of a certificate.
    PrivateKey,
    /// A refresh token: the seed, and each one that came of it.
    RefreshToken,
    /// An access token.
    AccessToken,
    /// The token that Kubernetes gives the operator for Entra.
    FederatedToken,
    /// A signed assertion.
    Assertion,
    /// The secret half of a sign-in by device code.
    DeviceCode,
    /// The half that the administrator types in.
    UserCode,
    /// The signature of an address for uploads.
    UploadSignature,
    /// The token or the kubeconfig that Kubernetes is spoken to with.
    KubernetesToken,
    /// The password of a proxy.
    ProxyPassword,
    /// The key that a collector of traces wants.
    CollectorKey,
    /// Something secret that a server says of itself.
    Foreign,
    /// A pupil in a text of Graph's.
    Pupil,
    /// A cell of an uploaded file.
    Cell,
    /// A secret in a field of a manifest that is not for secrets.
    Misplaced,
    /// A secret in an address of a manifest.
    InAddress,
}

/// A text that is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker {
    pub kind: Kind,
    pub text: String,
}

/// Looks for markers.
pub struct Search {
    patterns: Vec<(Kind, &'static str)>,
    automaton: AhoCorasick,
}

/// A marker that was found, and in which form.
pub type Found = (Kind, &'static str);

impl Search {
    pub fn new<'a>(markers: impl IntoIterator<Item = &'a Marker>) -> Self {
        let mut patterns = Vec::new();
        let mut texts = Vec::new();
        for marker in markers {
            assert!(marker.text.len() >= 8, "{marker:?} is found everywhere");
            for (form, text) in forms(&marker.text) {
                patterns.push((marker.kind, form));
                texts.push(text);
            }
        }
        Self { patterns, automaton: AhoCorasick::new(texts).unwrap() }
    }

    /// How many forms of markers are looked for.
    pub fn forms(&self) -> usize {
        self.patterns.len()
    }

    /// All that is in there.
    pub fn find(&self, text: impl AsRef<[u8]>) -> BTreeSet<Found> {
        let all = self.automaton.find_overlapping_iter(text.as_ref());
        all.map(|found| self.patterns[found.pattern().as_usize()]).collect()
    }

    /// The same, without the forms.
    pub fn kinds(&self, text: impl AsRef<[u8]>) -> BTreeSet<Kind> {
        self.find(text).into_iter().map(|(kind, _)| kind).collect()
    }
}

/// Every form of a text, each once.
fn forms(text: &str) -> BTreeSet<(&'static str, String)> {
    let mut forms = BTreeSet::new();
    add(&mut forms, ["plain", "base64", "base64url", "percent", "escaped", "hex", "bytes"], text);
    // Somebody may have cut it off: half of it is too much.
    if text.len() >= 24 && text.is_ascii() {
        let (first, second) = text.split_at(text.len() / 2);
        for half in [first, second] {
            let names =
                ["half", "half in base64", "half in base64url", "half", "half", "half in hex", "half"];
            add(&mut forms, names, half);
        }
    }
    let plain: Vec<String> =
        forms.iter().filter(|(form, _)| *form == "plain").map(|(_, text)| text.clone()).collect();
    // What a form leaves as it is was found already.
    forms.retain(|(form, text)| *form == "plain" || !plain.contains(text));
    forms
}

fn add(forms: &mut BTreeSet<(&'static str, String)>, names: [&'static str; 7], text: &str) {
    let [plain, base64, base64url, percent, escaped, hex, bytes] = names;
    for text in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
        forms.insert((plain, text));
    }
    for ahead in 0..3 {
        forms.insert((base64, inner(&STANDARD, ahead, text)));
        forms.insert((base64url, inner(&URL_SAFE, ahead, text)));
    }
    for (kept, blank) in [("-._~", "%20"), ("-._*", "+"), ("-._*", "%20")] {
        let encoded = encoded(text, kept, blank);
        forms.insert((percent, lower_hex(&encoded)));
        forms.insert((percent, encoded));
    }
    let quoted = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    forms.insert((escaped, quoted(text)));
    forms.insert((escaped, quoted(&quoted(text))));
    forms.insert((escaped, text.escape_debug().to_string()));
    forms.insert((escaped, text.escape_default().to_string()));
    let digits = digits(text);
    forms.insert((hex, digits.to_uppercase()));
    forms.insert((hex, digits));
    let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    forms.insert((bytes, numbers.join(", ")));
    forms.insert((bytes, numbers.join(",")));
}

/// Two digits for each byte.
fn digits(text: &str) -> String {
    let digits: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// Every byte but letters, digits and those that are kept, as a URL or a form writes it.
fn encoded(text: &str, kept: &str, blank: &str) -> String {
    let byte = |byte: u8| match char::from(byte) {
        ' ' => blank.to_owned(),
        c if c.is_ascii_alphanumeric() || kept.contains(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The same with digits in lower case.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let (digits, rest) = part.split_at(2);
        format!("{all}%{}{rest}", digits.to_lowercase())
    })
}

/// What base64 makes of the text, whatever stands around it: the digits that are made of the text alone, when so many
/// bytes (of three) go before it.
fn inner(engine: &impl Engine, ahead: usize, text: &str) -> String {
    let bytes = [&b"\0\0"[..ahead], text.as_bytes()].concat();
    let encoded = engine.encode(&bytes);
    let first = (ahead * 8).div_ceil(6);
    let whole = bytes.len() * 8 / 6;
    encoded[first..whole].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "canary~Client/Secret+\"1\" ö";

    fn search() -> Search {
        let other = Marker { kind: Kind::Pupil, text: "Anna-Canary".to_owned() };
        Search::new([&Marker { kind: Kind::ClientSecret, text: TEXT.to_owned() }, &other])
    }

    fn found(text: &str) -> Vec<&'static str> {
        let found = search().find(text);
        assert!(found.iter().all(|(kind, _)| *kind == Kind::ClientSecret), "{found:?}");
        found.into_iter().map(|(_, form)| form).collect()
    }

    #[test]
    fn a_marker_is_found_in_every_form() {
        assert_eq!(found(&format!("it is {TEXT}.")), ["plain"]);
        assert_eq!(found(&TEXT.to_uppercase()), ["plain"]);
        assert_eq!(found(&json_in_json()), ["escaped"]);
        assert_eq!(found(&format!("{TEXT:?}")), ["escaped"]);
        assert_eq!(
            found("canary~Client/Secret+%221%22%20%C3%B6"),
            [] as [&str; 0],
            "half encoded is no form"
        );
        assert_eq!(found("x=canary~Client%2FSecret%2B%221%22%20%C3%B6"), ["percent"]);
        assert_eq!(found("x=canary%7EClient%2FSecret%2B%221%22+%C3%B6"), ["percent"]);
        assert_eq!(found("x=canary%7eClient%2fSecret%2b%221%22+%c3%b6"), ["percent"]);
        assert_eq!(found(&format!("{:?}", TEXT.as_bytes())), ["bytes"]);
        assert_eq!(found("63616E6172797E436C69656E742F5365637265742B22312220C3B6"), ["hex"]);
        assert_eq!(found("63616e6172797e436c69656e742f5365637265742b22312220c3b6"), ["hex"]);
    }

    fn json_in_json() -> String {
        let inner = serde_json::json!({ "a": TEXT }).to_string();
        serde_json::json!({ "b": inner }).to_string()
    }

    #[test]
    fn base64_hides_nothing_wherever_the_marker_stands_in_it() {
        for before in ["", "a", "ab", "abc", "abcd"] {
            for after in ["", "z", "zy", "zyx"] {
                let text = format!("{before}{TEXT}{after}");
                let found_in = |encoded: String| search().kinds(encoded).contains(&Kind::ClientSecret);
                assert!(found_in(STANDARD.encode(&text)), "{text}");
                assert!(found_in(URL_SAFE.encode(&text)), "{text}");
            }
        }
    }

    #[test]
    fn half_of_a_marker_is_found_and_others_are_told_apart() {
        let long = Marker { kind: Kind::RefreshToken, text: "0.canary-seed-of-a-refresh-token".to_owned() };
        let search = Search::new([&long]);
        assert_eq!(search.find("...of-a-refresh-token"), BTreeSet::from([(Kind::RefreshToken, "half")]));
        assert_eq!(search.find("a refresh token"), BTreeSet::new());
        assert_eq!(self::search().kinds("Anna-Canary"), BTreeSet::from([Kind::Pupil]));
        assert_eq!(self::search().kinds("Anna, a canary"), BTreeSet::new());
    }
}
