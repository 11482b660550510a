//! The table of kinds: how each is written, what it does, which options it takes. The one place that lists them.

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This status in place of the answer. `committed`: the call was carried out all the same.
    Status { status: u16, committed: bool },
    /// The connection is reset; not a byte is answered.
    Reset { committed: bool },
    /// The answer comes late.
    Slow,
    /// The answer breaks off in its body.
    Half,
    /// The answer is carried by a body that is no JSON.
    NotJson,
    /// The answer has no body.
    Empty,
    /// Errors spell `innererror`.
    LowerInnerError,
    /// Errors spell `requestId`.
    RequestIdKey,
    /// The new profile cannot be read for a while.
    NotFound,
    /// Lists lag behind in who is on them.
    Lag,
    /// What is read is of another time.
    Stale,
    /// Lists have nobody on them.
    EmptyList,
    /// The token of this call has expired.
    TokenExpired,
    /// The token of this call was taken back.
    TokenRevoked,
    /// The API is gone, in one of four forms.
    Retired(u16),
    /// The new profile ends in `provisioningFailed`.
    ProvisioningFailed,
    /// The delete ends in `deletionFailed`.
    DeletionFailed,
    /// The update is accepted, and changes none of the profile's values.
    Ignored,
    /// Somebody else has deleted the profile.
    DeletedByOther,
    /// Somebody else creates a profile of the same name right before.
    TwinBefore,
    /// Somebody else creates a profile of the same name right after.
    TwinAfter,
    /// `state` has a member nobody has heard of.
    UnknownState,
    /// `status` of a profile status has a member nobody has heard of.
    UnknownStatus,
    /// Types are named without their `#`.
    TypeWithoutHash,
    /// An error of the token endpoint, by its number.
    Aadsts(u32),
}

/// When a kind has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// In place of the call.
    Instead,
    /// The world changes, then the call is carried out.
    Before,
    /// The call is carried out, then the answer is lost or broken.
    Lost,
    /// The call is carried out, then the world or the answer changes.
    After,
}

impl Moment {
    /// Whether it replaces the call or its answer.
    pub(crate) fn replaces(self) -> bool {
        matches!(self, Self::Instead | Self::Lost)
    }
}

/// One row of the help: how it is written, what it does, its own options.
struct Row(&'static str, &'static str, &'static str);

const ROWS: [Row; 27] = [
    Row("429", "throttled; not carried out", "retry-after, window"),
    Row("500 502 503 504 507", "this status (any from 400 to 599); not carried out", "retry-after"),
    Row("STATUS-after-commit", "carried out, but answered with this status", "retry-after"),
    Row("reset", "the connection is reset; not carried out", ""),
    Row("reset-after-commit", "carried out, then the connection is reset", ""),
    Row("slow", "carried out; answered after delay=5s", "delay"),
    Row("half", "carried out; the answer breaks off in its body", ""),
    Row("not-json", "carried out; the body is a page of HTML", ""),
    Row("empty", "carried out; the answer has no body", ""),
    Row("innererror", "errors spell \"innererror\"", ""),
    Row("request-id", "errors spell \"requestId\"", ""),
    Row("not-found", "create: the profile answers 404 for=30s", "for"),
    Row("lag", "list, list.page, count: who is on it lags behind by=30s", "by"),
    Row("stale", "list, list.page, count, get, profileStatus: as it was by=30s ago", "by"),
    Row("empty-list", "list, list.page, count: nobody is on it", ""),
    Row("token-expired", "401; this token is no good any more", ""),
    Row("token-revoked", "401 with a claims challenge; this token is no good any more", ""),
    Row("retired-404 -410 -501 -400", "the API is gone, in one of its four forms", ""),
    Row("provisioning-failed", "create: the profile ends in provisioningFailed", ""),
    Row("deletion-failed", "delete: it ends in deletionFailed", ""),
    Row("ignored", "update: accepted as documented; the values stay as they were", ""),
    Row("deleted-by-other", "the profile is gone when the call comes", ""),
    Row("twin-before twin-after", "create: somebody else creates the same name right before, after", ""),
    Row("unknown-state", "profiles have state value=reorganizing", "value"),
    Row("unknown-status", "profileStatus has status value=reorganizing", "value"),
    Row("type-without-hash", "answers name types without their '#'", ""),
    Row("aadsts-NUMBER", "token, devicecode: this error of the token endpoint, e.g. aadsts-70021", ""),
];

/// The help text about faults: grammar, calls, kinds.
#[must_use]
pub fn faults_help() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "FAULTS are written CALL:KIND[,OPTION=VALUE...], e.g. create:504-after-commit,times=1
  CALL    list, list.page (asked for by $skiptoken), count, get, create, update, delete, pause, resume, reset,
          start, uploadUrl, profileStatus, errors; any (each of these); token, devicecode, identity, blob
  OPTION  times=N (1) or times=always   how often it strikes
          after=N (0)                   how many matching calls pass first
          chance=PERCENT                strikes that share of them only, e.g. any:503,times=always,chance=5%
          name=DISPLAYNAME, id=ID       only calls about this profile (create: name only)
          retry-after=FORM              5, 2.128, \"5,7\", date:30s (an HTTP date) or none
          window=DURATION               429: calls inside the window are throttled, too, and restart it
          A value with a comma stands in double quotes.
  KIND
",
    );
    for Row(spelling, effect, options) in ROWS {
        let options = if options.is_empty() { String::new() } else { format!(" [{options}]") };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {spelling:<27}{effect}{options}");
    }
    text
}

