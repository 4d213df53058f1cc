# What the scripts share that run in a booted Debian.
set -euo pipefail
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u edgeseal-agent -u edgeseal-clock --no-pager | tail -40' ERR
export DEBIAN_FRONTEND=noninteractive
here=$(cd "$(dirname "$0")" && pwd) # these scripts, and the packages
cd /root
ok() { echo "ok: $*"; }
patience=$((30 * ${PATIENCE:-1}))
within() { for _ in $(seq $((patience * 10))); do if "${@:2}"; then return 0; fi; sleep 0.1; done; echo "not within $patience s: $1"; return 1; }
active() { systemctl is-active -q edgeseal-agent; }
state() { # check state: what doctor says; its exit status says whether anything is broken
  { edgeseal-agent doctor --json || true; } | tr '{' '\n' | grep >/dev/null "\"check\":\"$1\",\"state\":\"$2\""
}
as() { setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"; }
kid() { edgeseal-agent status --json | sed -n 's/.*"kid":"\([^"]*\)".*/\1/p'; }
sign() { as program edgeseal-agent sign --topic site/pi-1/temp --payload 21.5; }
verify() { as program edgeseal-agent verify --topic site/pi-1/temp --payload 21.5 --token "$1"; }
units() { systemctl "$@" edgeseal-agent.socket edgeseal-agent.service; }
refused() { # code command: the command is refused, and says this
  local code=$1
  shift
  if "$@" >/tmp/refusal 2>&1; then echo "not refused:"; cat /tmp/refusal; return 1; fi
  grep -q -- "$code" /tmp/refusal || { cat /tmp/refusal; return 1; }
}
fails() { if "$@" >/dev/null 2>&1; then echo "it does not fail: $*"; return 1; fi; }
