#!/bin/bash
# A Kubernetes of one node (`lab`) in network, mount and PID namespaces of its
# own. All its files, sockets and logs of pods are in memory there; on the host
# are only the built programs and the logs, in a cache, and while it runs a
# cgroup. Ending its first process ends everything.
#
#   cluster.sh up            brings it up and keeps it
#   cluster.sh exec CMD…     runs a command in it (kubectl is on the PATH)
#   cluster.sh run CMD…      as exec if one is up, else in one for this command alone
#   cluster.sh down          ends it
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${PODPLUG_CLUSTER_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/podplug/cluster}
root=$(cd "$here/../.." && pwd)
PATH="$root/toolchain/node_modules/.bin:$root/node_modules/.bin:$PATH:/usr/sbin:/sbin"
# Of the first process: its PID and when it started, as a PID alone may be another's by now.
first="$cache/first-process"

say() { printf '%s\n' "cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
pid=''
is_up() {
  local since
  read -r pid since 2>/dev/null <"$first" && [ -n "$since" ] && [ "$(started "$pid")" = "$since" ]
}

# Cgroups outlive their processes, and a run that was killed leaves its own.
remove_cgroups() {
  local group
  for group in /sys/fs/cgroup/podplug-cluster-* /sys/fs/cgroup/*/podplug-cluster-*; do
    if [ -d "$group" ] && [ ! -d "/proc/${group##*-}" ]; then
      find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    fi
  done
}

# The command that becomes the first process and its parent, who takes it along when it ends.
isolated=(unshare --net --mount --pid --fork --kill-child --propagation private "$here/node.sh" "$cache")

# Ends the first process rather than its parent, who then waits until all the others are gone.
stop() {
  local child=''
  read -r child _ 2>/dev/null <"/proc/$parent/task/$parent/children"
  kill -KILL "${child:-$parent}" 2>/dev/null
}

prepare() {
  [ "$(id -u)" = 0 ] || fail "needs root, as a kubelet does"
  mkdir -p "$cache/log"
  remove_cgroups
  "$here/build.sh" "$cache" >"$cache/folders.$$" || exit
  mv "$cache/folders.$$" "$cache/folders"
}

inside() {
  nsenter --target "$pid" --net --mount --pid -- "$here/node.sh" "$cache" inside "$PWD" "$@"
}

case ${1:-} in
  up)
    prepare
    if is_up; then
      say "is up already"
      exit
    fi
    began=${EPOCHREALTIME/[.,]/}
    rm -f "$first" "$cache/ready"
    setsid "${isolated[@]}" keep "$first" "$cache/ready" </dev/null >"$cache/log/node.log" 2>&1 &
    parent=$!
    until [ -e "$cache/ready" ]; do
      kill -0 "$parent" 2>/dev/null || {
        tail -n 3 "$cache/log/node.log" >&2
        remove_cgroups
        fail "didn't come up (logs: $cache/log)"
      }
      sleep 0.05
    done
    say "up in $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms; test/cluster/cluster.sh exec kubectl get pods -A"
    ;;
  exec)
    shift
    is_up || fail "isn't up: make cluster-up"
    inside "$@"
    ;;
  run)
    shift
    [ "$(id -u)" = 0 ] || fail "needs root, as a kubelet does"
    if is_up; then
      inside "$@"
      exit
    fi
    prepare
    # Whatever ends this shell ends the cluster, even when nothing here can run any more.
    setpriv --pdeathsig KILL "${isolated[@]}" run "$PWD" "$@" &
    parent=$!
    trap stop HUP INT TERM
    status=0
    # A signal ends the first wait only; nothing is said of processes that were killed.
    wait "$parent" 2>/dev/null || status=$?
    while kill -0 "$parent" 2>/dev/null; do wait "$parent" 2>/dev/null; done
    remove_cgroups
    exit "$status"
    ;;
  down)
    if is_up; then
      [ "$(id -u)" = 0 ] || fail "needs root, as a kubelet does"
      kill -KILL "$pid"
      while is_up; do sleep 0.02; done
    fi
    rm -f "$first" "$cache/ready"
    remove_cgroups
    ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
