//! The page of the benchmarks and its pictures, written from the reports. Every number in it comes from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xtask::numbers::count;

use super::figures::{self, ORDER, number, shown};
use super::goals;
use super::micro::{self, Micro};
use super::picture;
use super::reckon::{growth, pages, peak};
use super::report::{self, Report, Run};
use super::scenario::Scenario;
use super::spent;

const PAGE: &str = "README.md";

/// Writes the page and a picture for each shape into the folder. Where the page is.
pub(super) fn write(folder: &Path) -> Result<PathBuf> {
    let reports = report::all(folder)?;
    for report in &reports {
        save(&folder.join(report.shape.file("svg")), &picture::draw(report).svg())?;
    }
    let page = folder.join(PAGE);
    save(&page, &text(&reports, &micro::load(folder)?))?;
    Ok(page)
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn text(reports: &[Report], micro: &Micro) -> String {
    let mut text = String::from(HEAD);
    let mut add = |part: String| text.push_str(&part);
    add(goals(reports, micro));
    add(machines(reports));
    add(METHOD.to_owned());
    add("\n## What was measured\n".to_owned());
    for scenario in ORDER {
        add(section(reports, scenario));
    }
    for report in reports {
        if let Some(record) = report.scenarios.get(&Scenario::Heap) {
            add(spent::memory(report, &record.keepers));
        }
        if let Some(record) = report.scenarios.get(&Scenario::Cpu) {
            add(spent::processor(report, &record.spenders));
        }
    }
    add(micros(micro));
    add(tenants());
    add(fleet(reports));
    add(pictures(reports));
    text
}

const HEAD: &str = "\
<!-- Written by `cargo xtask bench`. Change the program and not this page. -->
# Benchmarks

What edusync costs: calls of Graph, writes to Kubernetes, memory, processor time, waiting. Real were the operator, with the
rights of its chart, and the Kubernetes API server; Graph was played by the [simulator](../../simulator/README.md), over TLS.
No tenant of Microsoft's was measured: none answers this API any more.

    cargo xtask bench                                               # 1, 100 and 1,000 profiles, 3 and 300 in a tenant
    cargo xtask bench --profiles 10000
    cargo xtask bench --profiles 100 --per-tenant 3 --scenario no-expand
    cargo xtask bench --profiles 1000 --per-tenant 3 --scenario heap    # who keeps what memory
    cargo xtask bench --profiles 10000 --per-tenant 3 --scenario cpu    # where processor time goes; needs perf
    cargo xtask bench --profiles 1 --scenario idle --micro              # and single steps, with criterion
    cargo xtask bench --draw                                        # this page anew, from the reports beside it

`cargo xtask bench --help` says the rest.

## Goals

A goal is met when it is met by every number of profiles and tenants of which it speaks and that was measured, by the number as
it is shown here. The worst three are shown, worst first.

| Goal | Asked | Measured | |
|---|---|---|---|
";

const METHOD: &str = "
## How it is measured

The operator is not asked. Calls are counted by the simulator's log, writes by the API server's audit log, memory (resident)
and processor time by the kernel. Its environment is that of its image, and its flags are the defaults: a poll each 60 s; each
5 s while something is under way, and after a minute of that ever more seldom. But it may reach the simulator, it logs as text,
and the guard against many deletions is off, since one scenario deletes all. All profiles have a CSV source without files, so
nothing synchronizes. Rest is watched for minutes (`--rest`); what is said of an hour is calculated from that, without the token
that is renewed once an hour. People are eight clients at once, who apply as `kubectl apply --server-side` does.

Every scenario ran once for each column: how much two runs differ is not shown. Programs, API server, etcd and clients share
one machine, and etcd does not wait for its disk, which makes every write faster than in a cluster of yours, the bare client's
as well. So a time says little by itself, and stands beside the time of a bare client in the same run: it applies as many
resources, writes for each the versions of its status and the events that the operator wrote, and an annotation for each other
write of the operator's (a finalizer, the status of a connection), 16 at once, with the operator's own account and place in the
API server's queues. It decides nothing, checks nothing and calls no Graph. The operator's time ends when all profiles are
Ready, the bare client's when it has written the same; connections
that say only later how many use them are left out, and a few events that come after the last status count for the bare
client alone.
";

fn goals(reports: &[Report], micro: &Micro) -> String {
    let mut text = String::new();
    for goal in goals::judge(reports, micro) {
        let verdict = match goal.is_met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        let measured: Vec<String> =
            goal.measured.iter().take(3).map(|(place, value)| format!("{value} ({place})")).collect();
        row(&mut text, &[goal.title, &goal.asked, &measured.join("; "), verdict]);
    }
    text
}

pub(super) fn row(text: &mut String, cells: &[&str]) {
    // A write to a text does not fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// In one line.
pub(super) fn machine(run: &Run) -> String {
    let busy = run.busy_before_percent;
    let busy = busy.map(|percent| format!("; processors {} % busy before", number(percent, 0)));
    format!(
        "{}: {} cores ({}), {} GiB, Linux {}; commit {}, build: {}; the program {} MiB{}",
        run.date,
        run.cores,
        run.processor,
        number(run.memory_gib, 0),
        run.kernel,
        run.commit,
        run.build,
        number(run.binary_mib, 1),
        busy.unwrap_or_default(),
    )
}

/// Every machine and commit that the numbers are of.
fn machines(reports: &[Report]) -> String {
    let mut text = String::from("\nMeasured, in these runs:\n\n");
    for report in reports {
        let mut runs = BTreeMap::<String, Vec<&str>>::new();
        for (scenario, record) in &report.scenarios {
            runs.entry(machine(&record.run)).or_default().push(shown(*scenario).0);
        }
        for (run, scenarios) in runs {
            let of_run = report.scenarios.values().filter(|record| machine(&record.run) == run);
            let minutes: f64 = of_run.map(|record| record.seconds / 60.0).sum();
            let took = number(minutes, 0);
            let scenarios = scenarios.join("; ");
            let _ = writeln!(text, "- {} ({scenarios}), {took} min: {run}", report.shape.short());
        }
    }
    text.push_str(
        "\nWhere processors were busy before, the machine did other work: then times, and what depends on them, as lists while \
         a burst lasts, are too large.\n",
    );
    text
}

fn section(reports: &[Report], scenario: Scenario) -> String {
    let with: Vec<&Report> =
        reports.iter().filter(|report| report.scenarios.contains_key(&scenario)).collect();
    if with.is_empty() {
        return String::new();
    }
    let (title, figures) = shown(scenario);
    let mut text = format!("\n### {title}\n\n");
    let heads: Vec<String> = with.iter().map(|report| report.shape.short()).collect();
    let mut cells = vec!["Profiles in tenants"];
    cells.extend(heads.iter().map(String::as_str));
    row(&mut text, &cells);
    let _ = writeln!(text, "|---|{}", "---:|".repeat(heads.len()));
    for figure in figures {
        let values: Vec<String> = with
            .iter()
            .map(|report| report.figure(figure.name).map_or(String::new(), |it| number(it, figure.digits)))
            .collect();
        if values.iter().all(String::is_empty) {
            continue;
        }
        let unit = if figure.unit.is_empty() { String::new() } else { format!(" ({})", figure.unit) };
        let title = format!("{}{unit}", figure.title);
        let mut cells = vec![title.as_str()];
        cells.extend(values.iter().map(String::as_str));
        row(&mut text, &cells);
    }
    text
}

fn micros(micro: &Micro) -> String {
    if micro.benchmarks.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Single steps\n\n`cargo bench` measures them with criterion, on values alone: no network, no cluster. Median, and its \
         95 % confidence interval.\n\n| Step | Time | From | To |\n|---|---:|---:|---:|\n",
    );
    for one in &micro.benchmarks {
        row(&mut text, &[&one.name, &time(one.nanoseconds), &time(one.from), &time(one.to)]);
    }
    if let Some(run) = &micro.run {
        let _ = writeln!(text, "\nMeasured: {}", machine(run));
    }
    if !micro.counts.is_empty() {
        text.push_str("\nCounted, not timed:\n\n| What | |\n|---|---:|\n");
    }
    for one in &micro.counts {
        let shown = format!("{} {}", number(xtask::numbers::number(one.value), 0), one.unit);
        row(&mut text, &[&one.name, &shown]);
    }
    text
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{} ns", number(ns, 0)),
        ns if ns < 1e6 => format!("{} µs", number(ns / 1e3, 1)),
        ns => format!("{} ms", number(ns / 1e6, 2)),
    }
}

