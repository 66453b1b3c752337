//! CPU time from the kernel: of a process, its threads and the machine.

use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time of all cores since the start of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Time spent working.
    pub(crate) busy: Duration,
    /// Time in which the hypervisor ran other machines.
    pub(crate) stolen: Duration,
}

/// User and system time of a process with all its threads, including ended threads, in ticks of 10 ms.
pub(crate) fn of_process(pid: u32) -> Duration {
    let stat = read(&format!("/proc/{pid}/stat"));
    // The second field is the program's name, which may hold spaces; utime and stime are the 14th and the 15th.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split(' ').skip(11).take(2).map(ticks).sum()
}

/// CPU time of the calling thread, in nanoseconds.
pub(crate) fn of_this_thread() -> Duration {
    running_time(&read("/proc/thread-self/schedstat"))
}

/// CPU time of this process's living threads by name, in nanoseconds.
pub(crate) fn of_threads() -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let path = thread.path();
        let file = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        *times.entry(file("comm").trim().to_owned()).or_default() += running_time(&file("schedstat"));
    }
    times
}

/// CPU time of the whole machine.
pub(crate) fn of_machine() -> Machine {
    let stat = read("/proc/stat");
    let times: Vec<Duration> = stat.lines().next().unwrap_or("").split_whitespace().skip(1).map(ticks).collect();
    // user nice system idle iowait irq softirq steal …
    let [user, nice, system, _, _, irq, softirq, steal, ..] = times[..] else {
        panic!("/proc/stat begins with {stat}")
    };
    Machine { busy: user + nice + system + irq + softirq, stolen: steal }
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load_averages() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The processor's name.
pub(crate) fn model() -> String {
    let info = read("/proc/cpuinfo");
    let line = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    line.trim_start_matches([' ', '\t', ':']).to_owned()
}

/// The number of cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn running_time(schedstat: &str) -> Duration {
    Duration::from_nanos(schedstat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn ticks(field: &str) -> Duration {
    Duration::from_millis(field.parse::<u64>().unwrap_or(0) * TICK_MS)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path} cannot be read ({error}); Linux is needed"))
}

/// `USER_HZ` is 100 on every Linux that Rust and librdkafka run on but Alpha.
pub(crate) const TICK_MS: u64 = 10;
