#!/usr/bin/env python3
"""Traffic through the gateways of real agents, with a fault every few minutes.

`cargo xtask soak --hours 2`. Plain programs of MQTT 5 and 3.1.1 publish on two devices and subscribe on others; a line a
minute says what was sent, received, lost and doubled, how often an agent had to be started again, and what each holds. At the
end exit status 1 where a bar is missed:

- no agent ended or was started again, since no fault here ends one;
- resident memory grows by less than 50 KiB an hour, the slope over the last two thirds (of a run below an hour: 50 KiB at most);
- the descriptors of each are as many at the end as after the first third;
- no acknowledged message is lost but what a killed broker had not written down, or what a device that was suspended had under
  way, and none is handed on twice as new, as docs/gateway.md says.
"""

import argparse
import signal
import statistics
import sys
import time

import farm as farms

SLOPE_KIB_AN_HOUR = 50
DESCRIPTORS = 2
FAULT_EVERY = 120
STOPPED_SECONDS = 25
AUTOSAVED_SECONDS = 3  # of the broker, with the time that a write takes
UNDER_WAY_SECONDS = 3  # of a message between its signature and its judgement, at the most where all is well
DRAIN_SECONDS = 120
LEEWAY_SECONDS = 10  # of the agents, by default


def main():
    given = arguments()
    lacking = farms.lacks()
    if lacking:
        sys.exit(f"soak lacks {lacking}")
    farm = farms.Farm(given.programs, ["alpha", "beta", "gamma"])
    try:
        for device in farm.devices:
            device.start()
        time.sleep(LEEWAY_SECONDS + 2)  # what is sent so soon after a start counts as sent before
        soak = Soak(farm, given)
        soak.run()
        well = soak.judge()
    finally:
        farm.end()
    sys.exit(0 if well else 1)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--programs", default=farms.ROOT / "target/release")
    parser.add_argument("--fault-every", type=float, default=FAULT_EVERY, help="seconds")
    return parser.parse_args()


