//! Processes of a test: they end with it, and what they wrote is shown when it fails.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it with nothing on standard input; both outputs are appended to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap());
        Self::adopt(command.stderr(file).spawn().unwrap(), log)
    }

    /// Takes over a process whose errors go to `log`.
    pub(crate) fn adopt(child: Child, log: &Path) -> Self {
        let log = log.to_owned();
        Self { child, log }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// SIGTERM, and its end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "does not end: {}",
                self.said()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Ends it by a signal, whatever its exit code.
    pub(crate) fn end_by(&mut self, signal: Signal) {
        // Nobody has waited for it, so the id is still its own.
        if !self.has_ended() {
            self.signal(signal);
        }
        let _ = self.child.wait();
    }

    /// `kill -9`, and its end.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The end of what it wrote.
    pub(crate) fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn end(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end, which must be a good one, and gives its standard output.
pub(crate) fn finished(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The daemon's program, beside the operator's.
pub(crate) fn agent_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_edgeseal")).with_file_name("edgeseal-agent");
    let hint = "build the workspace: cargo build --workspace";
    assert!(program.exists(), "{} is missing; {hint}", program.display());
    program
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const POLL: Duration = Duration::from_millis(5);
const SHOWN_LINES: usize = 60;
