#!/usr/bin/env python3
"""What trust data costs on its way: the real programs over mosquitto, through a wire that counts.

`tests/trust_figures.py [SECONDS] [PART ...]`, after `cargo build --release`, prints one line a figure with its bar and exits 1
where a bar is missed. Parts: joins, revocation, one-change, first-sync, resident; all of them where none is named. It idles for
SECONDS (600) with the trust link up. Wants Python 3 with `cryptography`, mosquitto and its clients; state lies in target/, on a
disk, and runtime directories on tmpfs as /run is.
"""
import base64, hashlib, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

from figures import BIN, ROOT, UNIT, figure, missed, public_keys

CHANGES = 5
HEARD = 1000
JOINS = 2000
SIGNING = ["--unsynchronized-clock", "--passphrase-file", "pass.txt", "--keys"]


def at_least(what, measured, bar, unit):
    if measured < bar:
        missed.append(what)
    print(f"{what:<44} {measured:>9.2f} {unit:<6} bar {bar:>4} {'MISSED' if measured < bar else 'holds'}", flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Broker:
    def __init__(self, place):
        self.port = free_port()
        (place / "broker.conf").write_text(
            f"user root\nallow_anonymous true\nlistener {self.port} 127.0.0.1\nset_tcp_nodelay true\nmax_queued_messages 0\n")
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", place / "broker.conf"], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Wire:
    """Forwards TCP, and knows how many octets and packets went and when the first came after `mark`."""
    def __init__(self, to):
        self.to, self.octets, self.packets, self.first = to, 0, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            down, _ = self.listener.accept()
            up = socket.create_connection(("127.0.0.1", self.to))
            for one, other in ((down, up), (up, down)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        try:
            while data := one.recv(1 << 20):
                self.first = self.first or time.monotonic()
                self.octets += len(data)
                self.packets += 1
                other.sendall(data)
        except OSError:
            pass
        other.close()

    def mark(self):
        self.octets = self.packets = 0
        self.first = None


class Farm:
    """A domain of this many peers on a broker."""
    def __init__(self, place, peers):
        self.place, self.broker = place, Broker(place)
        (place / "pass.txt").touch(0o600)
        (place / "pass.txt").write_text("correct horse battery\n")
        # Never in a git work tree, as target/ is.
        self.secret = pathlib.Path(tempfile.mkdtemp(prefix="edgeseal-keys-", dir="/dev/shm"))
        self.run("domain", "init", "farm", "--keys", self.secret / "keys", "--passphrase-file", "pass.txt")
        self.signing = [*SIGNING, self.secret / "keys"]
        self.run("domain", "broker", f"mqtt://127.0.0.1:{self.broker.port}")
        self.run("role", "add", "sensor")
        for topic in ("farm/{device}/#",):
            self.run("role", "grant", "sensor", "--publish", topic, "--audience", "domain", "--retained", "1d", "--lifetime", "1h")
        self.keys = public_keys(peers)

    def run(self, *words):
        done = subprocess.run([BIN / "edgeseal", *words], cwd=self.place, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"edgeseal {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def publish(self, *words):
        return self.run("publish", *self.signing, *words)

    def peers(self, role="sensor"):
        with open(self.place / "fleet.csv", "w") as fleet:
            fleet.write("id,x\n")
            fleet.writelines(f"peer-{n},{x}\n" for n, x in enumerate(self.keys))
        self.run("device", "add", "--csv", "fleet.csv", "--role", role)

    def stop(self):
        self.broker.stop()
        shutil.rmtree(self.secret, ignore_errors=True)


class Agent:
    def __init__(self, farm, name, more=""):
        self.farm, self.name = farm, name
        self.place = farm.place / name
        self.place.mkdir()
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="edgeseal-trust-", dir="/dev/shm"))
        (self.place / "config.toml").write_text(
            f'[agent]\nstate_directory = "{self.place}/state"\nruntime_directory = "{self.runtime}"\n'
            f'[clock]\nunsynchronized = "allow"\n{more}')
        self.process = None

    def run(self, *words):
        done = subprocess.run([BIN / "edgeseal-agent", "--config", self.place / "config.toml", *words],
                              cwd=self.farm.place, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"edgeseal-agent {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def enroll(self):
        self.run("init")
        self.run("identity", "request", "--device", self.name, "-o", f"{self.name}.request")
        self.farm.run("device", "add", self.name, "--request", f"{self.name}.request", "--role", "sensor")
        self.farm.run("device", "approve", self.name, "--yes")

    def apply(self):
        shown = self.farm.run("inspect", "bundle.edgeseal")
        words = re.search(r"^root document 1: (.*)$", shown, re.M)[1]
        self.run("trust", "apply", "bundle.edgeseal", "--root", words)

    def start(self):
        self.lines = []
        self.process = subprocess.Popen([BIN / "edgeseal-agent", "--config", self.place / "config.toml", "run"],
                                        cwd=self.farm.place, env=os.environ | UNIT, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        wait("the agent answers", lambda: (self.runtime / "api.sock").exists() and self.ask("GET", "/v1/status"))

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line))

    def in_force(self, sequence):
        """When it said that this sequence is in force."""
        said = lambda: [at for at, line in self.lines if "trust bundle" in line and f"sequence {sequence}" in line]
        wait(f"sequence {sequence} at {self.name}", lambda: bool(said()), 300)
        return said()[0]

    def ask(self, verb, path, body=None):
        body = b"" if body is None else json.dumps(body).encode()
        head = (f"{verb} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n")
        with socket.socket(socket.AF_UNIX) as stream:
            try:
                stream.connect(str(self.runtime / "api.sock"))
            except OSError:
                return None
            stream.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: stream.recv(65536), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def cpu_ms(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def proc(self, file, field):
        text = pathlib.Path(f"/proc/{self.process.pid}/{file}").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1])

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        shutil.rmtree(self.runtime, ignore_errors=True)


