//! What the system says of a process.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that ends with this.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// User and system time of processes, in microseconds (proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms).
pub(crate) fn cpu_us(processes: &[u32]) -> f64 {
    let ticks = |id: &u32| -> f64 {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    processes.iter().map(ticks).sum::<f64>() * 10_000.0
}

/// Resident memory, in KiB.
pub(crate) fn resident_kib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until somebody listens there.
pub(crate) fn await_port(port: u16) {
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "nobody listens on {port}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
