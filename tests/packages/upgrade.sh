# An upgrade while programs publish and subscribe through the gateway. Part of booted.sh.
# GATEWAY: QoS 2 is neither lost nor doubled; of QoS 1 what was not acknowledged may come again; no will is fired.
traffic=/root/traffic
mkdir -p $traffic
declare -A process
program() { # name arguments: a plain program of libmosquitto, with a persistent session and a will
  local name=$1
  shift
  mkfifo "$traffic/$name.in"
  $here/client --version 5 --id "$name" "$@" <"$traffic/$name.in" >"$traffic/$name.log" 2>&1 &
  process[$name]=$!
}
has() { grep -q "$2" "$traffic/$1.log"; }
program observer --port 1883 --filter '#' 1
exec 7>"$traffic/observer.in"
program sub --port 1884 --persistent --filter 'site/pi-1/flow/#' 2 --will site/pi-1/gone/sub gone 1 0
exec 8>"$traffic/sub.in"
program pub --port 1884 --persistent --will site/pi-1/gone/pub gone 1 0
exec 9>"$traffic/pub.in"
within "the subscriber subscribes" has sub '"subscribed"'
within "the observer subscribes" has observer '"subscribed"'
within "the publisher connects" has pub '"connected"'

before=$(kid)
pid=$(systemctl show -p MainPID --value edgeseal-agent)
touch $traffic/goes-on
(
  number=0
  while [ -e $traffic/goes-on ]; do
    number=$((number + 1))
    for qos in 1 2; do echo "publish site/pi-1/flow/q$qos $qos 0 1 q$qos-$number"; done >&9
    echo $number >$traffic/sent
    sleep 0.02
  done
) &
flow=$!
within "messages flow" has sub 'q2-50-0'
dpkg -i $here/newer.deb
within "it runs after an upgrade" active
[ "$(systemctl show -p MainPID --value edgeseal-agent)" != "$pid" ]
after=$(($(cat $traffic/sent) + 50))
within "messages flow after the upgrade" has sub "q2-$after-0"
rm $traffic/goes-on
wait $flow
sent=$(cat $traffic/sent)
for qos in 1 2; do
  within "the last of QoS $qos arrives" has sub "q$qos-$sent-0"
  within "the last of QoS $qos is acknowledged" has pub "\"acked\".*q$qos-$sent\""
  grep -o "\"payload\":\"q$qos-[0-9]*" $traffic/sub.log | sed 's/.*-//' >$traffic/got-$qos
  # In order of their first arrival, none missing.
  awk '!seen[$0]++' $traffic/got-$qos | cmp - <(seq "$sent")
done
cmp $traffic/got-2 <(seq "$sent")
again=$(($(wc -l <$traffic/got-1) - sent))
[ "$again" -le 20 ] # as many as may be unacknowledged
has sub '"disconnected"'
has pub '"disconnected"'
[ "$(kid)" = "$before" ]
state signing ok
sleep 12 # the gateway asks brokers to delay wills by 10 s
if has observer site/pi-1/gone; then grep site/pi-1/gone $traffic/observer.log; false; fi
ok "an upgrade under traffic: $sent messages of QoS 1 and of QoS 2, none lost, QoS 1 $again times again, no will"

# The control: a program that dies has its will fired.
kill -9 "${process[sub]}"
within "the will of a program that was killed" has observer site/pi-1/gone/sub
exec 7>&- 8>&- 9>&-
ok "killed, a program has its will sent"
