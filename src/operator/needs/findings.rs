//! What is known of needs, from one look to the next. Pure: answers and times are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::Need;

/// What is still missing is said again after this time.
const AGAIN: Duration = Duration::from_mins(10);
/// A Secret is read while somebody names it. When nobody has been refused it for so long, it or whoever named it has gone.
/// Longer than any pause between two readings of a Secret.
const NEEDED: Duration = Duration::from_mins(20);
/// So long an answer that does not come keeps everything from being shown.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the server says of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Met,
    Missing(String),
    /// The question has no sense at present.
    Moot,
    /// It does not say: what was known before holds.
    Untold,
    /// It gave no answer: what was known before holds, and it is asked again.
    Unanswered,
}

/// What is to be told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Missing(String),
    Found,
    /// Nobody has needed it for long.
    NotNeeded,
}

#[derive(Debug)]
struct Lack {
    sentence: String,
    said: Instant,
    /// When an answer last showed it.
    suspected: Instant,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Findings {
    missing: BTreeMap<Need, Lack>,
    /// Since when there is no answer.
    unanswered: BTreeMap<Need, Instant>,
    /// It has been known once whether anything is missing.
    is_known: bool,
}

impl Findings {
    /// What is to be looked at, when this is suspected; and what nobody has needed for long, which is forgotten.
    pub(super) fn due(&mut self, suspected: BTreeSet<Need>, now: Instant) -> (BTreeSet<Need>, Vec<Need>) {
        for need in &suspected {
            if let Some(lack) = self.missing.get_mut(need) {
                lack.suspected = now;
            }
        }
        // A server that does not answer refuses nothing either.
        let is_over = |need: &Need, lack: &mut Lack| {
            is_of_a_secret(need) && !self.unanswered.contains_key(need) && now - lack.suspected >= NEEDED
        };
        let forgotten = self.missing.extract_if(.., is_over).map(|(need, _)| need).collect();
        let mut due = suspected;
        due.extend(self.unanswered.keys().chain(self.missing.keys()).cloned());
        (due, forgotten)
    }

    /// Takes note of an answer.
    pub(super) fn note(&mut self, need: &Need, judgement: Judgement, now: Instant) -> Option<News> {
        if judgement != Judgement::Unanswered {
            self.unanswered.remove(need);
        }
        match judgement {
            Judgement::Unanswered => {
                self.unanswered.entry(need.clone()).or_insert(now);
                None
            }
            Judgement::Met => self.missing.remove(need).map(|_| News::Found),
            Judgement::Moot => {
                self.missing.remove(need);
                None
            }
            Judgement::Untold => None,
            Judgement::Missing(sentence) => {
                let before = self.missing.get(need);
                if before.is_some_and(|lack| lack.sentence == sentence && now - lack.said < AGAIN) {
                    return None;
                }
                let suspected = before.map_or(now, |lack| lack.suspected);
                let lack = Lack { sentence: sentence.clone(), said: now, suspected };
                self.missing.insert(need.clone(), lack);
                Some(News::Missing(sentence))
            }
        }
    }

    /// Is there nothing to be looked at before somebody suspects something?
    pub(super) fn is_settled(&self) -> bool {
        self.missing.is_empty() && self.unanswered.is_empty()
    }

    /// What is missing, by name, with sentences. None: it is not known yet whether anything is.
    pub(super) fn missing(&mut self, now: Instant) -> Option<BTreeMap<String, String>> {
        let is_answered = self.unanswered.values().all(|since| now - *since >= PATIENCE);
        self.is_known = self.is_known || is_answered || !self.missing.is_empty();
        let shown = self.missing.iter().map(|(need, lack)| (need.to_string(), lack.sentence.clone()));
        self.is_known.then(|| shown.collect())
    }
}

/// It is asked for by the name of the Secret, unless that is to be made.
fn is_of_a_secret(need: &Need) -> bool {
    matches!(need, Need::Access(access) if access.group.is_empty() && access.resource == "secrets")
}

#[cfg(test)]
mod tests {
    use super::super::Access;
    use super::*;

