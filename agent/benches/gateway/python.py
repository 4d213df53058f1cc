"""A publisher that signs and a subscriber that verifies, each message: paho and PyJWT. Prints messages in a second.

Usage: python.py PORT QOS MESSAGES
"""
import base64, hashlib, multiprocessing, sys, threading, time
import jwt, paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, QOS, MESSAGES = map(int, sys.argv[1:])
TOPIC, PAYLOAD, WINDOW = "site/python/temperature", b"x" * 256, 256
KEY = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)


def phs(payload):
    return base64.urlsafe_b64encode(hashlib.sha256(payload).digest()).decode().rstrip("=")


def client(name):
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    made.max_inflight_messages_set(WINDOW)
    made.connect("127.0.0.1", PORT)
    return made


def subscriber(ahead, ready, done):
    public, seen = KEY.public_key(), 0

    def on_message(_client, _data, message):
        nonlocal seen
        token = dict(message.properties.UserProperty)["token"]
        claims = jwt.decode(token, public, algorithms=["EdDSA"])
        assert claims["top"] == message.topic and claims["phs"] == phs(message.payload)
        seen += 1
        ahead.release()
        if seen == MESSAGES:
            done.put(time.monotonic())
            made.disconnect()

    made = client("python-subscriber")
    made.on_message = on_message
    made.on_subscribe = lambda *_: ready.set()
    made.subscribe(TOPIC, QOS)
    made.loop_forever()


if __name__ == "__main__":
    ahead, ready, done = multiprocessing.Semaphore(WINDOW), multiprocessing.Event(), multiprocessing.Queue()
    other = multiprocessing.Process(target=subscriber, args=(ahead, ready, done))
    other.start()
    assert ready.wait(20), "nobody subscribes"
    made = client("python-publisher")
    made.loop_start()
    began = time.monotonic()
    for number in range(MESSAGES):
        ahead.acquire()
        now = int(time.time())
        claims = {"iss": "sensor", "iat": now, "exp": now + 60, "jti": str(number), "top": TOPIC, "phs": phs(PAYLOAD)}
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("token", jwt.encode(claims, KEY, algorithm="EdDSA"))]
        made.publish(TOPIC, PAYLOAD, QOS, properties=properties)
    print(MESSAGES / (done.get(timeout=60) - began))
    made.disconnect()
    other.join()
