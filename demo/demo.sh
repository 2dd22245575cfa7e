#!/bin/sh
# The main job from end to end, in namespaces of its own: an agent, a network
# namespace that stands for a pod, two networks plugged in and unplugged again.
set -eu
cd "$(dirname "$0")/.."
[ "${1:-}" = inside ] || exec test/sandbox.sh demo/demo.sh inside

PATH="$PWD/bin:$PATH"
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  title=$(printf '\033[1;36m') command=$(printf '\033[1m') good=$(printf '\033[32m')
  bad=$(printf '\033[1;31m') off=$(printf '\033[0m')
else
  title='' command='' good='' bad='' off=''
fi
agent=''

say() { printf '\n%s%s%s\n' "$title" "$*" "$off"; }
well() { printf '%s✓ %s%s\n' "$good" "$*" "$off"; }
fail() {
  printf '%s✗ %s%s\n' "$bad" "$*" "$off" >&2
  exit 1
}
show() { printf '%s$ %s%s\n' "$command" "$*" "$off"; }
run() { # run COMMAND…: shows it, then does it
  show "$*"
  "$@"
}
pings() { # pings COMMAND…: shows it, does it, and shows what came of it
  show "$*"
  answer=$("$@") || fail "no answer: $answer"
  echo "$answer" | grep transmitted
}
finish() {
  status=$?
  [ -z "$agent" ] || kill -KILL "$agent" 2>/dev/null || true
  [ "$status" = 0 ] || [ ! -s /run/demo/agent.log ] || {
    printf '\nThe agent said:\n' >&2
    cat /run/demo/agent.log >&2
  }
}
trap finish EXIT

# What must be there while a network is plugged, and gone when it isn't.
interfaces() { ip -n demo -brief link show up; }
leases() { find /run/demo/leases -name '[0-9]*' 2>/dev/null | sort; }
records() { find /run/demo/state/results -type f 2>/dev/null | sort; }

mkdir -p /run/demo
cp -R demo/networks /run/demo/networks

say "1. The node's agent, with two networks in a directory: blue (bridge) and green (ptp)"
show "podplug agent --config demo/podplug.yaml &"
podplug agent --config demo/podplug.yaml >/run/demo/agent.log 2>&1 &
agent=$!
tries=0
until podplug info >/dev/null 2>&1; do
  kill -0 "$agent" 2>/dev/null || fail "the agent ended"
  tries=$((tries + 1))
  [ "$tries" -lt 50 ] || fail "the agent doesn't answer"
  sleep 0.1
done
run podplug info

say "2. A network namespace that stands for a running pod: it has nothing but lo"
run ip netns add demo
run ip -n demo link set lo up
run ip -n demo -brief link

say "3. Plug in: blue under a name of our choice, green under the lowest free one"
run podplug attach --netns demo blue --interface data0 --mac 02:00:00:00:00:2a
run podplug attach --netns demo green

say "4. What the pod has now, by the command and by the API"
run podplug list --netns demo
url=http://127.0.0.1:7654/podplug.v1.NodeService/ListInterfaces
body='{"target": {"netns": "demo"}}'
show "curl -H 'Content-Type: application/json' -d '$body' $url"
answer=$(curl --silent --show-error --fail-with-body -H 'Content-Type: application/json' -d "$body" "$url") ||
  fail "the API answered: $answer"
printf '%.240s …\n' "$answer"
[ "$(leases | wc -l)" = 2 ] || fail "there should be two address leases: $(leases)"
[ "$(records | wc -l)" = 2 ] || fail "there should be two records: $(records)"
well "two interfaces, two address leases, two records"

say "5. Traffic: from the pod to the node over both, and back"
pings ip netns exec demo ping -q -c 2 -i 0.2 -W 2 -I data0 10.42.1.1
pings ip netns exec demo ping -q -c 2 -i 0.2 -W 2 -I net1 10.42.2.1
pings ping -q -c 2 -i 0.2 -W 2 10.42.1.2
well "traffic flows"

say "6. Unplug both"
run podplug detach --netns demo --interface data0
run podplug detach --netns demo green
run ip -n demo -brief link
[ "$(interfaces | wc -l)" = 1 ] || fail "an interface was left"
well "the interfaces are gone"
[ -z "$(leases)" ] || fail "an address lease was left: $(leases)"
well "the address leases are gone"
[ -z "$(records)" ] || fail "a record was left: $(records)"
well "the records are gone"

say "7. The agent ends when it is told to"
run kill -TERM "$agent"
wait "$agent" || fail "the agent ended with exit code $?"
agent=''
[ ! -e /run/podplug/podplug.sock ] || fail "the agent left its socket"
well "it ended well; the namespaces go with this script"
