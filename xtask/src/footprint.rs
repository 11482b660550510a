//! What a process takes of the machine, read from `/proc`. Linux only; starts and ends nothing.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// Of one process, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Footprint {
    /// Memory that is in RAM (resident set), in KiB.
    pub memory_kib: u64,
    /// What of that is the process's own: heap and stacks, without pages of the program's file, in KiB.
    pub private_kib: u64,
    /// Open files, sockets included.
    pub open_files: usize,
    /// Threads.
    pub threads: u64,
    /// Time on a processor since the start, user and system, in milliseconds.
    pub cpu_ms: u64,
}

/// Of the process with this id.
///
/// # Errors
///
/// When there is no such process, or it belongs to somebody else.
pub fn of(process: u32) -> Result<Footprint> {
    let read = |file: &str| {
        let path = format!("/proc/{process}/{file}");
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let status = read("status")?;
    let memory_kib = field(&status, "VmRSS:").context("/proc does not tell VmRSS")?;
    let private_kib = field(&status, "RssAnon:").context("/proc does not tell RssAnon")?;
    let threads = field(&status, "Threads:").context("/proc does not tell Threads")?;
    let cpu_ms = cpu_ms(&read("stat")?).context("/proc does not tell the time on a processor")?;
    let files = format!("/proc/{process}/fd");
    let open_files = fs::read_dir(&files).with_context(|| format!("cannot read {files}"))?.count();
    Ok(Footprint { memory_kib, private_kib, open_files, threads, cpu_ms })
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The fields `utime` and `stime` of `/proc/PID/stat`, which the kernel counts in hundredths of a second (`USER_HZ`) on
/// every architecture that Rust has a tier 1 target for.
fn cpu_ms(stat: &str) -> Option<u64> {
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_files_and_threads() {
        let own = of(std::process::id()).unwrap();
        assert!(own.memory_kib > 1000, "{own:?}");
        assert!((1..own.memory_kib).contains(&own.private_kib), "{own:?}");
        assert!(own.open_files > 2, "{own:?}");
        assert!(own.threads > 0, "{own:?}");
        assert!(of(u32::MAX).is_err());
    }

    #[test]
    fn the_name_of_a_program_may_hold_brackets() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(cpu_ms(stat), Some(2000));
    }
}
