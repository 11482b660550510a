//! OData's system query options as the simulator has them: reading, filtering, ordering, paging. It knows entities only
//! as rows with named texts; which names an entity has is said by the calls.

mod filter;
mod page;

use super::Incoming;
use super::answer::GraphError;
use filter::Filter;
use page::SkipToken;
pub(crate) use page::{Paged, Row, page};

/// What one call supports.
pub(crate) struct Shape {
    /// Options, without their `$`.
    pub(crate) options: &'static [&'static str],
    /// Properties for `$filter`.
    pub(crate) filter: &'static [&'static str],
    /// Properties for `$orderby`.
    pub(crate) order: &'static [&'static str],
    /// Properties for `$select`.
    pub(crate) select: &'static [&'static str],
    /// Navigation properties for `$expand`.
    pub(crate) expand: &'static [&'static str],
}

impl Shape {
    /// A call that takes no options.
    pub(crate) const NONE: Self = Self { options: &[], filter: &[], order: &[], select: &[], expand: &[] };
}

/// The query options of one request.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    pub(crate) count: bool,
    pub(crate) filter: Option<Filter>,
    /// Properties, each with whether it is descending.
    pub(crate) order: Vec<(&'static str, bool)>,
    /// Empty: everything.
    pub(crate) select: Vec<&'static str>,
    pub(crate) expand: Vec<&'static str>,
    after: Option<SkipToken>,
    /// The query as it was sent, without `$skiptoken`.
    sent: String,
}

/// The names of OData's system query options. On beta they may lack their `$` (Graph docs: use query parameters).
const SYSTEM_OPTIONS: [&str; 10] =
    ["count", "expand", "filter", "format", "orderby", "search", "select", "skip", "skiptoken", "top"];

/// Reads the query options of a request. Options the call does not have are refused, not ignored; options that are not
/// OData's belong to the caller and are ignored (OData: custom query options).
pub(crate) fn options(incoming: &Incoming<'_>, shape: &Shape) -> Result<Options, GraphError> {
    let mut options = Options::default();
    let mut seen: Vec<String> = Vec::new();
    for pair in incoming.query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = url::form_urlencoded::parse(pair.as_bytes()).next() else { continue };
        let bare = name.strip_prefix('$').unwrap_or(&name).to_owned();
        if bare == "skiptoken" && shape.options.contains(&"skiptoken") {
            options.after = Some(SkipToken::read(&value)?);
            continue;
        }
        let and = if options.sent.is_empty() { "" } else { "&" };
        options.sent = format!("{}{and}{pair}", options.sent);
        if bare.len() == name.len() && !SYSTEM_OPTIONS.contains(&bare.as_str()) {
            continue;
        }
        if !shape.options.contains(&bare.as_str()) {
            return Err(unsupported(&bare));
        }
        if seen.contains(&bare) {
            let message = format!("The query option '${bare}' must not be given more than once.");
            return Err(GraphError::query_option(message));
        }
        options.take(&bare, &value, shape)?;
        seen.push(bare);
    }
    Ok(options)
}

impl Options {
    /// Whether no page came before the one that is asked for.
    pub(crate) fn is_first_page(&self) -> bool {
        self.after.is_none()
    }

    fn take(&mut self, name: &str, value: &str, shape: &Shape) -> Result<(), GraphError> {
        match name {
            "top" => self.top = Some(whole("top", value)?),
            "skip" => self.skip = whole("skip", value)?,
            "count" => {
                self.count = value.parse().map_err(|_| {
                    GraphError::query_option("The query option $count must be 'true' or 'false'.")
                })?;
            }
            "filter" => self.filter = Some(Filter::read(value, shape.filter)?),
            "orderby" => self.order = order(value, shape.order)?,
            "select" if value.trim() == "*" => {}
            "select" => self.select = names("select", value, shape.select)?,
            "expand" => self.expand = names("expand", value, shape.expand)?,
            other => return Err(unsupported(other)),
        }
        Ok(())
    }

    /// `(id,displayName)`, what a context URL says about a selection.
    pub(crate) fn selection(&self) -> String {
        if self.select.is_empty() { String::new() } else { format!("({})", self.select.join(",")) }
    }

    /// Whether a member is in the answer.
    pub(crate) fn selects(&self, name: &str) -> bool {
        self.select.is_empty() || self.select.contains(&name)
    }

    /// The query of the next page: the options as they were sent, and where to go on.
    pub(crate) fn next_query(&self, token: &str) -> String {
        let and = if self.sent.is_empty() { "" } else { "&" };
        format!("{}{and}$skiptoken={token}", self.sent)
    }
}

fn unsupported(name: &str) -> GraphError {
    GraphError::query_option(format!("The query option '${name}' is not supported here."))
}

fn whole(name: &str, value: &str) -> Result<usize, GraphError> {
    value.parse().map_err(|_| {
        GraphError::query_option(format!("The query option ${name} must be a whole number, 0 or more."))
    })
}

/// A list of property names, each of which must be known.
fn names(option: &str, value: &str, known: &'static [&'static str]) -> Result<Vec<&'static str>, GraphError> {
    let one = |name: &str| {
        known.iter().copied().find(|known| *known == name.trim()).ok_or_else(|| {
            let message = format!(
                "The query option ${option} names '{}', which is not supported here. Supported: {}.",
                name.trim(),
                known.join(", ")
            );
            GraphError::query_option(message)
        })
    };
    value.split(',').map(one).collect()
}

fn order(value: &str, known: &'static [&'static str]) -> Result<Vec<(&'static str, bool)>, GraphError> {
    let one = |part: &str| {
        let mut words = part.split_ascii_whitespace();
        let name = names("orderby", words.next().unwrap_or_default(), known)?.into_iter().next();
        let descending = match (words.next(), words.next()) {
            (None | Some("asc"), None) => Some(false),
            (Some("desc"), None) => Some(true),
            _ => None,
        };
        name.zip(descending).ok_or_else(|| {
            GraphError::query_option(
                "The query option $orderby must be like 'displayName' or 'displayName desc'.",
            )
        })
    };
    value.split(',').map(one).collect()
}
