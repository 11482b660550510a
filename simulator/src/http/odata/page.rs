//! One page out of many rows: filter, order, skip, top, and where the next page starts.

use std::cmp::Ordering;

use super::super::answer::GraphError;
use super::Options;

/// What paging needs to know of an entity.
pub(crate) trait Row {
    /// Its place in the natural order; never reused, so that paging survives deletes.
    fn position(&self) -> u64;
    /// The value of a property, for `$filter` and `$orderby`.
    fn text(&self, name: &str) -> Option<String>;
}

/// One page.
pub(crate) struct Paged<T> {
    pub(crate) rows: Vec<T>,
    /// How many rows there are on all pages together, whatever `$top` and `$skip` say.
    pub(crate) total: u64,
    /// The skip token of the next page, if there is one.
    pub(crate) next: Option<String>,
}

/// Makes a skip token look unlike a number, so that nobody counts with it.
const PREFIX: &str = "after-";

/// Where a page starts: after the row at `position`; if that is gone from an ordered list, after so many rows.
#[derive(Clone, Copy)]
pub(super) struct SkipToken {
    position: u64,
    passed: usize,
}

impl SkipToken {
    pub(super) fn read(text: &str) -> Result<Self, GraphError> {
        let found = text.strip_prefix(PREFIX).and_then(|rest| {
            let (position, passed) = rest.split_once('.').unwrap_or((rest, "0"));
            let position = u64::from_str_radix(position, 16).ok()?;
            Some(Self { position, passed: usize::from_str_radix(passed, 16).ok()? })
        });
        let wrong =
            "The query option $skiptoken is not one this service wrote. Follow @odata.nextLink as it is.";
        found.ok_or_else(|| GraphError::query_option(wrong))
    }
}

/// Cuts a page out of the rows, which come in their natural order. `$top` is the size of a page, up to `largest`.
pub(crate) fn page<T: Row>(mut rows: Vec<T>, options: &Options, largest: usize) -> Paged<T> {
    if let Some(filter) = &options.filter {
        rows.retain(|row| filter.passes(row));
    }
    rows.sort_by(|left, right| compare(left, right, &options.order));
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let start = options.after.map_or(options.skip, |token| start(&rows, token, !options.order.is_empty()));
    let largest = largest.max(1);
    let size = options.top.map_or(largest, |top| top.min(largest));
    let more = rows.len().saturating_sub(start) > size;
    let rows: Vec<T> = rows.into_iter().skip(start).take(size).collect();
    let last = rows.last().filter(|_| more);
    let next = last.map(|last| format!("{PREFIX}{:x}.{:x}", last.position(), start + size));
    Paged { rows, total, next }
}

fn start<T: Row>(rows: &[T], token: SkipToken, ordered: bool) -> usize {
    if ordered {
        let place = rows.iter().position(|row| row.position() == token.position);
        return place.map_or(token.passed, |place| place + 1);
    }
    rows.iter().take_while(|row| row.position() <= token.position).count()
}

/// No value comes before any value (OData: `$orderby`); equal rows keep their natural order.
fn compare<T: Row>(left: &T, right: &T, order: &[(&'static str, bool)]) -> Ordering {
    let each = order.iter().map(|(name, descending)| {
        let ordering = left.text(name).cmp(&right.text(name));
        if *descending { ordering.reverse() } else { ordering }
    });
    each.fold(Ordering::Equal, Ordering::then).then(left.position().cmp(&right.position()))
}
