"""An unchanged paho-mqtt program (1.6 and 2.x). See README.md beside it for the command line that all clients share."""

import argparse
import json
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

A_LONG_SESSION = 3600


def say(event, **members):
    sys.stdout.write(json.dumps({"event": event, **members}) + "\n")
    sys.stdout.flush()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--unix")
    parser.add_argument("--version", type=int, default=5)
    parser.add_argument("--id", required=True)
    parser.add_argument("--persistent", action="store_true")
    parser.add_argument("--filter", nargs=2, action="append", default=[])
    parser.add_argument("--will", nargs=4)
    return parser.parse_args()


class Program:
    def __init__(self, given):
        self.given = given
        self.five = given.version == 5
        self.pending = {}
        self.lock = threading.Lock()
        self.client = self.make()

    def make(self):
        given = self.given
        options = {"client_id": given.id, "protocol": mqtt.MQTTv5 if self.five else mqtt.MQTTv311}
        if not self.five:
            options["clean_session"] = not given.persistent
        if given.unix:
            options["transport"] = "unix"
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
        client = mqtt.Client(**options)
        client.reconnect_delay_set(0.2, 0.2)
        client.max_queued_messages_set(0)
        client.on_connect = self.on_connect
        client.on_disconnect = lambda *_: say("disconnected")
        client.on_subscribe = self.on_subscribe
        client.on_message = self.on_message
        client.on_publish = self.on_publish
        if given.will:
            topic, payload, qos, retain = given.will
            client.will_set(topic, payload, int(qos), retain == "1")
        return client

    def connect(self):
        given = self.given
        options = {"keepalive": 20}
        if self.five:
            options["clean_start"] = not given.persistent
            if given.persistent:
                options["properties"] = Properties(PacketTypes.CONNECT)
                options["properties"].SessionExpiryInterval = A_LONG_SESSION
        while True:
            try:
                self.client.connect(given.unix or given.host, given.port, **options)
                return
            except OSError:
                time.sleep(0.1)

    def on_connect(self, client, _userdata, flags, code, *_properties):
        code = getattr(code, "value", code)
        if code:
            say("refused", code=code)
            return
        session = bool(flags["session present"])
        say("connected", session=session)
        if self.given.filter and not session:
            if self.five:
                wanted = [(f, SubscribeOptions(qos=int(q))) for f, q in self.given.filter]
            else:
                wanted = [(f, int(q)) for f, q in self.given.filter]
            client.subscribe(wanted)

    def on_subscribe(self, _client, _userdata, _mid, granted, *_properties):
        say("subscribed", codes=[getattr(code, "value", code) for code in granted])

    def on_message(self, _client, _userdata, message):
        properties = getattr(message, "properties", None)
        user = getattr(properties, "UserProperty", []) if properties else []
        say("message", topic=message.topic, payload=message.payload.decode(), qos=message.qos,
            retain=bool(message.retain), dup=bool(message.dup), user=[list(pair) for pair in user])

    def on_publish(self, _client, _userdata, mid, *_more):
        with self.lock:
            batch = self.pending.pop(mid, None)
            if batch is None:
                self.pending[mid] = "early"  # acknowledged before publish() returned
                return
        self.one_done(batch)

    def one_done(self, batch):
        with self.lock:
            batch["left"] -= 1
            done = batch["left"] == 0
        if done:
            say("acked", prefix=batch["prefix"])

    def publish(self, topic, qos, retain, payloads, prefix):
        batch = {"prefix": prefix, "left": len(payloads)}
        for payload in payloads:
            options = {}
            if self.five:
                options["properties"] = Properties(PacketTypes.PUBLISH)
                options["properties"].UserProperty = ("from", self.given.id)
            info = self.client.publish(topic, payload, qos, retain, **options)
            with self.lock:
                early = self.pending.pop(info.mid, None) == "early"
                if not early:
                    self.pending[info.mid] = batch
            if early:
                self.one_done(batch)

    def run(self):
        self.connect()
        self.client.loop_start()
        for line in sys.stdin:
            words = line.split()
            if words[0] == "publish":
                _, topic, qos, retain, count, prefix = words
                payloads = [f"{prefix}-{number}" for number in range(int(count))]
                self.publish(topic, int(qos), retain == "1", payloads, prefix)
            elif words[0] == "delete":
                self.publish(words[1], int(words[2]), True, [b""], "deleted")
            elif words[0] == "quit":
                break
        self.client.disconnect()
        self.client.loop_stop()


Program(arguments()).run()
