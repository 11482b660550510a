//! Collections, page by page: the next link is followed as it came, and never to another host.

use serde_json::Value;
use url::Url;

use super::call::{Answer, Call};
use super::{GraphClient, unreadable};
use crate::graph::error::GraphError;

/// A collection that needs more pages than this is given up.
pub(super) const MOST_PAGES: usize = 10_000;

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
