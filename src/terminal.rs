//! Who looks at what is printed?

use std::io::IsTerminal;

/// Colours are for a terminal that shows them, unless somebody asked for none (no-color.org).
#[must_use]
pub fn wants_colours(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !is_dumb
}
