//! A machine in a directory: configuration, state, and the agent that runs there.

use crate::http::{self, PATIENCE, Reply};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Place {
    directory: TempDir,
}

/// What a verb said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

pub(crate) struct Daemon {
    child: Option<Child>,
    notified: UnixDatagram,
    socket: PathBuf,
    log: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A place with more configuration than the least.
    pub(crate) fn with(more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        // Other users must be able to come as far as the socket.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let place = Self { directory };
        place.configure(more);
        place
    }

    pub(crate) fn configure(&self, more: &str) {
        let path = self.path();
        let text = format!(
            "[agent]\nstate_directory = {:?}\nruntime_directory = {:?}\ndangerous_volatile_state = true\n\
             [clock]\nunsynchronized = \"allow\"\nleeway_seconds = 0\n[api]\nsocket_mode = \"0666\"\nrequest_timeout_seconds = 1\n{more}",
            path.join("state"),
            path.join("run"),
        );
        fs::write(path.join("config.toml"), text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("run/api.sock")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_edgeseal-agent");
        let other = std::env::var_os("EDGESEAL_BENCH_AGENT");
        self.command_of(
            Path::new(&other.unwrap_or_else(|| program.into())),
            arguments,
        )
    }

    /// As [`Place::command`], of a copy of the program.
    pub(crate) fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("EDGESEAL_CONFIG", self.path().join("config.toml"))
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn say(&self, arguments: &[&str]) -> Said {
        self.say_with(arguments, b"")
    }

    pub(crate) fn say_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).ok();
        let output = child.wait_with_output().unwrap();
        let blank_at_an_end = output.stdout.windows(2).any(|pair| pair == b" \n");
        assert!(
            !blank_at_an_end,
            "{:?}",
            String::from_utf8_lossy(&output.stdout)
        );
        Said {
            exit: output.status.code().expect("not ended by a signal"),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the agent and returns when it says that it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let notify = self.path().join("notify.sock");
        fs::remove_file(&notify).ok();
        let notified = UnixDatagram::bind(&notify).unwrap();
        notified.set_read_timeout(Some(PATIENCE)).unwrap();
        let log = self.path().join("log");
        let child = self
            .command(&["run"])
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap(),
            )
            .spawn()
            .unwrap();
        let mut daemon = Daemon {
            child: Some(child),
            notified,
            socket: self.socket(),
            log,
        };
        daemon.expect("READY=1");
        daemon
    }
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon {
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        http::get(&self.socket, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        http::post(&self.socket, path, body)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the service manager would hear this.
    pub(crate) fn expect(&mut self, word: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let count = match self.notified.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) => panic!("no {word}: {error}\n{}", self.log()),
            };
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.lines().any(|line| line == word) {
                return text;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self, at_most: Duration) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("it did not end in {at_most:?}\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        assert!(self.wait(PATIENCE).success());
    }

    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait(PATIENCE);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Sends octets to the socket as another user; nothing where this one may not become another.
pub(crate) fn as_user(place: &Place, uid: u32, octets: &[u8]) -> Option<Reply> {
    if !geteuid().is_root() {
        return None;
    }
    let program = place.path().join("other-user");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(program);
    command
        .args(["place::client_of_another_user", "--exact", "--nocapture"])
        .env(OTHER_USERS_SOCKET, place.socket())
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = loop {
        match command.spawn() {
            // A child of another test still holds the copy open, between fork and exec.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            spawned => break spawned.unwrap(),
        }
    };
    child.stdin.take().unwrap().write_all(octets).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let hex = text.split(MARK).nth(1).expect("an answer").trim();
    let octets = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    Some(Reply::parse(&octets).unwrap())
}

/// Not a test of its own: what [`as_user`] runs.
#[test]
fn client_of_another_user() {
    let Some(socket) = std::env::var_os(OTHER_USERS_SOCKET) else {
        return;
    };
    let mut request = Vec::new();
    std::io::stdin().read_to_end(&mut request).unwrap();
    let mut stream = http::connect(Path::new(&socket));
    stream.write_all(&request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    println!("{MARK}{}{MARK}", data_encoding::HEXLOWER.encode(&answer));
}

const OTHER_USERS_SOCKET: &str = "OTHER_USERS_SOCKET";
const MARK: &str = "=====";
