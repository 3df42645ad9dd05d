//! Servers in processes of their own, and what a process took so far, as Linux tells it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// This very program, to be run in another mode, with the memory settings that the product's program has.
pub fn this_program() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env("MIMALLOC_PURGE_DELAY", "50");
    Ok(command)
}

/// A server that is this very program in another mode, in a process of its own, so that neither its CPU time nor its memory
/// counts as the caller's. It ends with this value.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    /// The server runs until this is closed.
    stdin: Option<ChildStdin>,
    /// What it said once it served: where.
    pub line: String,
}

impl Serving {
    /// Runs this program with `arguments`, with which it must call [`serve_until_closed`].
    pub fn spawn(arguments: &[&str]) -> Result<Self> {
        let mut child = this_program()?
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .ok_or("the server's output is missing")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            return Err("the server did not start".into());
        }
        Ok(Self {
            child,
            stdin,
            line: line.trim().to_owned(),
        })
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // There is nobody left to tell.
        drop(self.child.wait());
    }
}

/// Says `line` on the standard output and waits for the end of the standard input.
pub fn serve_until_closed(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// CPU time of all threads of this process.
pub fn process_cpu() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread. Steadier than the clock on the wall where others use the same cores.
pub fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// CPU time of all threads of process `id`, to the tick, those that ended included.
pub fn cpu(id: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th field behind it.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// Most memory that this process held at once.
pub fn peak_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    let kilobytes: u64 = kilobytes
        .ok_or("this system doesn't tell VmHWM")?
        .trim()
        .parse()?;
    Ok(kilobytes * 1024)
}
