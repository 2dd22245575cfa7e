#!/bin/bash
# Runs a command on a machine of its own, whose first process is systemd: in
# namespaces, with this machine's programs, and with every change to its files
# in memory. The machine ends with the command; nothing of it stays. As root.
#
#   test/packages/machine.sh COMMAND [ARG …]
set -euo pipefail

fail() { printf '%s\n' "machine: $*" >&2; exit 1; }

# Version 2's only tree, or all of version 1's.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  cgroups=(/sys/fs/cgroup)
else
  cgroups=()
  for tree in /sys/fs/cgroup/*/; do [ ! -e "$tree/cgroup.procs" ] || cgroups+=("${tree%/}"); done
fi

# What would reach the kernel that all machines here share, or waits for devices, isn't started.
prepare() {
  local unit
  rm -rf etc/systemd/system/*.wants
  for unit in lib/systemd/system/*.wants/*; do
    case ${unit##*/} in
      systemd-journald.service | systemd-journald.socket | systemd-journald-dev-log.socket | *.target | *.slice) ;;
      *) ln -sf /dev/null "etc/systemd/system/${unit##*/}" ;;
    esac
  done
  printf '[Unit]\nDescription=nothing but what is asked for\n' >etc/systemd/system/quiet.target
  # Where one forbids packages to start services.
  rm -f usr/sbin/policy-rc.d
  # A machine that is in memory has nothing to sync, and nobody to look for a word in its manual.
  echo force-unsafe-io >etc/dpkg/dpkg.cfg.d/podplug-test
  rm -f var/lib/man-db/auto-update
  # Of a podplug and of plugins that have run on this machine.
  rm -rf var/lib/podplug var/lib/cni etc/podplug
}

make_devices() {
  local device
  mount -t tmpfs -o mode=0755 tmpfs dev
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/shm dev/pts
  ln -s /proc/self/fd dev/fd
  ln -s pts/ptmx dev/ptmx
}

if [ "${1:-}" = --boot ]; then
  tree=$2
  top=$(mktemp -d)
  mount -t tmpfs -o mode=0755 tmpfs "$top"
  mkdir "$top/changes" "$top/work" "$top/root"
  mount -t overlay -o "lowerdir=/,upperdir=$top/changes,workdir=$top/work" overlay "$top/root"
  cd "$top/root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  if [ "${cgroups[0]}" = /sys/fs/cgroup ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
  else
    mount -t tmpfs -o mode=0755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  fi
  make_devices
  for folder in run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
  chmod 0755 run
  prepare
  # Wherever it is mounted from.
  mkdir -p ".$tree"
  mount --rbind "$tree" ".$tree"
  # All that was mounted before goes, that systemd may mount over it as on any machine.
  pivot_root . mnt
  # systemd keeps from what isn't a container's when it knows that it is in one.
  exec chroot . env -i container=podplug-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    sh -c 'umount --lazy /mnt; exec "$@"' sh \
    /lib/systemd/systemd --system --unit=quiet.target --log-target=journal --show-status=no
fi

[ "$(id -u)" = 0 ] || fail "needs root, as systemd does"
[ -x /lib/systemd/systemd ] || fail "needs the Debian package systemd"

# Its groups, which the machine takes for the whole tree.
name=podplug-machine-$$
for tree in "${cgroups[@]}"; do
  mkdir "$tree/$name"
  # Of version 1, where nothing can join a group that has neither.
  for file in cpuset.cpus cpuset.mems; do
    if [ "$tree" != /sys/fs/cgroup ] && [ -e "$tree/$file" ]; then cat "$tree/$file" >"$tree/$name/$file"; fi
  done
done
join() { # join GROUP: with this process
  local tree
  for tree in "${cgroups[@]}"; do echo "$BASHPID" >"$tree/$1/cgroup.procs"; done
}
unshare=''
said=$(mktemp)
first_process() { tr -d ' ' <"/proc/$unshare/task/$unshare/children"; }
finish() {
  local first
  if [ -n "$unshare" ]; then
    first=$(first_process)
    kill -KILL "${first:-$unshare}" 2>/dev/null || true
    wait "$unshare" 2>/dev/null || true
  fi
  rm -f "$said"
  for tree in "${cgroups[@]}"; do
    # A group is busy until the last of its processes is gone.
    for _ in {1..100}; do
      if find "$tree/$name" -depth -type d -exec rmdir {} + 2>/dev/null; then break; fi
      sleep 0.1
    done
    if [ -e "$tree/$name" ]; then echo "$0: $tree/$name is left" >&2; fi
  done
}
trap finish EXIT

(
  join "$name"
  exec unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child --propagation private \
    "$0" --boot "$PWD"
) 2>"$said" &
unshare=$!

enter() { # enter COMMAND…: where the first process is
  (
    first=$(first_process)
    if [ "${cgroups[0]}" = /sys/fs/cgroup ]; then
      # Version 2 wants no processes beside the groups of services.
      mkdir -p "/sys/fs/cgroup/$name/command"
      join "$name/command"
    else
      join "$name"
    fi
    exec nsenter --target "$first" --mount --net --pid --uts --ipc --cgroup --root -- \
      env --chdir="$PWD" "$@"
  )
}
deadline=$((SECONDS + 60))
until enter systemctl is-active --quiet quiet.target 2>/dev/null; do
  kill -0 "$unshare" 2>/dev/null || fail "the machine didn't start: $(cat "$said")"
  [ "$SECONDS" -lt "$deadline" ] || fail "the machine isn't up after 60 s"
  sleep 0.1
done
enter "$@"
