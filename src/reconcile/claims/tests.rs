//! The table of claims: who wins, who gives up, and what is free again.

use super::*;

fn tenant() -> Tenant {
    Tenant::new("https://graph.example", "t")
}

pub(in crate::reconcile) fn owner(uid: &str, created: i64) -> Owner {
    Owner { uid: uid.into(), namespace: "n".into(), name: uid.into(), created: at(created) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn the_older_wish_wins_until_a_claim_is_established() {
    let (claims, tenant, name) = (Claims::default(), tenant(), NameKey::of("A"));
    let (old, young) = (owner("old", 1), owner("young", 2));
    assert_eq!(claims.wish(&tenant, &name, &young, at(10)), NameClaim::Ours(at(10)));
    assert_eq!(claims.wish(&tenant, &name, &old, at(11)), NameClaim::Ours(at(11)));
    assert!(!claims.establish(&tenant, &name, &young));
    assert_eq!(claims.wish(&tenant, &name, &young, at(12)), NameClaim::TakenBy(old.clone()));
    assert!(claims.establish(&tenant, &name, &old));
    claims.release("old");
    assert_eq!(claims.wish(&tenant, &name, &young, at(13)), NameClaim::Ours(at(13)));
    assert!(claims.establish(&tenant, &name, &young));
    assert_eq!(claims.wish(&tenant, &name, &old, at(14)), NameClaim::TakenBy(young));
}

#[test]
fn a_new_wish_gives_up_the_old_one_but_not_an_attempt() {
    let (claims, tenant) = (Claims::default(), tenant());
    let (first, second) = (owner("first", 1), owner("second", 2));
    claims.record_names(&tenant, &BTreeSet::from([NameKey::of("attempted")]), &first, at(1));
    claims.wish(&tenant, &NameKey::of("a"), &first, at(1));
    claims.wish(&tenant, &NameKey::of("b"), &first, at(1));
    assert_eq!(claims.wish(&tenant, &NameKey::of("a"), &second, at(2)), NameClaim::Ours(at(2)));
    let taken = NameClaim::TakenBy(first.clone());
    assert_eq!(claims.wish(&tenant, &NameKey::of("attempted"), &second, at(2)), taken);
    claims.forget_names(&BTreeSet::new(), "first");
    assert_eq!(claims.wish(&tenant, &NameKey::of("attempted"), &second, at(3)), NameClaim::Ours(at(3)));
}

#[test]
fn a_wish_that_is_given_up_frees_its_name_and_no_claim() {
    let (claims, tenant, first, second) = (Claims::default(), tenant(), owner("1", 1), owner("2", 2));
    claims.record_names(&tenant, &[NameKey::of("has")].into(), &first, at(1));
    claims.wish(&tenant, &NameKey::of("wants"), &first, at(1));
    claims.give_up_wishes("1");
    assert_eq!(claims.wish(&tenant, &NameKey::of("wants"), &second, at(2)), NameClaim::Ours(at(2)));
    let taken = NameClaim::TakenBy(first);
    assert_eq!(claims.wish(&tenant, &NameKey::of("has"), &second, at(2)), taken);
}

#[test]
fn names_of_other_tenants_do_not_meet() {
    let claims = Claims::default();
    let other = Tenant { tenant_id: "other".into(), ..tenant() };
    claims.wish(&tenant(), &NameKey::of("A"), &owner("1", 1), at(1));
    assert_eq!(claims.wish(&other, &NameKey::of("A"), &owner("2", 2), at(2)), NameClaim::Ours(at(2)));
}

/// Who lost a name to an older resource, and goes, takes it with him no more.
#[test]
fn what_was_lost_is_not_given_back_by_the_loser() {
    let (claims, tenant, name) = (Claims::default(), tenant(), NameKey::of("A"));
    let (old, young, third) = (owner("old", 1), owner("young", 2), owner("third", 3));
    claims.wish(&tenant, &name, &young, at(10));
    claims.wish(&tenant, &name, &old, at(11));
    claims.give_up_wishes("young");
    claims.release("young");
    assert_eq!(claims.wish(&tenant, &name, &third, at(12)), NameClaim::TakenBy(old));
}

/// Two of whom each takes the other one for the younger would take the name from each other for ever.
#[test]
fn who_is_older_goes_by_what_is_known_last() {
    let (claims, tenant, name) = (Claims::default(), tenant(), NameKey::of("A"));
    let (first, second) = (owner("first", 5), owner("second", 3));
    claims.wish(&tenant, &name, &second, at(10));
    claims.wish(&tenant, &name, &first, at(10));
    let first = owner("first", 1);
    assert_eq!(claims.wish(&tenant, &name, &first, at(11)), NameClaim::Ours(at(11)));
    assert_eq!(claims.wish(&tenant, &name, &second, at(12)), NameClaim::TakenBy(first));
}

#[test]
fn what_nobody_looks_at_is_not_known_to_be_alive() {
    let (claims, tenant) = (Claims::default(), tenant());
    claims.claim_profile(&tenant, "p", &owner("1", 1), Some(at(1)));
    claims.claim_profile(&tenant, "q", &owner("2", 1), Some(at(1)));
    claims.set_all_going("1");
    assert_eq!(claims.alive(&tenant, at(2), |_| true), (1, 0));
}

#[test]
fn a_profile_belongs_to_one_resource() {
    let (claims, tenant) = (Claims::default(), tenant());
    assert_eq!(claims.claim_profile(&tenant, "p", &owner("1", 1), None), None);
    assert_eq!(claims.claim_profile(&tenant, "p", &owner("1", 1), None), None);
    assert_eq!(&*claims.claim_profile(&tenant, "p", &owner("2", 0), None).unwrap().uid, "1");
    assert_eq!(claims.alive(&tenant, at(9), |_| false), (0, 0));
    claims.set_alive(&tenant, "p", at(5));
    assert_eq!(claims.alive(&tenant, at(4), |_| false), (0, 0), "the list is from before");
    assert_eq!(claims.alive(&tenant, at(5), |_| false), (1, 1));
    assert_eq!(claims.alive(&tenant, at(5), |_| true), (1, 0));
    claims.set_going(&tenant, "p");
    assert_eq!(claims.alive(&tenant, at(9), |_| false), (0, 0));
    assert_eq!(claims.claim_profile(&tenant, "q", &owner("1", 1), None), None);
    assert_eq!(claims.profile_of(&tenant, "1").as_deref(), Some("q"), "one at a time");
    assert_eq!(claims.owner_of(&tenant, "p"), None);
    assert_eq!(claims.claim_profile(&tenant, "p", &owner("2", 0), None), None, "which frees the other one");
    claims.release("1");
    assert_eq!(claims.owner_of(&tenant, "q"), None);
    claims.release_profile(&tenant, "p", "2");
    assert_eq!((claims.owner_of(&tenant, "p"), claims.profile_of(&tenant, "2")), (None, None));
}
