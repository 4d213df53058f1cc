#!/usr/bin/env python3
"""A second verifier, written from docs/wire-profile.md alone: reads JSON lines like `edgeseal-agent verify --batch`, answers one code a line.

Use: verifier.py BUNDLE DEVICE NOW < lines. A line with "fresh": true begins with an empty memory. It trusts the bundle file as it is.

`verifier.py --bundles < lines` checks whole bundles, {"bundle_b64", "pin"} a line (see check_bundle), written from docs/trust-documents.md alone."""
import base64, hashlib, io, json, math, re, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LEEWAY, GRACE, WINDOW, DAY = 10, 604800, 512, 86400
TYP = {"message": "edgeseal-msg+jwt", "retained": "edgeseal-retained+jwt", "will": "edgeseal-will+jwt"}
CEILING = {"message": 30 * DAY, "retained": 365 * DAY, "will": 30 * DAY}
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
NUMBER = r"(?:0|[1-9][0-9]{0,19})"
JTI = re.compile(rf"({NUMBER})\.([01])\.({NUMBER})\Z", re.ASCII)

class Refused(Exception): pass
def need(ok, code):
    if not ok: raise Refused(code)

def unb64(text, code):
    need(re.fullmatch(r"[A-Za-z0-9_-]*", text) is not None, code)
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else b""
    need(base64.urlsafe_b64encode(octets).rstrip(b"=").decode() == text, code)
    return octets

def sha(octets): return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).rstrip(b"=").decode()

def read_object(octets, code):
    """One object, strictly: bounded, no member twice, whole numbers only by digits. What is no such object is told before what is doubled."""
    doubled = []
    def pairs(members):
        if len(members) > 32 or max((depth(value) for _, value in members), default=0) > 16: raise ValueError
        json.dumps(members, ensure_ascii=False).encode("utf-8")  # refuses half characters
        if len(dict(members)) < len(members): doubled.append(True)
        return dict(members)
    def number(text):
        if math.isinf(float(text)): raise ValueError
        return int(text) if text.isdigit() and int(text) < 2**64 else None
    def bad(_): raise ValueError
    def depth(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(depth, inner), default=0) if isinstance(value, (dict, list)) else 0
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=pairs, parse_int=number, parse_float=number, parse_constant=bad)
        need(isinstance(value, dict), code)
    except (ValueError, RecursionError): raise Refused(code)
    need(not doubled, "duplicate-member")
    return value