def wait(what, condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"not in {seconds} s: {what}")
        time.sleep(0.01)


def upstream(port):
    return f'[[gateway.upstream]]\nname = "main"\nurl = "mqtt://127.0.0.1:{port}"\n'


def hundred_thousand(place):
    """One device changed among 100,000."""
    farm = Farm(place, 100_000)
    wire = Wire(farm.broker.port)
    agent = Agent(farm, "sensor", upstream(wire.port))
    try:
        agent.enroll()
        farm.peers()
        farm.publish("--to", "bundle.edgeseal")
        agent.apply()
        farm.publish("--again")
        agent.start()
        wait("the link is up", lambda: agent.ask("GET", "/v1/status")["trust_link"]["connected"])
        time.sleep(3)
        octets, took, cpu, published = [], [], [], []
        for change in range(CHANGES):
            farm.run("device", "suspend", f"peer-{change}", "--no-publish")
            wire.mark()
            before, began = agent.cpu_ms(), time.monotonic()
            farm.publish()
            published.append(time.monotonic() - began)
            in_force = agent.in_force(change + 2)
            took.append((in_force - wire.first) * 1e3)
            time.sleep(1)
            octets.append(wire.octets / 1e3)
            cpu.append(agent.cpu_ms() - before)
        name = "one of 100,000 changed: "
        figure(name + "network", max(octets), 100, "KB")
        figure(name + "received to in force", statistics.median(took), 300, "ms")
        figure(name + "CPU of the agent", statistics.mean(cpu), 100, "ms")
        figure(name + "publish", statistics.median(published), 2, "s")
    finally:
        agent.stop()
        farm.stop()


