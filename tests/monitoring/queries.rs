//! A query of Prometheus, held to the table of metrics: names, labels, and the words that stand for values.

use std::collections::BTreeSet;
use std::convert::Infallible;

use edusync::metrics::table::{ALL, Kind, Metric};
use promql_parser::label::Matcher;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

/// Labels that Prometheus puts on every target.
const OF_TARGETS: [&str; 4] = ["namespace", "job", "instance", "pod"];

/// What is wrong with a query.
pub fn faults(query: &str) -> Vec<String> {
    // As Grafana fills it in; what it makes of a variable is no business of ours.
    let query = query.replace("$__rate_interval", "5m").replace("$__range", "1h");
    let values = query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(','));
    let query = values.map_or(query.as_str(), |(selector, _)| selector);
    match parser::parse(query) {
        Err(error) => vec![error],
        Ok(tree) => {
            let mut check = Check::default();
            let Ok(_) = walk_expr(&mut check, &tree);
            check.faults()
        }
    }
}

#[derive(Default)]
struct Check {
    metrics: Vec<&'static Metric>,
    grouped: BTreeSet<String>,
    faults: Vec<String>,
}

impl Check {
    fn faults(mut self) -> Vec<String> {
        let known: BTreeSet<&str> =
            self.metrics.iter().flat_map(|m| m.labels.iter().copied()).chain(OF_TARGETS).collect();
        let has_buckets = self.metrics.iter().any(|metric| matches!(metric.kind, Kind::Histogram(_)));
        for label in &self.grouped {
            let exists = known.contains(label.as_str()) || (has_buckets && label == "le");
            if !exists {
                self.faults.push(format!("none of its metrics has the label {label}"));
            }
        }
        if self.metrics.is_empty() {
            self.faults.push("it asks for nothing".to_owned());
        }
        self.faults
    }

    fn group(&mut self, modifier: Option<&LabelModifier>) {
        if let Some(modifier) = modifier {
            self.grouped.extend(modifier.labels().labels.iter().cloned());
        }
    }

    fn selector(&mut self, selector: &VectorSelector) {
        let name = selector.name.clone().unwrap_or_default();
        let Some(metric) = metric(&name) else {
            return self.faults.push(format!("there is no metric {name:?}"));
        };
        self.metrics.push(metric);
        for matcher in &selector.matchers.matchers {
            if !metric.labels.contains(&matcher.name.as_str()) && !OF_TARGETS.contains(&matcher.name.as_str())
            {
                self.faults.push(format!("{name} has no label {}", matcher.name));
            }
            self.value(matcher);
        }
    }

    /// A word that does not exist would select nothing for ever.
    fn value(&mut self, matcher: &Matcher) {
        let values = matcher.value.split('|').filter(|value| !value.starts_with('$'));
        let reasons = include_str!("../../docs/troubleshooting.md");
        for value in values {
            let exists = match matcher.name.as_str() {
                // Every reason has its section.
                "reason" => reasons.contains(&format!("\n### {value}\n")),
                "type" => ["Ready", "Writable", "Stalled", "Reconciling", "Synchronized", "Drifted"]
                    .contains(&value),
                "kind" => ["EducationSyncProfile", "GraphConnection"].contains(&value),
                "result" => {
                    ["success", "requeue", "requeue_after", "conflict", "error", "abandoned"].contains(&value)
                }
                "status" => ["error", "validationError", "quarantined", "success", "paused"].contains(&value),
                "verb" => ["get", "list", "watch", "create", "update", "patch", "delete"].contains(&value),
                _ => true,
            };
            if !exists {
                self.faults.push(format!("the label {} is never {value}", matcher.name));
            }
        }
    }
}

fn metric(name: &str) -> Option<&'static Metric> {
    ALL.into_iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => ["_bucket", "_count", "_sum"]
            .iter()
            .any(|end| name.strip_suffix(end).is_some_and(|stem| stem == metric.name)),
        Kind::Counter | Kind::Gauge => metric.name == name,
    })
}

impl ExprVisitor for Check {
    type Error = Infallible;

    fn pre_visit(&mut self, tree: &Expr) -> Result<bool, Infallible> {
        match tree {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(range) => self.selector(&range.vs),
            Expr::Aggregate(aggregate) => self.group(aggregate.modifier.as_ref()),
            Expr::Binary(binary) => {
                self.group(binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref()));
            }
            // The visitor does not go into arguments.
            Expr::Call(call) => {
                for argument in &call.args.args {
                    let Ok(_) = walk_expr(self, argument);
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

#[test]
fn faults_are_found() {
    let good = [
        "sum by (kind) (rate(edusync_reconcile_duration_seconds_count{result=\"error\"}[5m])) > 5",
        "histogram_quantile(0.9, sum by (le) (rate(edusync_graph_request_duration_seconds_bucket[$__rate_interval])))",
        "label_values(edusync_leader, namespace)",
    ];
    for query in good {
        assert_eq!(faults(query), [] as [String; 0], "{query}");
    }
    for (query, fault) in [
        ("edusync_leaders", "there is no metric"),
        ("edusync_reconcile_duration_seconds", "there is no metric"),
        ("rate(edusync_graph_lists_total{result=\"x\"}[5m])", "has no label result"),
        ("sum by (name) (edusync_leader)", "none of its metrics has the label name"),
        ("sum by (le) (edusync_leader)", "none of its metrics has the label le"),
        ("edusync_profile_condition{reason=~\"Quarantined|Exploded\"}", "never Exploded"),
        ("edusync_leader ==", "invalid"),
        ("1 + 1", "asks for nothing"),
    ] {
        let found = faults(query);
        assert!(found.iter().any(|found| found.contains(fault)), "{query}: {found:?}");
    }
}
