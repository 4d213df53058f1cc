#!/usr/bin/env bash
# What we sign verifies in PyJWT and in Node's jose, what was altered does not, and OpenSSL reads our keys.
# `tests/interop.sh`, after `cargo build --workspace`; needs python3 with PyJWT and cryptography (PYTHON names it), node, npm, openssl.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/target/debug
python=${PYTHON:-python3}
jose=$PWD/target/interop-jose
[ -d "$jose/node_modules/jose" ] || npm install --silent --no-audit --no-fund --prefix "$jose" jose@5.10.0
place=$(mktemp -d)
agent=
trap '[ -z "$agent" ] || kill "$agent"; rm -rf "$place"' EXIT
cd "$place"

(umask 077 && echo 'correct horse battery' > pass.txt)
printf '[agent]\nstate_directory = "%s/state"\nruntime_directory = "%s/run"\ndangerous_volatile_state = true\n[clock]\nunsynchronized = "allow"\n' \
  "$place" "$place" > config.toml
export EDGESEAL_CONFIG=$place/config.toml NO_COLOR=1
{
  "$bin/edgeseal" domain init farm --keys keys --passphrase-file pass.txt
  "$bin/edgeseal" role add sensor
  "$bin/edgeseal" role grant sensor --publish 'farm/{device}/temp' --audience domain
  "$bin/edgeseal-agent" init
  "$bin/edgeseal-agent" identity request --device sensor -o sensor.request
  "$bin/edgeseal" device add sensor --request sensor.request --role sensor
  "$bin/edgeseal" device approve sensor --yes
  "$bin/edgeseal" publish --keys keys --passphrase-file pass.txt --unsynchronized-clock
  words=$("$bin/edgeseal" inspect bundle.edgeseal | sed -n 's/^root document 1: //p')
  "$bin/edgeseal-agent" trust apply bundle.edgeseal --root "$words"
} > prepared.txt 2>&1 || { cat prepared.txt; exit 1; }
"$bin/edgeseal-agent" run 2> log &
agent=$!
for _ in $(seq 100); do [ -S run/api.sock ] && break; sleep 0.05; done
"$bin/edgeseal-agent" sign --topic farm/sensor/temp --payload 21.4 > token
"$bin/edgeseal-agent" identity show --json > identity.json

cat > check.py <<'END'
import json, jwt, sys
token = open("token").read().strip()
key = jwt.PyJWK(json.load(open("identity.json"))["jwk"], algorithm="EdDSA").key
claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="domain:farm", issuer="farm",
                    options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"]})
assert claims["sub"] == "sensor" and claims["top"] == "farm/sensor/temp", claims
head, body, signature = token.split(".")
altered = ".".join([head, body, ("B" if signature[0] != "B" else "C") + signature[1:]])
try:
    jwt.decode(altered, key, algorithms=["EdDSA"], audience="domain:farm")
    sys.exit("PyJWT takes an altered token")
except jwt.InvalidSignatureError:
    print("PyJWT: verifies, and refuses the altered one")
END
"$python" check.py

cat > check.mjs <<'END'
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const { importJWK, jwtVerify, calculateJwkThumbprint } = createRequire(process.argv[2] + "/")("jose");
const token = readFileSync("token", "utf8").trim();
const jwk = JSON.parse(readFileSync("identity.json", "utf8")).jwk;
const key = await importJWK(jwk, "EdDSA");
const rules = { algorithms: ["EdDSA"], audience: "domain:farm", issuer: "farm", typ: "edgeseal-msg+jwt" };
const { payload, protectedHeader } = await jwtVerify(token, key, rules);
if (payload.sub !== "sensor") throw new Error("another sender");
if (protectedHeader.kid !== await calculateJwkThumbprint(jwk)) throw new Error("kid is not the thumbprint");
const [head, body, signature] = token.split(".");
const altered = [head, body, (signature[0] === "B" ? "C" : "B") + signature.slice(1)].join(".");
const refused = await jwtVerify(altered, key, rules).then(() => false, (error) => error.code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
if (!refused) throw new Error("jose takes an altered token");
console.log("jose: verifies, and refuses the altered one");
END
node check.mjs "$jose"

# The private key as it lies on the disk has the public half that the device shows.
x=$("$python" -c 'import json; print(json.load(open("identity.json"))["jwk"]["x"])')
openssl pkey -in state/identity.pem -pubout -outform DER | tail -c 32 | basenc --base64url | tr -d = | grep -qxF -e "$x"
for key in keys/*.pem; do
  openssl pkey -in "$key" -passin file:pass.txt -noout -text | grep -q 'ED25519 Private-Key'
done
echo "OpenSSL: reads the device's key and $(ls keys/*.pem | wc -l) keys of the operator"
