//! The figures of the process, as Linux tells them.
//!
//! Knows the files of `/proc` and the names that Prometheus's own libraries use. A figure that the
//! system does not tell is absent. Does not know the gateway.
//!
//! Sources: proc(5), on `stat`, `limits`, `status` and `auxv` of a process; getauxval(3)
//! for the type of the entry with the clock ticks; Prometheus, "Writing client libraries", "Process
//! metrics".

use std::fs;
use std::sync::OnceLock;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// `AT_CLKTCK`, the type of the entry with the clock ticks of a second.
const CLOCK_TICKS: usize = 17;
/// The places in `/proc/self/stat` behind the program's name, from 0.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

/// The figures of a moment.
#[derive(Debug, Default)]
pub(super) struct ProcessFigures {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    open_descriptors: Option<u64>,
    max_descriptors: Option<u64>,
    /// Since 1970.
    start: Option<f64>,
}

impl ProcessFigures {
    /// Reads the figures.
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ticks = ticks_per_second();
        let folder = fs::read_dir("/proc/self/fd").ok();
        // One of them is that of the folder itself.
        let open = folder.map(|entries| (entries.count() as u64).saturating_sub(1));
        Self {
            cpu_seconds: ticks.and_then(|ticks| cpu_seconds(&stat, ticks)),
            resident_bytes: resident_bytes(&status),
            open_descriptors: open,
            max_descriptors: max_descriptors(&limits),
            start: ticks.and_then(|ticks| start(&stat, ticks)),
        }
    }

    /// The figures as metrics. Their names have no prefix: monitors know them from every program.
    pub(super) fn registry(self) -> Registry {
        let mut registry = Registry::default();
        if let Some(seconds) = self.cpu_seconds {
            registry.register_with_unit(
                "process_cpu",
                "CPU time of the process, in user and system mode together",
                Unit::Seconds,
                ConstCounter::new(seconds),
            );
        }
        if let Some(bytes) = self.resident_bytes {
            registry.register_with_unit(
                "process_resident_memory",
                "Memory of the process that is in RAM",
                Unit::Bytes,
                ConstGauge::new(bytes),
            );
        }
        if let Some(descriptors) = self.open_descriptors {
            let help = "Open descriptors: files, sockets and others";
            registry.register("process_open_fds", help, ConstGauge::new(descriptors));
        }
        if let Some(descriptors) = self.max_descriptors {
            let help = "Descriptors that may be open at once";
            registry.register("process_max_fds", help, ConstGauge::new(descriptors));
        }
        if let Some(start) = self.start {
            registry.register_with_unit(
                "process_start_time",
                "Start of the process, since 1970",
                Unit::Seconds,
                ConstGauge::new(start),
            );
        }
        registry
    }
}

/// The clock ticks of a second. They do not change while the process runs.
fn ticks_per_second() -> Option<f64> {
    static TICKS: OnceLock<Option<f64>> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let entries = fs::read("/proc/self/auxv").ok()?;
        find_ticks(&entries).map(|ticks| ticks as f64)
    })
}

/// The clock ticks in a vector of pairs: a type and a value, each as wide as a pointer.
fn find_ticks(entries: &[u8]) -> Option<usize> {
    let (words, _) = entries.as_chunks::<{ size_of::<usize>() }>();
    let (pairs, _) = words.as_chunks::<2>();
    let mut pairs = pairs.iter().map(|pair| pair.map(usize::from_ne_bytes));
    let [_, ticks] = pairs.find(|[kind, _]| *kind == CLOCK_TICKS)?;
    (ticks > 0).then_some(ticks)
}

/// A number of `/proc/self/stat`. The program's name may hold blanks and brackets, so the places
/// are counted from its end.
fn number(stat: &str, place: usize) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(place)?.parse().ok()
}

fn cpu_seconds(stat: &str, ticks: f64) -> Option<f64> {
    Some((number(stat, USER_TIME)? + number(stat, SYSTEM_TIME)?) / ticks)
}

/// The start of the process, which the system tells as ticks since its own start.
fn start(stat: &str, ticks: f64) -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    let boot = *BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("btime "));
        line?.trim().parse().ok()
    });
    Some(boot? + number(stat, START_TIME)? / ticks)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: u64 = line?.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The soft limit; `None` where there is no limit.
fn max_descriptors(limits: &str) -> Option<u64> {
    let start = "Max open files";
    let line = limits.lines().find_map(|line| line.strip_prefix(start));
    line?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_name_of_the_program_moves_no_figure() {
        let fields: Vec<String> = (3..53).map(|field| (field * 100).to_string()).collect();
        let stat = format!("7 (a b) 1 (c)) {}\n", fields.join(" "));
        assert_eq!(cpu_seconds(&stat, 100.0), Some(14.0 + 15.0));
        assert_eq!(number(&stat, START_TIME), Some(2_200.0));
        for cut in ["", "7 (a", "7 (a) R 1 2"] {
            assert_eq!(cpu_seconds(cut, 100.0), None, "{cut}");
        }
    }

    #[test]
    fn figures_that_are_not_told_are_absent() {
        assert_eq!(
            resident_bytes("VmPeak: 1 kB\nVmRSS:\t  12 kB\n"),
            Some(12 << 10)
        );
        for status in [
            "",
            "VmRSS: many kB",
            "VmRSS: 12 MB",
            "VmRSS: 99999999999999999 kB",
        ] {
            assert_eq!(resident_bytes(status), None, "{status}");
        }
        let limits = |soft| format!("Max open files            {soft}   4096   files\n");
        assert_eq!(max_descriptors(&limits("1024")), Some(1024));
        assert_eq!(max_descriptors(&limits("unlimited")), None);
        assert_eq!(max_descriptors(""), None);
        let words = [6, 4096, CLOCK_TICKS, 250, 0, 0].map(usize::to_ne_bytes);
        assert_eq!(find_ticks(&words.concat()), Some(250));
        assert_eq!(find_ticks(&words.concat()[..40]), Some(250));
        assert_eq!(find_ticks(&words.concat()[..24]), None);
        assert_eq!(find_ticks(&[]), None);
        let text = ProcessFigures::default();
        assert!(format!("{:?}", text.registry()).find("process_").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_every_figure() {
        let figures = ProcessFigures::read();
        assert!(figures.cpu_seconds.is_some_and(|seconds| seconds >= 0.0));
        assert!(figures.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(figures.open_descriptors.is_some_and(|open| open >= 3));
        assert!(figures.max_descriptors > figures.open_descriptors);
        let now = jiff::Timestamp::now().as_second() as f64;
        let start = figures.start.unwrap();
        assert!(
            start <= now + 2.0 && start > now - 86_400.0,
            "{start}, {now}"
        );
    }
}
