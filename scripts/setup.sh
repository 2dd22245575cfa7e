#!/bin/sh
# Brings what the Makefile's commands need, and nothing twice:
#
#   scripts/setup.sh [demo] [test] [faults] [check] [bench] [cluster] [image] [packages] [test-packages]
#
# - Debian packages, for the commands named: installed when root; otherwise,
#   or without apt-get, one line says what is missing.
# - Node.js and npm from toolchain/, pinned, with whatever npm there is.
# - The tree's own packages, with that npm: an older one silently picks other
#   versions of some packages.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/toolchain/node_modules/.bin:$PATH:/usr/sbin:/sbin"
export PATH
mkdir -p .cache/setup 2>/dev/null || true

say() { printf '%s\n' "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

# Runs a command with its output in a log, which is shown only when it fails.
quietly() {
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
  else
    status=$?
    cat "$log" >&2
    rm -f "$log"
    return "$status"
  fi
}

missing=''
need() { # need PACKAGE COMMAND…: the Debian package that brings these commands
  package=$1
  shift
  for command; do
    command -v "$command" >/dev/null || { missing="$missing $package"; return; }
  done
}
need_plugins() {
  for dir in /opt/cni/bin /usr/lib/cni /usr/libexec/cni; do
    [ ! -x "$dir/bridge" ] || return 0
  done
  missing="$missing containernetworking-plugins"
}
# The one of package busybox needs libraries that an image of it alone doesn't have.
need_static_busybox() {
  busybox=$(command -v busybox) || busybox=''
  if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
    missing="$missing busybox-static"
  fi
}

# Its library is preloaded; the command of that name comes with another package.
need_faketime() {
  for library in /usr/lib/*/faketime/libfaketime.so.1; do
    [ ! -e "$library" ] || return 0
  done
  missing="$missing libfaketime"
}

toolchain_stamp() { cksum <toolchain/package-lock.json; }
tree_stamp() { cat package-lock.json toolchain/package-lock.json | cksum; }
has_toolchain() {
  [ -x toolchain/node_modules/.bin/node ] && [ "$(cat .cache/setup/toolchain 2>/dev/null)" = "$(toolchain_stamp)" ]
}
has_tree() { [ -d node_modules ] && [ "$(cat .cache/setup/tree 2>/dev/null)" = "$(tree_stamp)" ]; }

# Debian's npm trusts the certificates of ca-certificates, which it only recommends.
has_toolchain || command -v npm >/dev/null || missing="$missing npm ca-certificates"
for purpose; do
  case $purpose in
    demo)
      need iproute2 ip
      need util-linux unshare
      need iputils-ping ping
      need curl curl
      need_plugins
      ;;
    bench)
      need iproute2 ip
      need util-linux unshare
      need gcc cc
      [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
      need_plugins
      ;;
    test)
      need iproute2 ip
      need util-linux unshare nsenter
      need iputils-ping ping
      need curl curl
      need iptables iptables
      need strace strace
      need checkpolicy checkmodule
      need semodule-utils semodule_package
      need_plugins
      ;;
    faults) need_faketime ;;
    check) need shellcheck shellcheck ;;
    packages)
      need dpkg dpkg-deb
      need rpm rpmbuild
      need binutils strip
      ;;
    test-packages)
      need iproute2 ip
      need util-linux unshare nsenter
      need systemd systemctl systemd-analyze
      need rpm rpm
      need man-db man
      need mandoc mandoc
      need_plugins
      ;;
    cluster)
      need iproute2 ip
      need util-linux unshare nsenter setpriv
      need mount mount
      need iptables iptables
      need openssl openssl
      need curl curl
      need runc runc
      need_static_busybox
      ;;
    image) need binutils readelf ;;
    *) fail "unknown purpose $purpose" ;;
  esac
done

if [ -n "$missing" ]; then
  # shellcheck disable=SC2086 # each word is a package
  missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
  missing=${missing% }
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "please install what is missing first: apt-get install --no-install-recommends $missing"
  fi
  say "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  # The package lists are fetched only when they are absent or too old to serve.
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
    quietly apt-get update -qq || fail "apt-get update failed"
    quietly apt-get install -y -qq --no-install-recommends $missing || fail "apt-get could not install $missing"
  }
fi

# npm keeps its cache and logs in the user's home, which not every user has.
if [ ! -w "${HOME:-/nonexistent}" ]; then
  export npm_config_cache="$PWD/.cache/npm"
fi

if ! has_toolchain; then
  say "installing Node.js and npm (pinned in toolchain/)"
  quietly npm ci --prefix toolchain --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error ||
    fail "npm could not install the toolchain"
  node=toolchain/node_modules/.bin/node
  # npm 9 drops this link together with the package for the other architecture, which names it too.
  for package in toolchain/node_modules/node-linux-*; do
    [ ! -x "$package/bin/node" ] || ln -sf "../${package##*/}/bin/node" "$node"
  done
  [ -x "$node" ] || fail "there is no pinned Node.js for this machine ($(uname -sm)); Linux on x86_64 and aarch64 have one"
  "$node" --version >/dev/null || fail "the pinned Node.js doesn't run on this machine"
  toolchain_stamp >.cache/setup/toolchain
fi

if ! has_tree; then
  say "installing the packages of package-lock.json"
  quietly npm ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error ||
    fail "npm could not install the packages"
  tree_stamp >.cache/setup/tree
fi
