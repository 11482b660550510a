//! Micro-benchmarks: has criterion run them, and reads what it found. What they measure is in `benches/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::control_plane::output_of;
use xtask::repository_root;

use super::report::Run;

const FILE: &str = "micro.json";

/// All that were measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Micro {
    /// On what they ran. Older files do not know.
    #[serde(default)]
    pub(super) run: Option<Run>,
    pub(super) benchmarks: Vec<Benchmark>,
    #[serde(default)]
    pub(super) counts: Vec<Count>,
}

/// Something that is counted and not timed: allocations, bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) value: u64,
}

/// One of them: the median, and the ends of its 95 % confidence interval.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Benchmark {
    pub(super) name: String,
    pub(super) nanoseconds: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Runs them, and keeps what they found in the folder of the reports.
pub(super) fn run(output: &Path, run: Run) -> Result<()> {
    let kept = repository_root().join("target/criterion");
    // Of a benchmark that there is no more; there may be none.
    let _ = fs::remove_dir_all(&kept);
    let status = bench("steps").status().context("cannot run cargo")?;
    ensure!(status.success(), "`cargo bench` failed ({status}): see above");
    let told = output_of(&mut bench("allocations"))?;
    let counts = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut benchmarks = Vec::new();
    find(&kept, &mut benchmarks)?;
    benchmarks.sort_by(|one: &Benchmark, other| one.name.cmp(&other.name));
    let text = serde_json::to_string_pretty(&Micro { run: Some(run), benchmarks, counts })
        .context("cannot write JSON")?;
    fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))?;
    let path = output.join(FILE);
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn bench(name: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["bench", "--package", "edusync", "--bench", name]).current_dir(repository_root());
    command
}

/// What was kept; nothing if there is no file.
pub(super) fn load(folder: &Path) -> Result<Micro> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Micro::default());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))
}

/// Criterion keeps `NAME/new/benchmark.json` and `NAME/new/estimates.json`.
fn find(folder: &Path, found: &mut Vec<Benchmark>) -> Result<()> {
    let context = || format!("cannot read the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") {
            let json = |name: &str| -> Result<Value> {
                let file = path.join(name);
                let text =
                    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                Ok(serde_json::from_str(&text)?)
            };
            found.extend(read(&json("benchmark.json")?, &json("estimates.json")?));
        } else {
            find(&path, found)?;
        }
    }
    Ok(())
}

fn read(benchmark: &Value, estimates: &Value) -> Option<Benchmark> {
    let median = estimates.get("median")?;
    let at = |pointer: &str| median.pointer(pointer).and_then(Value::as_f64);
    Some(Benchmark {
        name: benchmark.get("full_id")?.as_str()?.to_owned(),
        nanoseconds: at("/point_estimate")?,
        from: at("/confidence_interval/lower_bound")?,
        to: at("/confidence_interval/upper_bound")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_criterion_keeps_is_read() {
        let interval = json!({"confidence_level": 0.95, "lower_bound": 9.0, "upper_bound": 12.0});
        let estimates = json!({"median": {"point_estimate": 10.0, "confidence_interval": interval}});
        let one = read(&json!({"full_id": "drift/same"}), &estimates).unwrap();
        assert_eq!((one.name.as_str(), one.nanoseconds, one.from, one.to), ("drift/same", 10.0, 9.0, 12.0));
        assert!(load(Path::new("/nowhere")).unwrap().benchmarks.is_empty());
    }
}
