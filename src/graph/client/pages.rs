//! Collections, page by page: the next link is followed as it came, and never to another host.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::call::{Answer, Call};
use super::{GraphClient, unreadable};
use crate::graph::error::{CallIds, GraphError};

/// A collection that needs more pages than this is given up.
const MOST_PAGES: usize = 10_000;
/// One with more items than this in all, too: they are kept until the last page has come.
const MOST_ITEMS: usize = 100_000;
/// And one that takes longer than this. Whoever waits for it holds a place in which others could have their turn.
const LONGEST: Duration = Duration::from_mins(3);

/// Where a collection goes on. It is opaque (Graph docs, "paging").
#[derive(Clone, PartialEq, Eq)]
pub struct NextPage(pub(super) Url);

impl std::fmt::Debug for NextPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NextPage")
    }
}

/// One page.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<NextPage>,
}

/// A way through the pages of a collection.
#[derive(Default)]
pub(super) struct Walk {
    /// In a fixed order, as everything in a run that is to be repeated.
    seen: BTreeSet<String>,
    items: usize,
}

impl Walk {
    /// Goes on from a page with so many items to the next one. None: it was the last.
    pub(super) fn on(
        &mut self,
        items: usize,
        next: Option<NextPage>,
    ) -> Result<Option<NextPage>, GraphError> {
        self.items += items;
        let Some(next) = next else { return Ok(None) };
        let leads_back = !self.seen.insert(next.0.as_str().to_owned());
        if leads_back || self.seen.len() >= MOST_PAGES || self.items > MOST_ITEMS {
            return Err(unreadable("a collection without an end", CallIds::default()));
        }
        Ok(Some(next))
    }
}

/// A whole collection, unless that takes too long.
pub(super) async fn whole<T>(walk: impl Future<Output = Result<T, GraphError>>) -> Result<T, GraphError> {
    let too_long = || unreadable("a collection that took longer than three minutes", CallIds::default());
    tokio::time::timeout(LONGEST, walk).await.unwrap_or_else(|_| Err(too_long()))
}

impl GraphClient {
    /// Asks for one page. What is not 200 is returned as it came.
    pub(super) async fn page(&self, call: Call<'_>) -> Result<Result<Page, Answer>, GraphError> {
        let answer = self.call(call).await?;
        if answer.status != http::StatusCode::OK {
            return Ok(Err(answer));
        }
        self.read_page(&answer).map(Ok)
    }

    pub(super) fn read_page(&self, answer: &Answer) -> Result<Page, GraphError> {
        let wrong = |what| unreadable(what, answer.ids.clone());
        let Some(Value::Object(mut page)) = answer.json() else {
            return Err(wrong("the list is not JSON"));
        };
        let Some(Value::Array(items)) = page.remove("value") else {
            return Err(wrong("a list without value"));
        };
        let next = match page.get("@odata.nextLink").and_then(Value::as_str) {
            None => None,
            Some(link) => {
                let next = Url::parse(link).map_err(|_| wrong("the next link is not a URL"))?;
                if next.origin() != self.collection()?.origin() {
                    return Err(wrong("the next link leads to another host"));
                }
                Some(NextPage(next))
            }
        };
        Ok(Page { items, next })
    }
}
