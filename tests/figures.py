#!/usr/bin/env python3
"""Memory, readiness, first token, a cold key and idle writes of the real agent among 1,000 and 100,000 peers.

`tests/figures.py [SECONDS]`, after `cargo build --release`, prints one line a figure with its bar and exits 1 where a bar
is missed. It idles for SECONDS (600) with 1,000 peers. Wants Python 3 alone; state lies in target/, on a disk, and the
runtime directory on tmpfs as /run is. The cold key is that of `trust/examples/store_figures.rs`.
"""
import base64, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "target" / "release"
STARTS = 21
P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
BASE = (15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960)
# What the unit gives its process.
UNIT = dict(re.findall(r"^Environment=(\w+)=(.*)$", (ROOT / "systemd/edgeseal-agent.service").read_text(), re.M))
missed = []


def figure(what, measured, bar, unit):
    if measured > bar:
        missed.append(what)
    print(f"{what:<44} {measured:>9.2f} {unit:<6} bar {bar:>4} {'MISSED' if measured > bar else 'holds'}", flush=True)


def public_keys(count):
    """Multiples of the base point: canonical keys of prime order that nobody needs to sign with."""
    def add(a, b):
        (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
        a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
        c, d = 2 * t1 * t2 * D, 2 * z1 * z2
        e, f, g, h = b - a, d - c, d + c, b + a
        return e * f % P, g * h % P, f * g % P, e * h % P
    base = (*BASE, 1, BASE[0] * BASE[1] % P)
    point = add(base, base)
    for _ in range(count):
        point = add(point, base)
        inverse = pow(point[2], -1, P)
        x, y = point[0] * inverse % P, point[1] * inverse % P
        yield base64.urlsafe_b64encode((y | (x & 1) << 255).to_bytes(32, "little")).rstrip(b"=").decode()


def domain(place, runtime, peers):
    """A domain with this device and its peers, made by the operator's program and applied by the agent's."""
    def run(program, *words):
        done = subprocess.run([BIN / program, *words], cwd=place, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{program} {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout
    (place / "pass.txt").touch(0o600)
    (place / "pass.txt").write_text("correct horse battery\n")
    keys = ["--keys", str(runtime / "keys"), "--passphrase-file", "pass.txt"]
    run("edgeseal", "domain", "init", "farm", *keys)
    run("edgeseal", "role", "add", "sensor")
    run("edgeseal", "role", "grant", "sensor", "--publish", "farm/{device}/temp", "--audience", "domain")
    run("edgeseal-agent", "init")
    run("edgeseal-agent", "identity", "request", "--device", "sensor", "-o", "sensor.request")
    run("edgeseal", "device", "add", "sensor", "--request", "sensor.request", "--role", "sensor")
    run("edgeseal", "device", "approve", "sensor", "--yes")
    with open(place / "fleet.csv", "w") as fleet:
        fleet.write("id,x\n")
        fleet.writelines(f"peer-{n},{x}\n" for n, x in enumerate(public_keys(peers)))
    run("edgeseal", "device", "add", "--csv", "fleet.csv", "--role", "sensor")
    run("edgeseal", "publish", *keys, "--unsynchronized-clock")
    words = re.search(r"^root document 1: (.*)$", run("edgeseal", "inspect", "bundle.edgeseal"), re.M)[1]
    run("edgeseal-agent", "trust", "apply", "bundle.edgeseal", "--root", words)


class Agent:
    """The running program; knows when it said READY=1 and when its first token came, from before fork and exec."""
    def __init__(self, place, runtime):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(runtime / "notify"))
        notify.settimeout(60)
        environment = {**os.environ, **UNIT, "NOTIFY_SOCKET": str(runtime / "notify")}
        start = time.monotonic()
        self.process = subprocess.Popen([BIN / "edgeseal-agent", "run"], cwd=place, env=environment, stderr=subprocess.DEVNULL)
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            self.ready_ms = (time.monotonic() - start) * 1e3
            self.sign(runtime / "api.sock")
            self.token_ms = (time.monotonic() - start) * 1e3
        except BaseException:
            self.process.kill()
            raise
        finally:
            notify.close()
            os.unlink(runtime / "notify")

    def sign(self, path):
        body = json.dumps({"topic": "farm/sensor/temp", "payload_b64": "MjEuNA=="}).encode()
        head = f"POST /v1/sign HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(path))
            stream.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: stream.recv(65536), b""))
        if b'"token"' not in answer:
            raise SystemExit(f"nothing was signed: {answer!r}")

    def proc(self, file, field):
        text = pathlib.Path(f"/proc/{self.process.pid}/{file}").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1])

    def resident_mib(self):
        return self.proc("status", "VmRSS") / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def measure(peers, idle_seconds):
    (ROOT / "target").mkdir(exist_ok=True)
    place = pathlib.Path(tempfile.mkdtemp(prefix="figures-", dir=ROOT / "target"))
    runtime = pathlib.Path(tempfile.mkdtemp(prefix="edgeseal-figures-", dir="/dev/shm"))
    try:
        (place / "config.toml").write_text(
            f'[agent]\nstate_directory = "{place}/state"\nruntime_directory = "{runtime}"\n[clock]\nunsynchronized = "allow"\n')
        os.environ |= {"EDGESEAL_CONFIG": str(place / "config.toml"), "NO_COLOR": "1"}
        domain(place, runtime, peers)
        ready, token = [], []
        for start in range(STARTS):
            agent = Agent(place, runtime)
            try:
                ready.append(agent.ready_ms)
                token.append(agent.token_ms)
                if start == STARTS - 1:
                    time.sleep(2)
                    written = agent.proc("io", "write_bytes")
                    time.sleep(idle_seconds)
                    written = agent.proc("io", "write_bytes") - written
                    resident = agent.resident_mib()
            finally:
                agent.stop()
        name = f"{peers:,} peers: "
        if peers <= 1000:
            figure(name + "resident, idle", resident, 8, "MiB")
            figure(name + "first token after exec", statistics.median(token), 15, "ms")
            print(f"{name + '  the quickest of ' + str(STARTS):<44} {min(token):>9.2f} ms")
            figure(name + f"written in {idle_seconds} s of idling", written, 0, "octets")
        else:
            figure(name + "resident, idle", resident, 32, "MiB")
            figure(name + "READY=1 after exec", statistics.median(ready), 500, "ms")
    finally:
        shutil.rmtree(place)
        shutil.rmtree(runtime)


def cold_key(peers):
    done = subprocess.run(["cargo", "run", "-q", "--release", "-p", "edgeseal-trust", "--example", "store_figures", "--", str(peers)],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    number, unit = re.search(r"a cold key in\s+([\d.]+)(ns|µs|ms)", done.stdout).groups()
    figure(f"{peers:,} peers: a cold key", float(number) * {"ns": 1e-3, "µs": 1, "ms": 1e3}[unit], 20, "us")


if __name__ == "__main__":
    size = (BIN / "edgeseal-agent").stat().st_size / 2**20
    figure("edgeseal-agent, stripped", size, 4, "MiB")
    measure(100_000, 5)
    cold_key(100_000)
    measure(1_000, int(sys.argv[1]) if len(sys.argv) > 1 else 600)
    sys.exit(1 if missed else 0)
