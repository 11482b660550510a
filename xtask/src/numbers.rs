//! From counts and samples to the numbers that are shown. Pure.

/// A count that is to be drawn or divided: nothing here comes near the 52 bits that are exact.
#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
#[must_use]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// The same of a length.
#[must_use]
pub fn count(length: usize) -> f64 {
    number(u64::try_from(length).unwrap_or_default())
}

/// The value in the middle; 0 of none.
#[must_use]
pub fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

/// The smallest value that this share of all values does not exceed: 0.99 for the 99th percentile. 0 of none.
#[must_use]
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (count(values.len()) * share.clamp(0.0, 1.0)).ceil().max(1.0);
    let place = (1..=values.len()).find(|place| count(*place) >= rank);
    place.and_then(|place| values.get(place - 1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let rows = [
            (quantile(hundred.clone(), 0.99), 99.0),
            (quantile(hundred.clone(), 1.0), 100.0),
            (quantile(hundred, 0.0), 1.0),
            (quantile(vec![7.0], 0.99), 7.0),
            (quantile(Vec::new(), 0.5), 0.0),
            (median(vec![3.0, 1.0, 2.0]), 2.0),
        ];
        assert!(rows.iter().all(|(found, expected)| (found - expected).abs() < 1e-9), "{rows:?}");
    }
}
