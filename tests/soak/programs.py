"""Plain MQTT programs: they know nothing of Edgeseal, and count."""

import collections
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

A_LONG_SESSION = 7 * 86_400


def connected(name, version, port, on_connect):
    five = version == 5
    options = {"client_id": name, "protocol": mqtt.MQTTv5 if five else mqtt.MQTTv311}
    if not five:
        options["clean_session"] = False
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **options)
    client.reconnect_delay_set(1, 2)
    client.max_queued_messages_set(0)
    client.max_inflight_messages_set(20)
    client.on_connect = on_connect
    keep = {}
    if five:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = A_LONG_SESSION
        keep = {"clean_start": False, "properties": properties}
    # A first attempt that fails ends the thread of paho 2: where the gateway is not ready yet, the program asks again.
    while True:
        try:
            client.connect("127.0.0.1", port, 20, **keep)
            break
        except OSError:
            time.sleep(0.5)
    client.loop_start()
    return client


def cut(client):
    """The connection ends without a word, as when the program is killed; the library comes again."""
    at = client.socket()
    if at:
        try:
            at.shutdown(2)
        except OSError:
            pass


class Publisher:
    """Sends numbered messages at a rate, and knows when each was acknowledged."""

    def __init__(self, device, name, version, qos, rate, port):
        self.name, self.qos, self.topic = name, qos, f"site/{device}/{name}"
        self.sent, self.acked_at, self.numbers, self.early = 0, {}, {}, {}
        self.lock = threading.Lock()
        self.ends = threading.Event()
        self.client = connected(name, version, port, lambda *_: None)
        self.client.on_publish = self.on_publish
        self.thread = threading.Thread(target=self.work, args=(1 / rate,), daemon=True)
        self.thread.start()

    def work(self, pause):
        due = time.monotonic()
        while not self.ends.is_set():
            number = self.sent
            self.sent += 1
            sent = self.client.publish(self.topic, f"{self.name} {number}", qos=self.qos)
            with self.lock:
                if sent.mid in self.early:
                    self.acked_at[number] = self.early.pop(sent.mid)
                else:
                    self.numbers[sent.mid] = number
            due += pause
            time.sleep(max(0, due - time.monotonic()))

    def on_publish(self, _client, _data, mid, *_):
        # Holding the lock while publishing would wait for the library, which waits for this.
        with self.lock:
            number = self.numbers.pop(mid, None)
            if number is None:
                self.early[mid] = time.time()
            else:
                self.acked_at[number] = time.time()

    def acked(self):
        with self.lock:
            return len(self.acked_at)

    def stop(self):
        self.ends.set()
        self.thread.join()

    def end(self):
        self.stop()
        self.client.loop_stop()
        self.client.disconnect()


class Consumer:
    """Counts what comes, by sender and number."""

    def __init__(self, name, version, port):
        self.name, self.got = name, collections.defaultdict(set)
        self.repeated, self.doubled = 0, []
        self.client = connected(name, version, port, self.on_connect)
        self.client.on_message = self.on_message

    def on_connect(self, client, *_):
        client.subscribe("site/#", 2)

    def on_message(self, _client, _data, message):
        name, _, number = message.payload.decode().partition(" ")
        had = self.got[name]
        if int(number) not in had:
            had.add(int(number))
        elif message.dup:
            self.repeated += 1  # as MQTT allows at QoS 1
        else:
            self.doubled.append((time.time(), name, int(number)))

    def count(self):
        return sum(len(had) for had in self.got.values())

    def end(self):
        self.client.loop_stop()
        self.client.disconnect()
