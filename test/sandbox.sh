#!/bin/sh
# Runs a command in user (unless root), mount, network and PID namespaces of
# its own: /run and /var/lib/cni are empty, only a loopback is there, and
# whatever is left when the command ends goes with the namespaces. Nothing
# reaches the host's network.
#
#   test/sandbox.sh COMMAND [ARG …]
set -eu
if [ "${PODPLUG_SANDBOX:-}" != inside ]; then
  flags='--mount --net --pid --fork --kill-child --mount-proc --propagation private'
  [ "$(id -u)" = 0 ] || flags="--user --map-root-user $flags"
  # Tried on nothing first: a refusal is told apart from the command's own failure.
  # shellcheck disable=SC2086 # each word is a flag
  if ! refusal=$(unshare $flags true 2>&1); then
    echo "$0: this machine refuses namespaces ($refusal); run it as root (in a container: a privileged one) or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0)" >&2
    exit 1
  fi
  # shellcheck disable=SC2086
  exec env PODPLUG_SANDBOX=inside unshare $flags "$0" "$@"
fi
mount -t tmpfs -o mode=0755 tmpfs /run
# Where plugins keep their leases unless told otherwise. A directory that isn't
# there can't be covered, and must not be made on the host: then its parent is.
if [ -d /var/lib/cni ]; then
  mount -t tmpfs -o mode=0755 tmpfs /var/lib/cni
else
  case $PWD/ in
    /var/lib/*) ;;
    *) mount -t tmpfs -o mode=0755 tmpfs /var/lib ;;
  esac
fi
# sysfs shows the network of the namespace it was mounted in.
mount -t sysfs sysfs /sys 2>/dev/null || true
mkdir -p /run/netns
# What tools keep for their user ends with the namespaces, and a user without a home can run them.
export XDG_DATA_HOME=/run/xdg/data XDG_CACHE_HOME=/run/xdg/cache
ip link set lo up
unset PODPLUG_SANDBOX
exec "$@"
