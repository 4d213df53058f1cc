"""A broker, an operator and devices with the real agents, as processes of this one: what the soak and the wear measure."""

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import figures
MOSQUITTO = "/usr/sbin/mosquitto"
SOME_PEERS = 200  # keys that are in the registry and do nothing: they are there to be revoked
PATIENCE = 60
RULES = '[[rule]]\ntopic = "site/#"\nlifetime_seconds = 600\n'


def lacks():
    """What must be installed first, if anything."""
    clients = ROOT / "target/gateway-clients/paho-2.1.0"
    if not (clients / "paho").is_dir():
        return "paho-mqtt: tests/gateway/clients/install.sh"
    if not os.path.exists(MOSQUITTO):
        return "mosquitto: apt-get install mosquitto"
    sys.path.insert(0, str(clients))
    return None


def free_port():
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        return at.getsockname()[1]


def wait_for(what, holds, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {patience} s: {what}")
        time.sleep(0.05)


class Broker:
    """Debian's mosquitto, which writes its sessions down every second."""

    def __init__(self, place):
        self.place, self.port = place, free_port()
        place.mkdir()
        (place / "mosquitto.conf").write_text(
            f"user root\nallow_anonymous true\nlistener {self.port} 127.0.0.1\nset_tcp_nodelay true\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {place}/\nautosave_interval 1\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.place / "mosquitto.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the broker listens", self.listens)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def send(self, sign):
        self.process.send_signal(sign)

    def end(self, sign=signal.SIGTERM):
        self.send(sign)
        self.process.wait(30)


class Clock:
    """The hands of a device's clock (`tests/clock/hands.c`): it is right and synchronized, or in 1970 and not."""

    def __init__(self, place):
        self.library, self.file = place / "hands.so", place / "hands"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, ROOT / "tests/clock/hands.c", "-ldl"], check=True)
        self.show(True)

    def show(self, is_right):
        octets = struct.pack("4q", 0 if is_right else -int(time.time()), 0, 0, int(is_right))
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(octets)

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "CLOCK_HANDS": str(self.file)}


class Device:
    """An enrolled device and its agent. What `/run` is for lies on tmpfs."""

    def __init__(self, farm, name):
        self.farm, self.name, self.port = farm, name, free_port()
        self.place = farm.place / name
        self.place.mkdir()
        self.runtime = farm.volatile / name
        self.config = self.place / "config.toml"
        self.clock = Clock(self.place)
        self.process, self.starts = None, 0
        self.config.write_text(f"""[agent]
state_directory = "{self.place}/state"
runtime_directory = "{self.runtime}"
[clock]
unsynchronized = "refuse"
[[gateway.upstream]]
url = "mqtt://127.0.0.1:{farm.broker.port}"
[[gateway.listener]]
name = "apps"
address = "127.0.0.1:{self.port}"
publish = ["site/{{device}}/#"]
subscribe = ["site/#"]
{RULES}""")

    def ask(self, *words):
        done = subprocess.run([self.farm.programs / "edgeseal-agent", "--json", "--config", self.config, *words],
                              cwd=self.farm.place, env=self.farm.environment | self.clock.environment(),
                              capture_output=True, text=True)
        return json.loads(done.stdout or "{}")

    def status(self):
        return self.ask("status")

    def start(self):
        log = open(self.place / "log", "a")
        self.process = subprocess.Popen([self.farm.programs / "edgeseal-agent", "--config", self.config, "run"],
                                        env=self.farm.environment | self.clock.environment(),
                                        stdout=subprocess.DEVNULL, stderr=log)
        self.starts += 1
        wait_for(f"{self.name} is ready", lambda: "uptime_seconds" in self.status())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def written(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
        raise SystemExit("/proc/PID/io says nothing of what was written")


class Farm:
    """Domain, broker and enrolled devices of these names; the agents do not run yet."""

    def __init__(self, programs, names):
        # What it started ends with it, also where somebody ends it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.programs = pathlib.Path(programs).resolve()
        if not (self.programs / "edgeseal-agent").exists():
            raise SystemExit(f"{self.programs} holds no edgeseal-agent: cargo build --release")
        (ROOT / "target").mkdir(exist_ok=True)
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="soak-", dir=ROOT / "target"))
        self.volatile = pathlib.Path(tempfile.mkdtemp(prefix="edgeseal-soak-", dir="/dev/shm"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGESEAL_")}
        self.environment = kept | figures.UNIT | {"NO_COLOR": "1"}
        self.broker = Broker(self.place / "broker")
        made = json.loads(self.operator(f"domain init farm --demo --no-passphrase --json --keys {self.volatile}/keys"))
        self.operator("role add node")
        self.operator("role grant node --publish site/{device}/# --audience domain --lifetime 1h")
        with open(self.place / "peers.csv", "w") as csv:
            csv.write("id,x\n")
            csv.writelines(f"peer-{number},{key}\n" for number, key in enumerate(some_keys(SOME_PEERS)))
        self.operator("device add --csv peers.csv --role node")
        self.operator(f"domain broker mqtt://127.0.0.1:{self.broker.port}")
        self.devices = [Device(self, name) for name in names]
        for device in self.devices:
            device.ask("init")
            device.ask("identity", "request", "--output", str(self.place / f"{device.name}.json"))
            self.operator(f"device add {device.name} --role node --request {device.name}.json")
            self.operator(f"device approve {device.name} --yes")
        self.signed("publish --to bundle")
        for device in self.devices:
            device.ask("trust", "apply", str(self.place / "bundle"), "--root", made["root_words"])
        self.sequence = 1

    def operator(self, line):
        done = subprocess.run([self.programs / "edgeseal", "--registry", "registry", *line.split()], cwd=self.place,
                              env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"edgeseal {line}: {done.stdout}{done.stderr}")
        return done.stdout

    def signed(self, line):
        return self.operator(f"{line} --keys {self.volatile}/keys --unsynchronized-clock")

    def end(self):
        for device in self.devices:
            device.stop()
        if self.broker.process.poll() is None:
            self.broker.send(signal.SIGCONT)
            self.broker.end()
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.volatile, ignore_errors=True)


def some_keys(count):
    """Canonical public keys in base64url: multiples of the base point that nobody needs to sign with."""
    return figures.public_keys(count)