def first_sync(place, idle_seconds):
    """10,000 devices, to an agent that knows only itself; then nothing happens."""
    farm = Farm(place, 10_000)
    wire = Wire(farm.broker.port)
    agent = Agent(farm, "sensor", upstream(wire.port))
    try:
        agent.enroll()
        farm.publish("--to", "bundle.edgeseal")
        agent.apply()
        farm.peers()
        farm.publish()
        wire.mark()
        agent.start()
        took = agent.in_force(2) - wire.first
        figure("first sync of 10,000 devices", took, 3, "s")
        figure("  resident at the most", agent.proc("status", "VmHWM") / 1024, 16, "MiB")
        time.sleep(30)
        wire.mark()
        written, began = agent.proc("io", "write_bytes"), time.monotonic()
        time.sleep(idle_seconds)
        written = agent.proc("io", "write_bytes") - written
        figure(f"{idle_seconds} s idle with the link up: written", written, 0, "octets")
        figure("  packets of both ways, a minute", wire.packets * 60 / (time.monotonic() - began), 2, "")
    finally:
        agent.stop()
        farm.stop()


def revocation(place):
    """From the return of `device revoke` to the last message that is let through, among 10,000 devices."""
    farm = Farm(place, 10_000)
    ports = {name: free_port() for name in ("sender", "taker")}
    listener = lambda name: (f'[[gateway.listener]]\nname = "apps"\naddress = "127.0.0.1:{ports[name]}"\n'
                             'publish = ["farm/{device}/#"]\nsubscribe = ["farm/#"]\n'
                             '[[rule]]\ntopic = "farm/+/state"\nkind = "retained"\naccept = ["message", "retained"]\n'
                             'max_age_seconds = 60\n')
    # The one that is cut off follows nothing: it goes on signing.
    thief = Agent(farm, "sender", upstream(farm.broker.port) + "[trust]\nlink = false\n" + listener("sender"))
    taker = Agent(farm, "taker", upstream(farm.broker.port) + listener("taker"))
    programs = []
    try:
        for agent in (thief, taker):
            agent.enroll()
        farm.peers()
        farm.publish("--to", "bundle.edgeseal")
        farm.publish("--again")
        for agent in (thief, taker):
            agent.apply()
            agent.start()
        wait("the link is up", lambda: taker.ask("GET", "/v1/status")["trust_link"]["connected"])
        time.sleep(2)
        mqtt = lambda tool, name, *words, **more: subprocess.Popen(
            [tool, "-p", str(ports[name]), "-q", "1", *words], text=True, bufsize=1, **more)
        taken = []
        subscriber = mqtt("mosquitto_sub", "taker", "-i", "stays", "-v", "-t", "farm/#", stdout=subprocess.PIPE)
        publisher = mqtt("mosquitto_pub", "sender", "-i", "sends", "-t", "farm/sender/x", "-l", stdin=subprocess.PIPE)
        programs += [subscriber, publisher]
        threading.Thread(target=lambda: taken.extend((time.monotonic(), line) for line in subscriber.stdout), daemon=True).start()
        mqtt("mosquitto_pub", "sender", "-r", "-t", "farm/sender/state", "-m", "retained").wait()
        # A session that waits with what it was sent, as a taker that is away.
        waits = ["-i", "waits", "-c", "-t", "farm/sender/x"]
        mqtt("mosquitto_sub", "taker", *waits, "-E").wait()
        ends = threading.Event()

        def send():
            number = 0
            while not ends.is_set():
                publisher.stdin.write(f"{number}\n")
                number += 1
                time.sleep(0.005)
        threading.Thread(target=send, daemon=True).start()
        judged = []

        def judge():
            while not ends.is_set():
                signed = thief.ask("POST", "/v1/sign", {"topic": "farm/sender/api", "payload_b64": "MQ=="})
                verdict = taker.ask("POST", "/v1/verify", {"token": signed["token"], "topic": "farm/sender/api", "payload_b64": "MQ=="})
                judged.append((time.monotonic(), verdict.get("verdict")))
        threading.Thread(target=judge, daemon=True).start()
        wait("messages and verdicts flow", lambda: len(taken) > 50 and any(what == "verified" for _, what in judged))
        late = [("queued messages handed on", waits), ("retained statements handed on", ["-i", "new", "-t", "farm/sender/state"])]

        def handed_on(words):
            program = mqtt("mosquitto_sub", "taker", *words, "-W", "3", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return len(program.communicate()[0].splitlines())
        # Before, both are: else nothing would be shown by their absence.
        for what, words in late:
            if not handed_on(words):
                sys.exit(f"no {what} before the revocation")
        time.sleep(1)
        farm.run("device", "revoke", "sender", "--yes", *farm.signing)
        returned = time.monotonic()
        time.sleep(3)
        ends.set()
        latest = lambda times: max(0, (max(times) - returned) * 1e3)
        figure("revoked: last verified in the API", latest(at for at, what in judged if what == "verified"), 1000, "ms")
        figure("revoked: last delivered by the gateway", latest(at for at, _ in taken), 1000, "ms")
        assert judged[-1][1] == "rejected" and judged[-1][0] > returned + 2, judged[-3:]
        for what, words in late:
            figure(f"revoked: {what}", handed_on(words), 0, "")
    finally:
        for program in programs:
            program.kill()
        for agent in (thief, taker):
            agent.stop()
        farm.stop()


def resident(place):
    """1,000 peers, each heard once, with the trust link up and two programs on the gateway."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    keys = [Ed25519PrivateKey.generate() for _ in range(HEARD)]
    farm = Farm(place, 0)
    farm.keys = [text(key.public_key().public_bytes_raw()) for key in keys]
    port = free_port()
    agent = Agent(farm, "sensor", upstream(farm.broker.port) +
                  f'[[gateway.listener]]\nname = "apps"\naddress = "127.0.0.1:{port}"\n'
                  'publish = ["farm/{device}/#"]\nsubscribe = ["farm/#"]\n')
    programs = []
    try:
        agent.enroll()
        farm.peers()
        farm.publish("--to", "bundle.edgeseal")
        farm.publish("--again")
        agent.apply()
        agent.start()
        wait("the link is up", lambda: agent.ask("GET", "/v1/status")["trust_link"]["connected"])
        time.sleep(12)  # what is older than the start and the leeway is refused
        mqtt = lambda tool, *words, **more: subprocess.Popen([tool, "-p", str(port), "-q", "1", *words], text=True, bufsize=1, **more)
        taker = mqtt("mosquitto_sub", "-t", "farm/#", stdout=subprocess.PIPE)
        sender = mqtt("mosquitto_pub", "-t", "farm/sensor/x", "-l", stdin=subprocess.PIPE)
        programs += [taker, sender]
        sender.stdin.write("first\n")
        taken = [taker.stdout.readline()]
        threading.Thread(target=lambda: taken.extend(taker.stdout), daemon=True).start()
        for number, key in enumerate(keys):
            topic = f"farm/peer-{number}/x"
            verdict = agent.ask("POST", "/v1/verify", {"token": token(key, f"peer-{number}", topic, b"21"), "topic": topic,
                                                       "payload_b64": base64.b64encode(b"21").decode()})
            if verdict.get("verdict") != "verified":
                sys.exit(f"not verified: {verdict}")
            if number % 10 == 0:
                sender.stdin.write(f"{number}\n")
        wait("all is taken", lambda: len(taken) > HEARD // 10)
        time.sleep(3)
        figure(f"{HEARD:,} peers heard, gateway and link: resident", agent.proc("status", "VmRSS") / 1024, 8, "MiB")
    finally:
        for program in programs:
            program.kill()
        agent.stop()
        farm.stop()


def text(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def jwk(key):
    core = {"crv": "Ed25519", "kty": "OKP", "x": text(key.public_key().public_bytes_raw())}
    return {**core, "kid": text(hashlib.sha256(compact(core)).digest())}


def token(key, device, topic, payload):
    """A message token for the whole domain."""
    now = int(time.time())
    header = {"alg": "EdDSA", "typ": "edgeseal-msg+jwt", "kid": jwk(key)["kid"]}
    claims = {"iss": "farm", "sub": device, "aud": "domain:farm", "iat": now, "exp": now + 60, "jti": "1.1.1", "top": topic,
              "phs": text(hashlib.sha256(payload).digest()), "tsq": 1}
    signed = f"{text(compact(header))}.{text(compact(claims))}"
    return f"{signed}.{text(key.sign(signed.encode()))}"


def joins(place):
    """Requests that wait at the broker when the registrar begins, until it has published them all."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    farm = Farm(place, 0)
    registrar = None
    try:
        farm.publish()
        farm.run("join", "create", "--role", "sensor", "--count", str(JOINS), "--out", farm.secret / "cards", *farm.signing)
        requests = []
        for number, card in enumerate(sorted((farm.secret / "cards").glob("**/*.json"))):
            card = json.loads(card.read_text())
            one_time = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(card["seed"] + "=="))
            key = Ed25519PrivateKey.generate()
            payload = text(compact({"format": 1, "domain": "farm", "device": f"new-{number}", "jwk": jwk(key),
                                    "join": card["token"], "one_time": jwk(one_time)}))
            signatures = []
            for signer in (key, one_time):
                head = text(json.dumps({"alg": "EdDSA", "typ": "edgeseal-request+json", "kid": jwk(signer)["kid"]},
                                       separators=(",", ":")).encode())
                signatures.append({"protected": head, "signature": text(signer.sign(f"{head}.{payload}".encode()))})
            requests.append((jwk(key)["kid"], compact({"payload": payload, "signatures": signatures})))
        if len(requests) != JOINS:
            sys.exit(f"{len(requests)} join files of {JOINS}")
        feed(farm.broker.port, [(f"edgeseal/farm/request/{kid}", request) for kid, request in requests])
        answers = subprocess.Popen(["mosquitto_sub", "-p", str(farm.broker.port), "-q", "1", "-t", "edgeseal/farm/answer/+"],
                                   stdout=subprocess.PIPE, text=True)
        approved = []
        threading.Thread(target=lambda: approved.extend(time.monotonic() for line in answers.stdout if '"approved"' in line),
                         daemon=True).start()
        time.sleep(1)
        began = time.monotonic()
        registrar = subprocess.Popen([BIN / "edgeseal", "registrar", "serve", *farm.signing], cwd=place,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait("all are approved", lambda: len(approved) >= JOINS, 300)
        at_least("join requests, from exec to the last answer", JOINS / (approved[-1] - began), 500, "/s")
        answers.kill()
    finally:
        if registrar:
            registrar.terminate()
            registrar.wait(30)
        farm.stop()


def feed(port, messages):
    """Retained, by MQTT 3.1.1 at QoS 1; returns when all are acknowledged."""
    def packet(first, body):
        length, digits = len(body), b""
        while True:
            length, digit = divmod(length, 128)
            digits += bytes([digit | (128 if length else 0)])
            if not length:
                return bytes([first]) + digits + body
    string = lambda octets: len(octets).to_bytes(2, "big") + octets
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(packet(0x10, string(b"MQTT") + b"\x04\x02\x00\x3c" + string(b"feed")))
        reader = stream.makefile("rb")
        reader.read(4)
        for number, (topic, payload) in enumerate(messages):
            stream.sendall(packet(0x33, string(topic.encode()) + (number % 65535 + 1).to_bytes(2, "big") + payload))
            reader.read(4)


if __name__ == "__main__":
    os.environ |= {"NO_COLOR": "1"}
    for name in [name for name in os.environ if name.startswith("EDGESEAL_")]:
        del os.environ[name]
    (ROOT / "target").mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="trust-figures-", dir=ROOT / "target"))
    words = sys.argv[1:]
    seconds = int(words.pop(0)) if words and words[0].isdigit() else 600
    parts = {"joins": joins, "revocation": revocation, "one-change": hundred_thousand,
             "first-sync": lambda place: first_sync(place, seconds), "resident": resident}
    try:
        for name in words or parts:
            place = directory / name
            place.mkdir()
            parts[name](place)
    finally:
        shutil.rmtree(directory)
    sys.exit(1 if missed else 0)
