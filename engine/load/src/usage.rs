//! What the process takes of the machine, as far as the system tells.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time up to now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// That of all threads of this process.
    pub(crate) process: Duration,
    /// That of all processes, and that with what was left idle, in ticks. Nothing where the system doesn't say, which Linux does.
    machine: Option<(u64, u64)>,
}

impl CpuTime {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
        let stat = fs::read_to_string("/proc/stat").ok();
        Self {
            process: Duration::new(seconds, nanos),
            machine: stat.and_then(|stat| machine(&stat)),
        }
    }

    /// The part of the machine's cores that all processes together took since `earlier`, up to 1.
    #[expect(clippy::cast_precision_loss, reason = "exact for some thousand years")]
    pub(crate) fn machine_share_since(&self, earlier: &Self) -> Option<f64> {
        let (busy, all) = self.machine?;
        let (busy_before, all_before) = earlier.machine?;
        let all = all.checked_sub(all_before).filter(|all| *all > 0)?;
        Some(busy.saturating_sub(busy_before) as f64 / all as f64)
    }
}

/// The ticks in which the cores worked, and all of them.
fn machine(stat: &str) -> Option<(u64, u64)> {
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests took is in the first two.
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks = ticks.split_whitespace().take(8);
    let ticks: Vec<u64> = ticks.map(str::parse).collect::<Result<_, _>>().ok()?;
    let all = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}

/// The most memory that the process held at once, as Linux tells it.
pub(crate) fn memory_bytes_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_idle_and_guests_count_once() {
        let stat = "cpu  10 20 30 400 50 6 7 8 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(machine(stat), Some((81, 531)));
        assert_eq!(machine("intr 5"), None);
        let at = |machine| CpuTime {
            machine,
            ..CpuTime::default()
        };
        let share = at(Some((81, 531))).machine_share_since(&at(Some((31, 431))));
        assert_eq!(share, Some(0.5));
        assert_eq!(at(None).machine_share_since(&at(None)), None);
        assert_eq!(
            at(Some((1, 2))).machine_share_since(&at(Some((1, 2)))),
            None
        );
    }
}
