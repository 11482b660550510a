//! Makes ids and tokens. The only source of randomness in the model, and seedable, so that a whole run can be
//! repeated. Nothing here knows what an id is for.

use uuid::{Builder, Uuid};

/// A small generator (`SplitMix64`). Good enough for ids nobody must guess in earnest: the simulator guards nothing.
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    /// Starts from a seed, or from fresh randomness when there is none.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let state = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        Self { state }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uuid(&mut self) -> Uuid {
        let wide = (u128::from(self.next()) << 64) | u128::from(self.next());
        Builder::from_random_bytes(wide.to_be_bytes()).into_uuid()
    }

    /// A new number, to seed something with.
    pub(crate) fn number(&mut self) -> u64 {
        self.next()
    }

    /// A new GUID in lower case with hyphens.
    pub(crate) fn guid(&mut self) -> String {
        self.uuid().hyphenated().to_string()
    }

    /// A new opaque token. The prefix tells people what they are looking at; programs must not look.
    pub(crate) fn token(&mut self, prefix: &str) -> String {
        format!("{prefix}.{}{}", self.uuid().simple(), self.uuid().simple())
    }
}
