//! From values to places, and the round numbers at an axis. Pure.

/// A range of values and the range of pixels that it is drawn on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) begin: f64,
    pub(super) end: f64,
}

impl Scale {
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        self.begin + share * (self.end - self.begin)
    }
}

/// Round numbers from 0 up, the last of which is not below `highest`; about `wanted` steps.
pub(super) fn ticks(highest: f64, wanted: u32) -> Vec<f64> {
    let step = step(highest.max(f64::MIN_POSITIVE) / f64::from(wanted));
    let enough = (1..=wanted * 3).find(|count| f64::from(*count) * step >= highest);
    (0..=enough.unwrap_or(wanted)).map(|count| f64::from(count) * step).collect()
}

/// The next of 1, 2, 5, 10, 20, 50 …, and not below 0.1.
fn step(least: f64) -> f64 {
    let mut decade = 0.1;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if decade * factor >= least {
                return decade * factor;
            }
        }
        decade *= 10.0;
    }
}

/// A number as a tick has it: decimals only where they are needed, thousands set apart.
pub(super) fn number(value: f64) -> String {
    if (value - value.round()).abs() > 1e-9 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_highest_value() {
        let whole =
            |highest, wanted| ticks(highest, wanted).iter().map(|tick| number(*tick)).collect::<Vec<_>>();
        assert_eq!(whole(80.0, 4), ["0", "20", "40", "60", "80"]);
        assert_eq!(whole(81.0, 4), ["0", "50", "100"]);
        assert_eq!(whole(4700.0, 4), ["0", "2,000", "4,000", "6,000"]);
        assert_eq!(whole(0.0, 4), ["0", "0.1"]);
    }
}
