//! What becomes of a call: the kinds, and how often each comes. Values only.

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Well,
    /// It is not sent.
    NotSent,
    /// It is answered by 503, and not carried out.
    Refused,
    /// It is answered by 429, and not carried out.
    Throttled,
    /// It is carried out, and its answer is lost.
    AnswerLost,
    /// It is carried out, and answered by 504.
    Timeout,
    /// It is carried out, and the answer comes late, but in time.
    Slow,
    /// The caller gives up, and it is carried out after that.
    Late,
    /// Lists are behind.
    Lag,
    /// Somebody else changes the object right before.
    Touched,
    /// The caller dies before it is sent.
    DiesBefore,
    /// It is carried out, and the caller dies before the answer is there.
    DiesAfter,
    /// The caller dies while it is on its way. It arrives, whenever.
    DiesWaiting,
    /// From now on the caller does not reach Kubernetes, for longer than its lease lives.
    CutOff,
}

/// What can become of one kind of call.
pub struct Fates {
    /// With their weights; the first one is the usual one.
    pub options: &'static [(Fate, u32)],
    /// Only in one of so many calls, of those that could go wrong, something does.
    pub one_of: u64,
    /// Those that are tried one by one where everything is tried.
    pub explored: &'static [Fate],
    /// Is every order of it and others tried there? Else nothing comes between it and its answer.
    pub is_ordered: bool,
}

/// Of a call that changes Graph.
pub const CHANGE: Fates = Fates {
    is_ordered: true,
    explored: &[
        Fate::AnswerLost,
        Fate::Late,
        Fate::DiesBefore,
        Fate::DiesAfter,
        Fate::DiesWaiting,
        Fate::Refused,
        Fate::Throttled,
    ],
    one_of: 1,
    options: &[
        (Fate::Well, 0),
        (Fate::AnswerLost, 3),
        (Fate::Late, 3),
        (Fate::Timeout, 2),
        (Fate::DiesBefore, 2),
        (Fate::DiesAfter, 3),
        (Fate::DiesWaiting, 2),
        (Fate::NotSent, 2),
        (Fate::Refused, 2),
        (Fate::Throttled, 2),
        (Fate::Slow, 2),
    ],
};

/// Of a call that reads one thing from Graph.
pub const READ: Fates = Fates {
    is_ordered: true,
    explored: &[Fate::Refused, Fate::DiesBefore],
    one_of: 1,
    options: &[
        (Fate::Well, 0),
        (Fate::Refused, 3),
        (Fate::NotSent, 2),
        (Fate::AnswerLost, 1),
        (Fate::Throttled, 2),
        (Fate::Slow, 1),
        (Fate::DiesBefore, 1),
    ],
};

/// Of a call for a token.
pub const TOKEN: Fates = Fates { is_ordered: false, explored: &[], ..READ };

/// Of a list.
pub const LIST: Fates = Fates {
    is_ordered: true,
    explored: &[Fate::Lag, Fate::Refused, Fate::DiesBefore],
    one_of: 1,
    options: &[
        (Fate::Well, 0),
        (Fate::Lag, 4),
        (Fate::Refused, 2),
        (Fate::NotSent, 1),
        (Fate::AnswerLost, 1),
        (Fate::Throttled, 2),
        (Fate::Slow, 2),
        (Fate::DiesBefore, 1),
    ],
};

/// Of a write to a profile in Kubernetes.
pub const WRITE: Fates = Fates {
    is_ordered: true,
    explored: &[
        Fate::AnswerLost,
        Fate::Late,
        Fate::NotSent,
        Fate::Touched,
        Fate::DiesBefore,
        Fate::DiesAfter,
        Fate::DiesWaiting,
    ],
    one_of: 1,
    options: &[
        (Fate::Well, 0),
        (Fate::AnswerLost, 2),
        (Fate::Late, 1),
        (Fate::NotSent, 2),
        (Fate::Touched, 3),
        (Fate::DiesBefore, 2),
        (Fate::DiesAfter, 2),
        (Fate::DiesWaiting, 1),
        (Fate::Slow, 2),
    ],
};

/// Of a write to a connection in Kubernetes.
pub const CONNECTION: Fates = Fates { is_ordered: false, explored: &[], ..WRITE };

/// Of a look at a profile in Kubernetes.
pub const LOOK: Fates = Fates {
    is_ordered: true,
    explored: &[Fate::DiesBefore],
    one_of: 1,
    options: &[(Fate::Well, 0), (Fate::NotSent, 2), (Fate::Slow, 2), (Fate::DiesBefore, 1)],
};

/// Of a look at a Secret.
pub const SECRET: Fates = Fates { is_ordered: false, explored: &[], ..LOOK };

/// Of a call about the lease, of which there are very many.
pub const LEASE: Fates = Fates {
    explored: &[Fate::CutOff],
    one_of: 10,
    options: &[
        (Fate::Well, 0),
        (Fate::NotSent, 2),
        (Fate::AnswerLost, 2),
        (Fate::Late, 1),
        (Fate::Slow, 1),
        (Fate::DiesBefore, 1),
        (Fate::DiesAfter, 1),
        (Fate::CutOff, 1),
    ],
    ..KEEP
};

/// Of a call about the stored token, or of an event.
pub const KEEP: Fates = Fates {
    is_ordered: false,
    explored: &[],
    one_of: 1,
    options: &[
        (Fate::Well, 0),
        (Fate::NotSent, 2),
        (Fate::AnswerLost, 2),
        (Fate::Late, 1),
        (Fate::Slow, 1),
        (Fate::DiesBefore, 1),
        (Fate::DiesAfter, 1),
    ],
};