    fn definition() -> Need {
        Need::Definition("graphconnections")
    }

    fn secret() -> Need {
        let name = Some("graph".to_owned());
        Need::Access(Access { name, ..Access::new("get", "", "secrets", Some("school")) })
    }

    fn lacks(sentence: &str) -> Judgement {
        Judgement::Missing(sentence.to_owned())
    }

    #[test]
    fn what_is_not_answered_is_asked_again_and_nothing_is_shown_before() {
        let (mut findings, now) = (Findings::default(), Instant::now());
        let all = BTreeSet::from([definition(), secret()]);
        assert_eq!(findings.due(all.clone(), now), (all, Vec::new()));
        assert_eq!(findings.note(&definition(), Judgement::Unanswered, now), None);
        assert_eq!(findings.note(&secret(), Judgement::Met, now), None);
        assert_eq!((findings.missing(now), findings.is_settled()), (None, false));
        let (due, _) = findings.due(BTreeSet::new(), now);
        assert_eq!(due, BTreeSet::from([definition()]));
        assert_eq!(findings.note(&definition(), Judgement::Met, now), None, "it was never missing");
        assert_eq!((findings.missing(now), findings.is_settled()), (Some(BTreeMap::new()), true));
        findings.note(&secret(), Judgement::Unanswered, now);
        assert_eq!(findings.missing(now), Some(BTreeMap::new()), "what was shown once is shown on");
    }

    #[test]
    fn an_answer_that_never_comes_is_not_waited_for_for_ever() {
        let (mut findings, now) = (Findings::default(), Instant::now());
        for (second, shown) in [(0, None), (59, None), (60, Some(BTreeMap::new()))] {
            let now = now + Duration::from_secs(second);
            findings.note(&definition(), Judgement::Unanswered, now);
            assert_eq!((findings.missing(now), findings.is_settled()), (shown, false), "{second}");
        }
    }

    #[test]
    fn what_is_missing_is_said_now_and_then_until_it_is_found() {
        let (mut findings, now) = (Findings::default(), Instant::now());
        let mut look = |judgement, after: u64| {
            let now = now + Duration::from_secs(after);
            findings.due(BTreeSet::new(), now);
            let news = findings.note(&definition(), judgement, now);
            (news, findings.missing(now).unwrap().into_values().collect::<Vec<_>>().join(" "))
        };
        let (said, gone) = (|said: &str| Some(News::Missing(said.to_owned())), String::new());
        assert_eq!(look(lacks("a"), 0), (said("a"), "a".to_owned()));
        assert_eq!(look(lacks("a"), 599), (None, "a".to_owned()));
        for untold in [Judgement::Unanswered, Judgement::Untold] {
            assert_eq!(look(untold, 599), (None, "a".to_owned()), "what was known holds");
        }
        assert_eq!(look(lacks("b"), 599), (said("b"), "b".to_owned()), "another sentence");
        assert_eq!(look(lacks("b"), 1_199), (said("b"), "b".to_owned()), "again");
        assert_eq!(look(Judgement::Met, 1_200), (Some(News::Found), gone));
    }

    #[test]
    fn a_secret_that_nobody_asks_for_any_more_is_not_missing() {
        let (mut findings, began) = (Findings::default(), Instant::now());
        let mut look = |suspected: &[Need], minute: u64| {
            let now = began + Duration::from_mins(minute);
            let (due, forgotten) = findings.due(suspected.iter().cloned().collect(), now);
            for need in &due {
                findings.note(need, lacks("it is"), now);
            }
            (due.len(), forgotten)
        };
        assert_eq!(look(&[secret(), definition()], 0), (2, Vec::new()));
        assert_eq!(look(&[secret()], 15), (2, Vec::new()));
        assert_eq!(look(&[], 34), (2, Vec::new()));
        assert_eq!(look(&[], 35), (1, vec![secret()]), "the definition stays");
        assert_eq!(look(&[secret()], 36), (2, Vec::new()), "somebody does");
    }
}
