//! Draws one of several things that are not equally likely. Pure but for the generator.

use fastrand::Rng;

/// One of `choices`, in the proportion of their weights.
pub(super) fn weighted<T: Copy>(rng: &mut Rng, choices: &[(u32, T)]) -> Option<T> {
    let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
    let mut draw = rng.u32(..total.max(1));
    for (weight, choice) in choices {
        if draw < *weight {
            return Some(*choice);
        }
        draw -= weight;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weighs_nothing_is_not_drawn_and_what_weighs_more_comes_more_often() {
        let mut rng = Rng::with_seed(7);
        let drawn: Vec<_> = (0..400)
            .filter_map(|_| weighted(&mut rng, &[(0, "never"), (1, "seldom"), (3, "often")]))
            .collect();
        let count = |name: &str| drawn.iter().filter(|one| **one == name).count();
        assert_eq!((drawn.len(), count("never")), (400, 0));
        assert!((50..150).contains(&count("seldom")), "{}", count("seldom"));
    }
}
