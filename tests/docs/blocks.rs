//! The blocks of YAML in a page; also for the tests that show them to an API server.

/// Their texts, in order.
pub fn yaml(page: &str) -> impl Iterator<Item = &str> {
    page.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next())
}
