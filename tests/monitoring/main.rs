//! Alerts and dashboard of the chart: every query asks for metrics that exist, and every alert fires when it should, is
//! explained in a runbook, and is silent at rest.

#![cfg(test)]

mod queries;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::progress::Progress;
use xtask::tools::promtool;

const RULES: &str = "charts/edusync/files/monitoring/rules.yaml";
const DASHBOARD: &str = "charts/edusync/files/monitoring/dashboard.json";
const RULE_TESTS: &str = "tests/monitoring/rules.test.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

/// The alerts.
fn rules() -> Vec<Value> {
    let rules = yaml(RULES);
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().unwrap()
}

fn runbooks() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs/runbooks")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// `5m` as a page says it.
fn in_words(time: &str) -> String {
    let (number, unit) = time.split_at(time.len() - 1);
    let unit = if unit == "h" { "hour" } else { "minute" };
    format!("{number} {unit}{}", if number == "1" { "" } else { "s" })
}

/// Queries of a dashboard, wherever they stand: panels, rows, variables.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        // Which data source to ask is no query.
        Value::Object(members) if members.get("type").is_some_and(|kind| kind == "datasource") => {}
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "expr" || name == "query") {
                    Some(text) => found.push(text),
                    None => expressions(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn every_alert_asks_for_metrics_that_exist() {
    let rules = rules();
    assert!(rules.len() >= 15, "the alerts are found");
    for rule in &rules {
        let faults = queries::faults(rule["expr"].as_str().unwrap());
        assert!(faults.is_empty(), "{}: {faults:?}", name(rule));
    }
}

#[test]
fn every_panel_asks_for_metrics_that_exist_and_every_metric_has_its_panel() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 20, "the queries are found: {}", found.len());
    for expression in &found {
        let faults = queries::faults(expression);
        assert!(faults.is_empty(), "{expression}: {faults:?}");
    }
    for metric in edusync::metrics::table::ALL {
        assert!(found.iter().any(|query| query.contains(metric.name)), "{} is in no panel", metric.name);
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        if panel["type"] != "row" {
            assert!(panel["description"].is_string(), "{}: says what it is good for", panel["title"]);
        }
    }
}

#[test]
fn every_alert_says_what_is_wrong_and_leads_to_its_runbook() {
    let mut named = BTreeSet::new();
    for rule in rules() {
        let alert = name(&rule);
        assert!(named.insert(alert.to_owned()), "{alert} twice");
        assert!(alert.starts_with("Edusync"), "{alert}");
        assert!(rule["for"].is_string(), "{alert}: one bad moment is no alert");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        for sentence in ["summary", "description"] {
            let text = rule["annotations"][sentence].as_str().unwrap();
            assert!(text.ends_with('.'), "{alert}: {sentence} is a sentence");
        }
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        let page = format!("docs/runbooks/{alert}.md");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let row = format!("| [{alert}](runbooks/{alert}.md) | {severity} | ");
        let page_of_all = read("docs/monitoring.md");
        let when = page_of_all.lines().find_map(|line| line.strip_prefix(&row));
        let when = when.unwrap_or_else(|| panic!("docs/monitoring.md lacks {row}"));
        let lasting = format!(" | {} |", in_words(rule["for"].as_str().unwrap()));
        assert!(when.ends_with(&lasting), "{alert}: {when}");
        assert!(url.ends_with(&page), "{alert}: {url}");
        let text = read(&page);
        assert!(text.starts_with(&format!("# {alert}\n")), "{page}");
        for heading in ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(text.contains(&format!("\n{heading}\n\n")), "{page} lacks {heading}");
        }
        assert!(text.contains("\n    "), "{page}: the diagnosis has commands");
    }
    for page in runbooks() {
        let alert = page.file_stem().unwrap().to_str().unwrap();
        assert!(named.contains(alert), "there is no alert {alert}");
    }
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let tests = yaml(RULE_TESTS);
    let cases = tests["tests"].as_array().unwrap().iter().flat_map(|test| {
        let cases = test["alert_rule_test"].as_array().unwrap();
        cases.iter().map(|case| (case["alertname"].as_str().unwrap(), !case["exp_alerts"].is_null()))
    });
    let cases: BTreeSet<(&str, bool)> = cases.collect();
    for rule in rules() {
        for fires in [true, false] {
            assert!(cases.contains(&(name(&rule), fires)), "{} is not tested: {fires}", name(&rule));
        }
    }
}

#[test]
fn promtool_finds_no_fault_and_every_alert_fires_when_it_should() {
    let program = promtool(&Progress::new()).unwrap();
    let strictly = ["check", "rules", "--lint=all", "--lint-fatal", RULES];
    for arguments in [&strictly[..], &["test", "rules", RULE_TESTS]] {
        let output = Command::new(&program).args(arguments).current_dir(root()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    }
}
