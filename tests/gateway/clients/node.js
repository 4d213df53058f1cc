// An unchanged program of Node's `mqtt`. See README.md beside it for the command line that all clients share.
'use strict';
const path = require('node:path');
const readline = require('node:readline');
const mqtt = require(path.join(process.env.MQTT_MODULES, 'mqtt'));

const A_LONG_SESSION = 3600;
const given = read(process.argv.slice(2));
const five = given.version === 5;

function read(words) {
  const found = { host: '127.0.0.1', port: 1883, version: 5, persistent: false, filters: [], will: null };
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--host') found.host = words.shift();
    else if (word === '--port') found.port = Number(words.shift());
    else if (word === '--unix') found.unix = words.shift();
    else if (word === '--version') found.version = Number(words.shift());
    else if (word === '--id') found.id = words.shift();
    else if (word === '--persistent') found.persistent = true;
    else if (word === '--filter') found.filters.push([words.shift(), Number(words.shift())]);
    else if (word === '--will') {
      const [topic, payload, qos, retain] = words.splice(0, 4);
      found.will = { topic, payload, qos: Number(qos), retain: retain === '1' };
    } else throw new Error(`what is ${word}?`);
  }
  return found;
}

function say(event, members) {
  process.stdout.write(`${JSON.stringify({ event, ...members })}\n`);
}

function userProperties(packet) {
  const found = [];
  const user = (packet.properties && packet.properties.userProperties) || {};
  for (const [name, value] of Object.entries(user)) {
    for (const one of [].concat(value)) found.push([name, one]);
  }
  return found;
}

const options = {
  clientId: given.id,
  protocolVersion: given.version,
  clean: !given.persistent,
  keepalive: 20,
  reconnectPeriod: 200,
  connectTimeout: 5000,
  resubscribe: false,
  will: given.will || undefined,
};
if (five && given.persistent) options.properties = { sessionExpiryInterval: A_LONG_SESSION };
const at = given.unix ? { protocol: 'unix', path: given.unix } : { protocol: 'mqtt', host: given.host, port: given.port };
const client = mqtt.connect({ ...at, ...options });

client.on('connect', (ack) => {
  say('connected', { session: ack.sessionPresent });
  if (given.filters.length === 0 || ack.sessionPresent) return;
  const wanted = Object.fromEntries(given.filters.map(([filter, qos]) => [filter, { qos }]));
  client.subscribe(wanted, (why, granted) => {
    if (why) say('subscription-failed', { why: String(why) });
    else say('subscribed', { codes: granted.map((one) => one.qos) });
  });
});
client.on('close', () => say('disconnected', {}));
client.on('error', (why) => say('refused', { code: why.code === undefined ? String(why) : why.code }));
client.on('message', (topic, payload, packet) => {
  const { qos, retain, dup } = packet;
  say('message', { topic, payload: payload.toString(), qos, retain, dup, user: userProperties(packet) });
});

function publish(topic, qos, retain, payloads, prefix) {
  let left = payloads.length;
  const properties = five ? { userProperties: { from: given.id } } : undefined;
  for (const payload of payloads) {
    client.publish(topic, payload, { qos, retain, properties }, (why) => {
      if (why) say('publish-failed', { why: String(why) });
      left -= 1;
      if (left === 0) say('acked', { prefix });
    });
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const words = line.split(' ');
  if (words[0] === 'publish') {
    const [topic, qos, retain, count, prefix] = words.slice(1);
    const payloads = Array.from({ length: Number(count) }, (_, number) => `${prefix}-${number}`);
    publish(topic, Number(qos), retain === '1', payloads, prefix);
  } else if (words[0] === 'delete') {
    publish(words[1], Number(words[2]), true, [''], 'deleted');
  } else {
    lines.close();
  }
});
lines.on('close', () => client.end(false, {}, () => process.exit(0)));