/// What polling costs a tenant: a calculation.
fn tenants() -> String {
    let mut text = String::from(
        "\n## What it means for your tenant\n\n\
         A tenant at rest costs one list an interval, however many profiles it has: one call for each page of 100 (that is \
         the simulator's page; Microsoft documents none). `spec.graph.pollInterval` of a connection, or `--poll-interval`, sets \
         the interval. Calculated:\n\n\
         | Interval | Calls per tenant and day, 3 profiles | Per profile-hour | 300 profiles | Per profile-hour |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for (name, seconds) in [("60 s, the default", 60.0), ("5 min", 300.0), ("15 min", 900.0), ("1 h", 3600.0)]
    {
        let day = |profiles| 86_400.0 / seconds * count(pages(profiles));
        let hour = |profiles| day(profiles) / 24.0 / count(profiles);
        let cells = [number(day(3), 0), number(hour(3), 2), number(day(300), 0), number(hour(300), 2)];
        let mut all = vec![name];
        all.extend(cells.iter().map(String::as_str));
        row(&mut text, &all);
    }
    text.push_str(
        "\nOn top come a token an hour for each credential, a POST for each create, a PUT for each change, a DELETE and two looks \
         for each deletion, and lists 5 s apart for a minute, then ever more seldom, while something is under way. Where a list takes no `$expand`, each profile is \
         asked for its status every quarter of an hour besides: four calls per profile-hour.\n\n\
         Microsoft documents no limit of its own for synchronization profiles. What it documents for all of Graph is 130,000 \
         calls in 10 s for an application in all tenants together; 1,000 tenants at rest make 17 calls a second of those 13,000. \
         `--graph-requests-per-second` (50, and 200 at once) bounds what edusync sends to one tenant as one application.\n",
    );
    text
}

/// What the chart lets the operator have at most, in MiB.
const LIMIT_MIB: f64 = 256.0;

/// A fleet that was not measured: a calculation.
fn fleet(reports: &[Report]) -> String {
    const TENANTS: usize = 1_000;
    const EACH: usize = 100;
    let title = "\n## A fleet of 1,000 tenants and 100,000 profiles\n\n";
    let Some(growth) = growth(reports) else {
        return format!(
            "{title}Not calculated: for that the rest of as many profiles, 1,000 or more, with three and with more in a tenant \
             must have been measured, and the rest of fewer.\n"
        );
    };
    let mut text = format!(
        "{title}\
         Not measured but calculated, from the rests above: {} MiB and {} % of a core for an operator with nothing, {} KiB more for \
         each profile and {} KiB for each tenant; {} ms of processor time for a list and {} µs for each profile on it. One list a \
         minute of each tenant, 100 profiles in each, at rest:\n\n\
         | Operators | Tenants each | Memory each (MiB) | Processor time each (% of a core) | Graph calls a second, all together |\n\
         |---:|---:|---:|---:|---:|\n",
        number(growth.base_mib, 1),
        number(growth.base_cpu_percent, 2),
        number(growth.kib_per_profile, 1),
        number(growth.kib_per_tenant, 1),
        number(growth.ms_per_list, 2),
        number(growth.us_per_profile, 1),
    );
    for shards in [1, 4, 10] {
        let part = growth.part(TENANTS, EACH, shards, 60.0);
        let cells = [
            number(count(shards), 0),
            number(count(TENANTS / shards), 0),
            number(part.memory_mib, 0),
            number(part.cpu_percent, 1),
            number(part.calls_per_second * count(shards), 1),
        ];
        row(&mut text, &cells.each_ref().map(String::as_str));
    }
    let peak = peak(reports).unwrap_or(1.0);
    let fits = (LIMIT_MIB / peak - growth.base_mib) * 1024.0
        / (growth.kib_per_profile + growth.kib_per_tenant / 3.0);
    let _ = writeln!(
        text,
        "\nThe chart lets the operator have {} MiB (`resources.limits.memory`). A burst took up to {} times as much memory as the \
         rest after it; so by the same calculation about {} profiles fit, three in a tenant. With more, raise it.",
        number(LIMIT_MIB, 0),
        number(peak, 2),
        number((fits / 1_000.0).floor() * 1_000.0, 0),
    );
    text.push_str(
        "\nSeveral operators share a fleet by namespaces: each is a release of its own, which looks into its own \
         namespaces (`watchNamespaces` in the chart's values). No tenant may be served by two: names are unique within a tenant, and \
         each operator knows its own resources alone. An operator of some namespaces has a watch of each kind in each of them; that \
         is not in the calculation.\n",
    );
    text
}

fn pictures(reports: &[Report]) -> String {
    let shown: BTreeSet<Scenario> =
        reports.iter().flat_map(picture::shown).map(|(scenario, _)| scenario).collect();
    let letters: Vec<String> =
        shown.iter().map(|one| format!("{} {}", one.letter(), figures::shown(*one).0)).collect();
    let mut text = format!(
        "\n## Pictures\n\nThe operator as it is shipped, one scenario after the other, rest in green. Those that need a world of \
         their own, and those of another run, stand beside the others without having followed them. While the bare client works \
         the writes are its own.\n\n{}.\n",
        letters.join("; ")
    );
    for report in reports {
        let _ = write!(text, "\n![{}]({})\n", report.shape.title(), report.shape.file("svg"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_reports_is_a_page_that_promises_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let page = fs::read_to_string(write(folder.path()).unwrap()).unwrap();
        assert!(page.contains("not measured") && !page.contains("| met |"), "{page}");
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        assert_eq!([900.0, 1_500.0, 12_345_678.0].map(time), ["900 ns", "1.5 µs", "12.35 ms"]);
    }
}
