//! As much of Markdown as the tests of the documents need: headings, links, code. Text in, parts out.

/// The anchors of a page, made from its headings as GitHub makes them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let plain = anchor(heading.trim_start_matches('#').trim());
        let taken = |anchor: &str| anchors.iter().any(|other| other == anchor);
        let numbered = (1..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|anchor| !taken(anchor));
        anchors.extend(free);
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Where the links of a page lead.
pub fn links(text: &str) -> Vec<String> {
    let targets = |line: &str| -> Vec<String> {
        line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
    };
    prose(text).flat_map(targets).collect()
}

/// What stands between backticks.
pub fn code_spans(text: &str) -> Vec<String> {
    let spans =
        |line: &str| -> Vec<String> { line.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    prose(text).flat_map(spans).collect()
}

/// The lines that are not within a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        within ^= is_fence;
        !within && !is_fence
    })
}
