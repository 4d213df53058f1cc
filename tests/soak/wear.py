#!/usr/bin/env python3
"""What an agent costs the card: idle it writes nothing, under traffic it syncs at most once in 10 s.

`cargo xtask wear [MINUTES]`; the agent has a gateway, the trust link and a program that is connected. Exit status 1 where a
figure misses its bar.
"""

import argparse
import signal
import subprocess
import sys
import time

import farm as farms

RATE = 50
BUSY_SECONDS = 60
SYNCS_A_SECOND = 1 / 10


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--programs", default=farms.ROOT / "target/release")
    given = arguments.parse_args()
    lacking = farms.lacks()
    if lacking:
        sys.exit(f"wear lacks {lacking}")
    from programs import Consumer, Publisher
    farm = farms.Farm(given.programs, ["alpha"])
    try:
        alpha = farm.devices[0]
        alpha.start()
        wait = lambda: alpha.status().get("trust_link", {}).get("connected")
        farms.wait_for("the trust link", wait)
        consumer = Consumer("reader", 5, alpha.port)
        time.sleep(5)  # its epoch, and the time that it notes at a start
        before = alpha.written()
        if not before:
            sys.exit(f"{farm.place} is on a file system that does not say what is written")
        time.sleep(given.minutes * 60)
        idle = alpha.written() - before
        publisher = Publisher("alpha", "writer", 5, 1, RATE, alpha.port)
        time.sleep(2)
        calls, sent = syncs(alpha, farm.place / "syncs", publisher)
        publisher.end()
        consumer.end()
    finally:
        farm.end()
    allowed = BUSY_SECONDS * SYNCS_A_SECOND
    missed = idle > 0 or calls > allowed or sent < BUSY_SECONDS * RATE * 0.9
    print(f"idle for {given.minutes:g} minutes: {idle} octets written (bar 0)")
    print(f"{sent / BUSY_SECONDS:.0f} messages a second for {BUSY_SECONDS} s: {calls} fsync (bar {allowed:.0f})")
    sys.exit(1 if missed else 0)


def syncs(device, record, publisher):
    """Calls that wait for the card, and messages acknowledged meanwhile."""
    command = ["strace", "-f", "-qq", "-o", record, "-e", "trace=fsync,fdatasync,msync,sync,syncfs,pwrite64", "-p", str(device.process.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(1)
    if tracer.poll() is not None:
        sys.exit("strace may not trace: install it, and where this runs in a container allow ptrace")
    before = publisher.acked()
    time.sleep(BUSY_SECONDS)
    sent = publisher.acked() - before
    tracer.send_signal(signal.SIGINT)
    tracer.wait(10)
    lines = record.read_text().splitlines()
    if not any("pwrite64(" in line for line in lines):
        sys.exit("strace saw nothing: the memory against replays, on tmpfs, is written with every message")
    return sum("sync" in line for line in lines), sent


main()