def is_digest(text): return re.fullmatch(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", text) is not None

def topic_ok(text): return 0 < len(text.encode()) <= 1024 and not set(text) & set("+#\0")

def matches(filter_, topic, device):
    if topic.split("/")[0] == "edgeseal" or (topic[0] == "$" and filter_[0] in "+#"): return False
    have = topic.split("/")
    for i, want in enumerate(filter_.split("/")):
        if want == "#": return True
        if i >= len(have) or want != "+" and have[i] != (device if want == "{device}" else want): return False
    return len(have) == len(filter_.split("/"))

def order(new, old):
    """Whether a statement comes before (-1) another, is it (0), or comes after (1)."""
    by_time = -1 if new["iat"] < old["iat"] else 1
    if new["kid"] != old["kid"]: return by_time
    if new["epoch"] != old["epoch"]: return 1 if new["epoch"] > old["epoch"] else -1
    if new["stream"] == old["stream"]: return (new["counter"] > old["counter"]) - (new["counter"] < old["counter"])
    return -1 if new["counter"] <= old["other"] else by_time

class Verifier:
    def __init__(self, bundle, device, now):
        head, *lines = open(bundle, "rb").read().splitlines()
        roots = json.loads(head)["roots"]
        payload = lambda line: json.loads(base64.urlsafe_b64decode(json.loads(line)["payload"] + "=="))
        self.root, self.manifest = payload(lines[roots - 1]), payload(lines[roots])
        self.keys, self.me, self.now = {}, None, now
        for line in lines[roots + 1:]:
            for entry in json.loads(line)["devices"]:
                if entry["id"] == device: self.me = entry
                for key in entry["keys"]: self.keys[key["jwk"]["kid"]] = (entry, key)
        self.roles = {role["name"]: role for role in self.manifest["roles"]}
        self.forget()

    def forget(self):
        self.windows, self.newest, self.begun, self.statements, self.wills, self.epochs, self.said = {}, {}, {}, {}, set(), {}, {}

    def verdict(self, line):
        try: (self.login if line.get("kind") == "login" else self.judge)(line); return "verified"
        except Refused as refused: return refused.args[0]

    def opened(self, line, typ, kind, now):
        """The claims of a token whose signature verifies, of a sender in good standing; its entry and kid."""
        token = line["token"]
        need(len(token.encode()) <= 4096, "size")
        parts = token.split(".")
        need(len(parts) == 3 and all(re.fullmatch(r"[A-Za-z0-9_-]+", p) for p in parts), "shape")
        need(len(parts[0]) % 4 != 1, "encoding")
        need(len(parts[0]) * 3 // 4 <= 256, "header-members")
        octets, claims_octets, signature = (unb64(part, "encoding") for part in parts)
        need(len(signature) == 64, "encoding")
        header = read_object(octets, "header-json")
        for name, value in header.items():
            need(name in ("alg", "typ", "kid") and isinstance(value, str), "header-members")
            need(name != "alg" or value == "EdDSA", "header-alg")
            need(name != "typ" or value == typ, "header-typ")
            need(name != "kid" or is_digest(value), "header-kid")
        need(len(header) == 3, "header-members")
        need(now < min(self.manifest["exp"], self.root["exp"]) + GRACE, "trust-stale")
        need(header["kid"] in self.keys, "unknown-key")
        device, key = self.keys[header["kid"]]
        need(signature[:32] != b"\x01" + bytes(31), "signature")  # R of small order: pyca lets it in
        try: Ed25519PublicKey.from_public_bytes(unb64(key["jwk"]["x"], "key")).verify(signature, f"{parts[0]}.{parts[1]}".encode())
        except InvalidSignature: raise Refused("signature")
        c = read_object(claims_octets, "claims-json")
        self.typed(c, kind)
        need(c["iss"] == self.manifest["domain"], "domain")
        need(device["state"] == "active", "device-" + device["state"])
        need(key["state"] != "revoked", "key-revoked")
        need(key["state"] != "retired" or kind == "retained" and c["iat"] < key["retired_at"], "key-retired")
        need(c["iat"] >= key["not_before"], "key-not-yet-valid")
        need(c["sub"] == device["id"], "subject")
        return c, device, header["kid"]

    def in_time(self, c, ceiling, now):
        floor = self.manifest["iat"]
        need(c["exp"] >= floor, "expired")
        need(now >= floor, "clock-behind-floor")
        need(c["iat"] <= now + LEEWAY, "issued-in-future")
        need(now < c["exp"] + LEEWAY, "expired")
        need(1 <= c["exp"] - c["iat"] <= ceiling, "lifetime")

    def login(self, line):
        now = line.get("now", self.now)
        c, device, _ = self.opened(line, "edgeseal-login+jwt", "login", now)
        need(c["aud"] == line["audience"] and c["aud"].startswith("login:"), "audience")
        self.in_time(c, 300, now)
        self.young(device, now)

    def judge(self, line):
        kind, now = line.get("kind", "message"), line.get("now", self.now)
        c, device, kid = self.opened(line, TYP[kind], kind, now)
        self.addressed(c["aud"], kind)
        self.in_time(c, CEILING[kind], now)
        payload = base64.b64decode(line["payload_b64"], validate=True)
        need(sha(payload) == c["phs"], "payload")
        need(topic_ok(line["topic"]), "topic-name")
        need(line["topic"] == c["top"], "topic")
        properties = line.get("properties")
        if properties is not None: self.bound(c, properties)
        self.granted(c, device, kind, (properties or {}).get("response_topic"))
        self.young(device, now)
        self.remember(c, kid, device["id"], kind, line.get("consumer", ""), line.get("retain", False), payload)

    def young(self, device, now):
        for role in (self.roles[name] for name in device["roles"]):
            need(now - self.manifest["iat"] <= role.get("manifest_age_seconds", 2**64), "manifest-too-old")

    def typed(self, c, kind):
        types, needed = dict(iss=str, sub=str, aud=str, iat=int, exp=int, jti=str), "iss sub aud iat exp jti"
        if kind != "login":
            types |= dict(top=str, phs=str, tsq=int, rsp=str, cor=str, cty=str, upr=str, clk=str, cap=int, vch=bool)
            needed += " top phs tsq"
        for name, value in ((name, value) for name, value in c.items() if name in types):
            need(type(value) is types[name], "claim-type")
            need(name not in ("phs", "rsp", "cor", "cty", "upr") or is_digest(value), "claim-value")
            need((name, value) in (("clk", "unsynchronized"), ("vch", True)) or name not in ("clk", "vch"), "claim-value")
            need(name != "jti" or JTI.match(value) and all(int(n) < 2**64 for n in value.split(".")), "claim-value")
        need(all(name in c for name in needed.split()), "claim-missing")
        need(kind == "login" or c.get("cap", 0) <= c["iat"], "claim-value")
        need(kind != "retained" or c["phs"] != sha(b""), "claim-value")

    def addressed(self, aud, kind):
        type_, colon, name = aud.partition(":")
        need(colon, "claim-value")
        need(type_ == "domain" or kind != "retained", "not-a-command")
        mine = {"domain": [self.manifest["domain"]], "device": [self.me["id"]], "group": self.me["groups"]}
        if name in mine.get(type_, []): return
        login = type_ == "login" and re.fullmatch(r"[!-~]+", name) and len(aud) <= 256
        need(login or type_ in mine and NAME.match(name), "claim-value")
        raise Refused("audience")

    def bound(self, c, given):
        user = [pair for pair in given.get("user", []) if pair[0] != "edgeseal" and not pair[0].startswith("edgeseal-")]
        packed = b"".join(len(t.encode()).to_bytes(2, "big") + t.encode() for pair in user for t in pair)
        octets = dict(rsp=given.get("response_topic", "").encode(), cor=base64.b64decode(given.get("correlation_data_b64", "")), cty=given.get("content_type", "").encode(), upr=packed)
        present = dict(rsp="response_topic" in given, cor="correlation_data_b64" in given, cty="content_type" in given, upr=bool(user))
        for name in octets:
            need(name not in c or present[name], "property-missing")
            need(name in c or not present[name], "property-unsigned")
            need(name not in c or sha(octets[name]) == c[name], "property-altered")

    def granted(self, c, device, kind, response):
        type_, name = c["aud"].split(":", 1)
        nearest, id_ = 0, device["id"]
        need(response is None or topic_ok(response), "topic-name")
        codes = ["topic", "audience", "kind", "lifetime", "response", "vouch"]
        for grant in (g for role in device["roles"] if role in self.roles for g in self.roles[role].get("grants", [])):
            limit = max(300, grant.get("lifetime_seconds", 0)) if kind == "message" else grant.get(kind + "_seconds")
            steps = [
                lambda: any(matches(f, c["top"], id_) for f in grant["publish"]),
                lambda: any(a in (type_, type_ + ":*", c["aud"]) for a in grant["audiences"]),
                lambda: limit is not None,
                lambda: c["exp"] - c["iat"] <= limit,
                lambda: response is None or any(matches(f, response, id_) for f in grant.get("responses", [])),
                lambda: not c.get("vch") or grant.get("vouch", False),
            ]
            passed = next((i for i, step in enumerate(steps) if not step()), 6)
            if passed == 6: return
            nearest = max(nearest, passed)
        raise Refused("lifetime-exceeded" if nearest == 3 else codes[nearest] + "-not-granted")

    def remember(self, c, kid, device, kind, consumer, retain, payload):
        epoch, stream, counter = map(int, c["jti"].split("."))
        id_, what, place = (kid, c["jti"]), (c["top"], c["phs"]), (consumer, device, c["top"])
        need(self.said.get(id_, what) == what, "clone-proven")
        if consumer not in self.begun:  # it begins with the newest counters of all
            self.begun[consumer] = {k: (e, {s: (top, None) for s, top in streams.items()}) for k, (e, streams) in self.newest.items()}
        new = dict(kid=kid, epoch=epoch, stream=stream, counter=counter, iat=c["iat"], other=-1, will=None)
        have = self.statements.get(place)
        if kind == "will":
            known = (consumer, id_) in self.wills
            need(epoch >= self.epochs.get(kid, 0) and (retain or not known), "will-spent")
            need(not known or have is None or have["will"] == id_ or order(new, have) > 0, "superseded")
            if not known and have: have["will"] = id_
            self.wills.add((consumer, id_))
        elif kind == "retained" or retain and not payload:
            need(have is None or order(new, have) >= 0, "superseded")
            if kind == "message": self.window(consumer, kid, epoch, stream, counter)
            if have and order(new, have) == 0: new = have
            elif have and (kid, epoch) == (have["kid"], have["epoch"]): new["other"] = have["other" if stream == have["stream"] else "counter"]
            self.statements[place] = new
        else: self.window(consumer, kid, epoch, stream, counter)
        self.epochs[kid] = max(epoch, self.epochs.get(kid, 0))
        self.said[id_] = what

    def window(self, consumer, kid, epoch, stream, counter):
        """Windows of a consumer and key: [(epoch, {stream: (newest, seen)}), the same of the epoch before]; seen = None: all up to the newest."""
        begun = self.begun[consumer].get(kid)
        epochs = self.windows.setdefault((consumer, kid), [begun] if begun else [])
        if not epochs or epoch > epochs[0][0]: epochs[:] = [(epoch, {})] + epochs[:1]
        streams = next((s for e, s in epochs if e == epoch), None)
        need(streams is not None, "old-epoch")
        top, seen = streams.get(stream, (-1, set()))
        need(top - counter < WINDOW, "window-passed")
        before = set(range(max(0, top - WINDOW + 1), top + 1)) if seen is None else seen
        need(counter not in before, "replay")
        streams[stream] = (max(top, counter), before | {counter})
        newest = self.newest.get(kid, (-1, {}))
        if epoch > newest[0]: newest = self.newest[kid] = (epoch, {})
        if epoch == newest[0]: newest[1][stream] = max(counter, newest[1].get(stream, -1))

# A whole bundle, from docs/trust-documents.md: the chain of roots, the manifest, the shards.

ORDER, P = 2**252 + 27742317777372353535851937790883648493, 2**255 - 19
CURVE_D = -121665 * pow(121666, -1, P) % P
LIMIT = {"edgeseal-root+json": 65536, "edgeseal-manifest+json": 1 << 20}
SECONDS = {"lifetime_seconds": 30 * DAY, "retained_seconds": 365 * DAY, "will_seconds": 30 * DAY}
STATES, KEY_STATES = ("active", "pending", "revoked", "suspended"), ("active", "retired", "retiring", "revoked")

def add(a, b):
    """Two points of edwards25519, each x, y over z."""
    (x1, y1, z1), (x2, y2, z2) = a, b
    zz = z1 * z2 % P
    e, c, d = zz * zz % P, x1 * x2 % P, y1 * y2 % P
    f, g = (e - CURVE_D * c * d) % P, (e + CURVE_D * c * d) % P
    return (zz * f * ((x1 + y1) * (x2 + y2) - c - d) % P, zz * g * (d + c) % P, f * g % P)

def times(n, point):
    sum_ = (0, 1, 1)
    while n:
        if n & 1: sum_ = add(sum_, point)
        point, n = add(point, point), n >> 1
    return sum_

def zero(point): return point[0] == 0 and (point[1] - point[2]) % P == 0

def import_key(jwk, good={}):
    """The key of a JWK as it stands in documents: canonical, of prime order, under its own thumbprint (RFC 8032 section 5.1.3)."""
    need("d" not in jwk, "key-private")
    need(jwk["kty"] == "OKP", "key-kty")
    need(jwk["crv"] == "Ed25519", "key-crv")
    octets = unb64(jwk["x"], "key-malformed")
    need(len(octets) == 32, "key-length")
    kid = sha(f'{{"crv":"Ed25519","kty":"OKP","x":"{jwk["x"]}"}}'.encode())
    if octets not in good:
        number = int.from_bytes(octets, "little")
        sign, y = number >> 255, number % 2**255 % P
        square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        if x * x % P != square: x = x * pow(2, (P - 1) // 4, P) % P
        need(x * x % P == square, "key-not-a-point")
        if x % 2 != sign: x = -x % P
        need(y | (x % 2) << 255 == number, "key-non-canonical")
        need(not zero(times(8, (x, y, 1))), "key-small-order")
        need(zero(times(ORDER, (x, y, 1))), "key-mixed-order")
        good[octets] = Ed25519PublicKey.from_public_bytes(octets)
    need(jwk["kid"] == kid, "key-thumbprint")
    return kid, good[octets]

def is_int(value, bits=64): return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**bits
def is_name(value): return isinstance(value, str) and NAME.match(value) is not None
def is_text(value): return isinstance(value, str)
def is_jwk(value): return shaped(value, {"kty": is_text, "crv": is_text, "kid": is_text, "x": is_text}, {"d": lambda d: d is not None})
def is_sha(value): return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", value) is not None
def some(of): return lambda value: isinstance(value, list) and all(map(of, value))
def one_of(words): return lambda value: isinstance(value, str) and value in words

def shaped(value, must, may={}):
    """An object of exactly these members, the second ones where it likes."""
    if not isinstance(value, dict) or not set(must) <= set(value) <= set(must) | set(may): return False
    return all({**must, **may}[name](member) for name, member in value.items())

def is_filter(text):
    if not isinstance(text, str) or not 0 < len(text.encode()) <= 1024 or "\0" in text: return False
    levels = text.split("/")
    if levels[0] == "edgeseal" or "#" in levels[:-1]: return False
    return all(level in ("+", "#", "{device}") or not set(level) & set("+#{}") for level in levels)

def is_audience(text):
    if not isinstance(text, str): return False
    kind, colon, name = text.partition(":")
    return text == "domain" or colon == ":" and kind in ("device", "group") and (name == "*" or is_name(name))

def is_grant(value):
    more = {name: is_int for name in SECONDS} | {"responses": lambda v: v != [] and some(is_filter)(v), "vouch": lambda v: v is True}
    return shaped(value, {"publish": some(is_filter), "audiences": some(is_audience)}, more)

def is_role(value):
    return shaped(value, {"name": is_name}, {"grants": lambda v: v != [] and some(is_grant)(v), "manifest_age_seconds": is_int})

def is_authority(value): return shaped(value, {"threshold": lambda v: is_int(v, 32), "keys": some(is_jwk)})

def is_key(value):
    return shaped(value, {"jwk": is_jwk, "state": one_of(KEY_STATES), "not_before": is_int}, {"retired_at": is_int})

def is_device(value):
    must = {"id": is_name, "state": one_of(STATES), "keys": some(is_key), "roles": some(is_name), "groups": some(is_name)}
    return shaped(value, must, {"reason": is_text, "serial": is_text})

def content(octets, must):
    """An object of format 1 with these members."""
    value = read_object(octets, "malformed")
    need(is_int(value.get("format")) and value["format"] == 1, "format-unknown")
    need(shaped(value, {"format": is_int, **must}), "malformed")
    return value

def at_most(limit, *lists): need(all(len(items) <= limit for items in lists), "too-many")
def once(names, code="duplicate-name"): need(len(set(names)) == len(names), code)
def check_text(text, limit):
    need(0 < len(text.encode()) <= limit and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text), "text")

def opened(octets, typ):
    """The payload of a signed document, and its signatures by kid; none of them is judged."""
    need(len(octets) <= LIMIT[typ], "size")
    value = read_object(octets, "malformed")
    for signature in value["signatures"] if isinstance(value.get("signatures"), list) else []:
        need(isinstance(signature, dict), "malformed")
    entry = lambda v: shaped(v, {"protected": is_text, "signature": is_text}, {"header": lambda h: h is not None})
    need(shaped(value, {"payload": is_text, "signatures": some(entry)}), "malformed")
    at_most(16, value["signatures"])
    payload, signatures = unb64(value["payload"], "encoding"), {}
    for entry in value["signatures"]:
        need("header" not in entry, "header-unprotected")
        protected, signature = unb64(entry["protected"], "encoding"), unb64(entry["signature"], "encoding")
        header = read_object(protected, "header-members")
        for name, member in header.items():
            need(name in ("alg", "typ", "kid") and isinstance(member, str), "header-members")
            need(name != "alg" or member == "EdDSA", "header-alg")
            need(name != "typ" or member == typ, "header-typ")
            need(name != "kid" or is_digest(member), "header-kid")
        need(len(header) == 3, "header-members")
        need(len(signature) == 64, "encoding")
        need(header["kid"] not in signatures, "duplicate-signature")
        signatures[header["kid"]] = (f"{entry['protected']}.{value['payload']}".encode(), signature)
    return payload, signatures

def authority(value):
    at_most(16, value["keys"])
    keys = [import_key(jwk) for jwk in value["keys"]]
    once([kid for kid, _ in keys], "duplicate-authority-key")
    need(1 <= value["threshold"] <= len(keys), "threshold-impossible")
    return value["threshold"], dict(keys)

def signed_by(signatures, authority):
    """Every signature by a key that counts is right, and there are enough of them."""
    threshold, keys = authority
    counting = [(keys[kid], *signature) for kid, signature in signatures.items() if kid in keys]
    for key, message, signature in counting:
        need(signature[:32] != b"\x01" + bytes(31), "signature")
        try: key.verify(signature, message)
        except InvalidSignature: raise Refused("signature")
    need(len(counting) >= threshold, "threshold")

def root_content(payload):
    root = content(payload, {"domain": is_name, "version": is_int, "iat": is_int, "exp": is_int, "root": is_authority, "registrar": is_authority})
    root["root"], root["registrar"] = authority(root["root"]), authority(root["registrar"])
    need(root["version"] > 0, "zero")
    need(root["exp"] > root["iat"], "expiry")
    return root

def manifest_content(payload):
    manifest = content(payload, {
        "domain": is_name, "root_version": is_int, "sequence": is_int, "iat": is_int, "exp": is_int,
        "roles": some(is_role), "groups": some(is_name), "shards": some(is_sha)})
    need(manifest["root_version"] > 0 and manifest["sequence"] > 0, "zero")
    need(manifest["exp"] > manifest["iat"], "expiry")
    at_most(256, manifest["roles"], manifest["groups"])
    once([role["name"] for role in manifest["roles"]])
    once(manifest["groups"])
    for role in manifest["roles"]:
        at_most(64, role.get("grants", []))
        for grant in role.get("grants", []):
            need(all(1 <= grant[name] <= SECONDS[name] for name in SECONDS if name in grant), "grant-ceiling")
    count = len(manifest["shards"])
    need(0 < count <= 4096 and count & count - 1 == 0, "shard-count")
    once(manifest["shards"])
    return manifest

def shard_content(octets):
    need(len(octets) <= 1 << 20, "size")
    shard = content(octets, {"index": lambda v: is_int(v, 32), "of": lambda v: is_int(v, 32), "devices": some(is_device)})
    for device in shard["devices"]:
        at_most(4, device["keys"])
        for key in device["keys"]: key["kid"], _ = import_key(key["jwk"])
    of, kids, before = shard["of"], [], ""
    need(0 < of <= 4096 and of & of - 1 == 0, "shard-count")
    for device in shard["devices"]:
        need(device["id"] != before, "duplicate-device")
        need(device["id"] > before, "not-sorted")
        before = device["id"]
        bits = int.from_bytes(hashlib.sha256(before.encode()).digest()[:4], "big")
        need(bits >> 32 - (of.bit_length() - 1) == shard["index"], "shard-misplaced")
        need("reason" not in device or device["state"] in ("revoked", "suspended"), "reason-misplaced")
        if "reason" in device: check_text(device["reason"], 256)
        if "serial" in device: check_text(device["serial"], 64)
        at_most(32, device["roles"], device["groups"])
        once(device["roles"])
        once(device["groups"])
        need(all(("retired_at" in key) == (key["state"] == "retired") for key in device["keys"]), "retired-at")
        kids += [key["kid"] for key in device["keys"]]
        once(kids, "duplicate-kid")
    return shard, kids

def chain(lines, pin):
    """The newest root: from the one that is pinned, one version at a time, each vouched for by the one before it and by itself."""
    words = lambda line: hashlib.sha256(b"edgeseal-root\0" + line).digest()[:11].hex()
    need(pin is not None, "first-root-not-pinned")
    place = next((place for place, line in enumerate(lines) if words(line) == pin), None)
    need(place is not None, "root-words")
    payload, signatures = opened(lines[place], "edgeseal-root+json")
    newest, before = root_content(payload), None
    signed_by(signatures, newest["root"])
    for line in lines[place + 1:]:
        held = payload
        payload, signatures = opened(line, "edgeseal-root+json")
        root = root_content(payload)
        need(before is None or root["version"] == before + 1, "root-version")
        before = root["version"]
        if root["version"] == newest["version"]: need(payload == held, "root-conflict")
        if root["version"] <= newest["version"]:
            payload = held
            continue
        need(root["version"] == newest["version"] + 1, "root-version")
        signed_by(signatures, newest["root"])
        signed_by(signatures, root["root"])
        need(root["domain"] == newest["domain"], "domain")
        newest = root
    return newest

def check_bundle(octets, pin):
    """Judges a bundle for a device that holds nothing; `pin`: the first 88 bits behind the words of its root, in hex."""
    rest = io.BytesIO(octets)
    def line(limit):
        text = rest.readline(limit + 1)
        need(text.endswith(b"\n") or len(text) <= limit, "bundle-line")
        need(text.endswith(b"\n"), "bundle-truncated")
        return text[:-1]
    try:
        head = read_object(line(256), "bundle-header")
        counts = {name: lambda v: is_int(v, 32) for name in ("edgeseal_bundle", "roots", "shards")}
        need(shaped(head, counts) and head["edgeseal_bundle"] == 1 and head["roots"] <= 256 and head["shards"] <= 4096, "bundle-header")
    except Refused as refused:
        raise Refused("bundle-truncated" if refused.args[0] == "bundle-truncated" else "bundle-header")
    roots = [line(65536) for _ in range(head["roots"])]
    document = line(1 << 20)
    root = chain(roots, pin)
    payload, signatures = opened(document, "edgeseal-manifest+json")
    signed_by(signatures, root["registrar"])
    manifest = manifest_content(payload)
    need(manifest["domain"] == root["domain"], "domain")
    need(manifest["root_version"] == root["version"], "manifest-root-version")
    lacking, had, kids = dict(zip(manifest["shards"], range(len(manifest["shards"])))), set(), []
    for _ in range(head["shards"]):
        octets = line(1 << 20)
        digest = sha(octets)
        if digest in had: continue
        need(digest in lacking, "shard-hash")
        shard, its_kids = shard_content(octets)
        need((shard["index"], shard["of"]) == (lacking.pop(digest), len(manifest["shards"])), "shard-index")
        for device in shard["devices"]:
            need(set(device["roles"]) <= {role["name"] for role in manifest["roles"]}, "unknown-role")
            need(set(device["groups"]) <= set(manifest["groups"]), "unknown-group")
        kids += its_kids
        once(kids, "duplicate-kid")
        had.add(digest)
    need(rest.read(1) == b"", "bundle-trailing")
    need(not lacking, "shard-missing")

def check_bundles():
    for text in sys.stdin:
        asked = json.loads(text)
        try:
            check_bundle(base64.b64decode(asked["bundle_b64"]), asked.get("pin"))
            print("accepted", flush=True)
        except Refused as refused: print(refused.args[0], flush=True)

if __name__ == "__main__" and sys.argv[1:] == ["--bundles"]: check_bundles()
elif __name__ == "__main__":
    verifier = Verifier(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    for text in sys.stdin:
        line = json.loads(text)
        if line.pop("fresh", False): verifier.forget()
        print(verifier.verdict(line), flush=True)