impl Kind {
    /// Reads the spelling.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (plain, committed) = match text.strip_suffix("-after-commit") {
            Some(plain) => (plain, true),
            None => (text, false),
        };
        if let Ok(status @ 400..=599) = plain.parse() {
            return Some(Self::Status { status, committed });
        }
        if plain == "reset" {
            return Some(Self::Reset { committed });
        }
        if let Some(number) = text.strip_prefix("aadsts-") {
            return number.parse().ok().map(Self::Aadsts);
        }
        SIMPLE.into_iter().find(|(spelling, _)| *spelling == text).map(|(_, kind)| kind)
    }

    /// When it has its effect.
    pub(crate) fn moment(self) -> Moment {
        match self {
            Self::Status { committed: false, .. }
            | Self::Reset { committed: false }
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::Retired(_)
            | Self::Aadsts(_) => Moment::Instead,
            Self::Lag
            | Self::Stale
            | Self::EmptyList
            | Self::Ignored
            | Self::DeletedByOther
            | Self::TwinBefore => Moment::Before,
            Self::Status { committed: true, .. }
            | Self::Reset { committed: true }
            | Self::Half
            | Self::NotJson
            | Self::Empty => Moment::Lost,
            _ => Moment::After,
        }
    }

    /// Whether it has no effect unless the call happens. The others have one on every answer.
    pub(crate) fn needs_the_call(self) -> bool {
        !matches!(self, Self::Slow | Self::LowerInnerError | Self::RequestIdKey)
    }

    /// Whether something other than this answer is changed by it, so that even a read leaves a trace.
    pub(crate) fn changes_the_world(self) -> bool {
        matches!(self, Self::TokenExpired | Self::TokenRevoked | Self::DeletedByOther)
    }

    /// The option that holds this kind's duration, if it has one.
    pub(crate) fn span_option(self) -> Option<&'static str> {
        match self {
            Self::Slow => Some("delay"),
            Self::NotFound => Some("for"),
            Self::Lag | Self::Stale => Some("by"),
            _ => None,
        }
    }

    /// The only calls this kind makes sense for; empty: every call.
    pub(crate) fn only_for(self) -> &'static [&'static str] {
        match self {
            Self::NotFound | Self::ProvisioningFailed | Self::TwinBefore | Self::TwinAfter => &["create"],
            Self::Ignored => &["update"],
            Self::DeletionFailed => &["delete"],
            Self::Lag | Self::EmptyList => &["list", "list.page", "count"],
            Self::Stale => &["list", "list.page", "count", "get", "profileStatus"],
            Self::Aadsts(_) => &["token", "devicecode"],
            _ => &[],
        }
    }

    /// Whether it is about Graph's own data or tokens, and so never for other hosts.
    pub(crate) fn graph_only(self) -> bool {
        matches!(
            self,
            Self::LowerInnerError
                | Self::RequestIdKey
                | Self::TokenExpired
                | Self::TokenRevoked
                | Self::Retired(_)
                | Self::DeletedByOther
                | Self::UnknownState
                | Self::UnknownStatus
                | Self::TypeWithoutHash
        )
    }

    pub(crate) fn takes_retry_after(self) -> bool {
        matches!(self, Self::Status { .. })
    }

    pub(crate) fn takes_value(self) -> bool {
        matches!(self, Self::UnknownState | Self::UnknownStatus)
    }
}

const SIMPLE: [(&str, Kind); 25] = [
    ("slow", Kind::Slow),
    ("half", Kind::Half),
    ("not-json", Kind::NotJson),
    ("empty", Kind::Empty),
    ("innererror", Kind::LowerInnerError),
    ("request-id", Kind::RequestIdKey),
    ("not-found", Kind::NotFound),
    ("lag", Kind::Lag),
    ("stale", Kind::Stale),
    ("empty-list", Kind::EmptyList),
    ("token-expired", Kind::TokenExpired),
    ("token-revoked", Kind::TokenRevoked),
    ("retired-404", Kind::Retired(404)),
    ("retired-410", Kind::Retired(410)),
    ("retired-501", Kind::Retired(501)),
    ("retired-400", Kind::Retired(400)),
    ("provisioning-failed", Kind::ProvisioningFailed),
    ("deletion-failed", Kind::DeletionFailed),
    ("ignored", Kind::Ignored),
    ("deleted-by-other", Kind::DeletedByOther),
    ("twin-before", Kind::TwinBefore),
    ("twin-after", Kind::TwinAfter),
    ("unknown-state", Kind::UnknownState),
    ("unknown-status", Kind::UnknownStatus),
    ("type-without-hash", Kind::TypeWithoutHash),
];

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after = |committed: bool| if committed { "-after-commit" } else { "" };
        match *self {
            Self::Status { status, committed } => write!(out, "{status}{}", after(committed)),
            Self::Reset { committed } => write!(out, "reset{}", after(committed)),
            Self::Aadsts(number) => write!(out, "aadsts-{number}"),
            kind => {
                let row = SIMPLE.into_iter().find(|(_, other)| *other == kind);
                out.write_str(row.map_or("", |(spelling, _)| spelling))
            }
        }
    }
}