class Soak:
    def __init__(self, farm, given):
        from programs import Consumer, Publisher
        self.farm, self.given, self.began = farm, given, time.time()
        alpha, beta, gamma = farm.devices
        self.consumers = [Consumer("beta-5", 5, beta.port), Consumer("gamma-4", 4, gamma.port)]
        time.sleep(2)  # they have subscribed
        self.publishers = [
            Publisher("alpha", "alpha-5", 5, 1, 8, alpha.port),
            Publisher("alpha", "alpha-4", 4, 1, 5, alpha.port),
            Publisher("alpha", "alpha-two", 5, 2, 3, alpha.port),
            Publisher("gamma", "gamma-5", 5, 1, 3, gamma.port),
        ]
        self.samples = {device.name: [] for device in farm.devices}
        self.kills, self.suspensions, self.faults = [], [], []
        self.restarts = self.late = 0
        self.revoked = self.grants = 0
        self.obeys = self.clock_obeys()

    def clock_obeys(self):
        """Programs that ask the kernel past the C library have no clock that can be set from outside."""
        alpha = self.farm.devices[0]
        alpha.clock.show(False)
        time.sleep(1.5)
        obeys = alpha.status()["clock"] == "behind-floor"
        alpha.clock.show(True)
        if not obeys:
            print("the clock of these programs cannot be set from outside: no clock faults", flush=True)
        return obeys

    def run(self):
        faults = [self.program_is_cut, self.broker_restarts, self.revocation, self.network_stops, self.manifest_changes,
                  self.suspension, self.broker_is_killed, self.clock_is_lost]
        end = self.began + self.given.minutes * 60
        next_line, next_fault, number = self.began + 60, self.began + self.given.fault_every, 0
        while time.time() < end:
            time.sleep(1)
            self.watch()
            if time.time() >= next_fault and time.time() < end - DRAIN_SECONDS / 2:
                self.faults.append((time.time(), faults[number % len(faults)].__name__))
                faults[number % len(faults)]()
                number += 1
                next_fault = time.time() + self.given.fault_every
            if time.time() >= next_line:
                self.line()
                next_line += 60
        for publisher in self.publishers:
            publisher.stop()
        deadline = time.time() + DRAIN_SECONDS
        while time.time() < deadline and (self.unacked() or self.missing()):
            time.sleep(1)
        self.line()

    def watch(self):
        for device in self.farm.devices:
            if device.process.poll() is not None:
                self.restarts += 1
                print(f"agent of {device.name} ended with {device.process.returncode}: {device.place}/log", flush=True)
                device.start()
            self.samples[device.name].append((time.time(), device.resident_kib(), device.descriptors()))

    def program_is_cut(self):
        from programs import cut
        for program in [*self.publishers, *self.consumers]:
            cut(program.client)

    def broker_restarts(self):
        self.farm.broker.end()
        self.farm.broker.start()

    def broker_is_killed(self):
        from_then = time.time() - AUTOSAVED_SECONDS
        self.farm.broker.end(signal.SIGKILL)
        self.farm.broker.start()
        self.farm.operator("publish --again --all-shards")
        # Until every program has subscribed again nobody stands in the broker's books.
        time.sleep(10)
        self.kills.append((from_then, time.time()))

    def network_stops(self):
        self.farm.broker.send(signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        self.farm.broker.send(signal.SIGCONT)

    def manifest_changes(self):
        self.grants += 1
        self.farm.operator(f"role grant node --publish more/{self.grants}/# --audience domain")
        self.farm.signed(f"publish --to mqtt://127.0.0.1:{self.farm.broker.port}")
        self.arrives()

    def revocation(self):
        self.farm.signed(f"device revoke peer-{self.revoked} --yes")
        self.revoked = (self.revoked + 1) % farms.SOME_PEERS
        self.arrives()

    def suspension(self):
        """A device that publishes is suspended for a while: its programs keep what they have."""
        from_then = time.time() - UNDER_WAY_SECONDS
        self.farm.signed("device suspend gamma")
        self.arrives()
        time.sleep(10)
        self.farm.signed("device resume gamma")
        self.arrives()
        self.suspensions.append((from_then, time.time()))

    def clock_is_lost(self):
        """1970, and nobody vouches for it: the agent lets no program in until the time is right."""
        if self.obeys:
            alpha = self.farm.devices[0]
            alpha.clock.show(False)
            time.sleep(20)
            alpha.clock.show(True)

    def arrives(self):
        self.farm.sequence += 1
        def everywhere():
            places = [device.status().get("trust", {}).get("sequence") for device in self.farm.devices]
            return all(place == self.farm.sequence for place in places)
        deadline = time.monotonic() + farms.PATIENCE
        while not everywhere():
            if time.monotonic() > deadline:
                self.late += 1
                print(f"sequence {self.farm.sequence} is not everywhere after {farms.PATIENCE} s", flush=True)
                return
            time.sleep(0.2)

    def unacked(self):
        return sum(publisher.sent - publisher.acked() for publisher in self.publishers)

    def missing(self):
        """What was acknowledged and did not come to a consumer: consumer, publisher, number, when."""
        found = []
        for publisher in self.publishers:
            with publisher.lock:
                acked = dict(publisher.acked_at)
            for consumer in self.consumers:
                had = consumer.got[publisher.name]
                found += [(consumer.name, publisher.name, number, at) for number, at in acked.items() if number not in had]
        return found

    def tell_lost(self):
        """When what was lost had been acknowledged, by consumer and publisher, and the fault before."""
        spans = {}
        for consumer, publisher, _, at in self.missing():
            spans.setdefault((consumer, publisher), []).append(at)
        for (consumer, publisher), times in sorted(spans.items()):
            first, last = min(times), max(times)
            before = [name for began, name in self.faults if began <= first]
            print(f"  {publisher} to {consumer}: {len(times)}, acknowledged from {(first - self.began) / 60:.2f} to "
                  f"{(last - self.began) / 60:.2f} min, after {before[-1] if before else 'nothing'}", flush=True)

    def lost(self, settled):
        """Of what is missing, what is older than that; what a killed broker may have forgotten; what is a suspended device's."""
        lost = forgotten = refused = 0
        for _, publisher, _, at in self.missing():
            if at >= settled:
                continue
            if within(self.kills, at):
                forgotten += 1
            elif publisher.startswith("gamma") and within(self.suspensions, at):
                refused += 1
            else:
                lost += 1
        return lost, forgotten, refused

    def line(self):
        lost, forgotten, refused = self.lost(time.time() - 60)
        held = " ".join(f"{device.name} {device.resident_kib()} KiB {device.descriptors()} fd" for device in self.farm.devices)
        print(f"{(time.time() - self.began) / 60:5.1f} min  sent {sum(at.sent for at in self.publishers)} "
              f"received {sum(at.count() for at in self.consumers)} lost {lost} forgotten {forgotten} suspended {refused} "
              f"doubled {sum(len(at.doubled) for at in self.consumers)} repeated {sum(at.repeated for at in self.consumers)} "
              f"restarts {self.restarts}  {held}  {self.faults[-1][1] if self.faults else '-'}", flush=True)

    def judge(self):
        lost, forgotten, refused = self.lost(time.time())
        doubled = sum(len(consumer.doubled) for consumer in self.consumers)
        hours = self.given.minutes / 60
        well = True
        def figure(what, measured, bar, unit):
            nonlocal well
            holds = measured <= bar
            well = well and holds
            print(f"{what:<52} {measured:>10.1f} {unit:<7} bar {bar:>4} {'holds' if holds else 'MISSED'}", flush=True)
        print(f"{len(self.faults)} faults in {self.given.minutes:g} minutes: {', '.join(sorted({name for _, name in self.faults}))}")
        figure("agents that ended", self.restarts, 0, "")
        figure("acknowledged and lost", lost, 0, "")
        figure("never acknowledged", self.unacked(), 0, "")
        figure("handed on twice as new", doubled, 0, "")
        figure("trust data late by a minute", self.late, 0, "")
        self.tell_lost()
        for device in self.farm.devices:
            counts = device.status()["counts"]
            print(f"  {device.name} rejected {counts['rejected']}, failed {counts['failed']}", flush=True)
        print(f"lost with a killed broker: {forgotten}, with a suspended device: {refused}; repeated with DUP: {sum(at.repeated for at in self.consumers)}")
        for name, samples in self.samples.items():
            late = samples[len(samples) // 3:]
            growth = slope([(at, kib) for at, kib, _ in late]) * 3600 * min(hours, 1)
            unit = "KiB/h" if hours >= 1 else "KiB"
            figure(f"{name}: resident memory grows by", growth, SLOPE_KIB_AN_HOUR, unit)
            third = len(late) // 2
            grown = statistics.median(at[2] for at in late[third:]) - statistics.median(at[2] for at in late[:third])
            figure(f"{name}: descriptors more at the end", grown, DESCRIPTORS, "")
        return well


def within(spans, at):
    return any(begin <= at <= end for begin, end in spans)


def slope(points):
    """Least squares, of the second by the first."""
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


if __name__ == "__main__":
    main()
