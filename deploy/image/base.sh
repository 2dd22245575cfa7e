#!/bin/sh
# Assembles what the image needs below podplug, from Debian's packages and
# nothing else: the C and C++ libraries, a shell with its tools, and what
# podplug-uplink calls. No container runtime and no root is needed, and nothing
# of another architecture is run.
#
#   base.sh ARCH TARBALL     ARCH as Debian has it: amd64, arm64
set -eu
arch=$1
tarball=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  printf 'base.sh: %s\n' "$*" >&2
  exit 1
}

# By the machine's own sources and keys, with a state of its own, as the
# machine's is for its own architecture and may be old.
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/all" "$work/root"
: >"$work/status"
for_arch() { # for_arch APT-PROGRAM ARGUMENT…
  program=$1
  shift
  "$program" -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
    -o Dir::State="$work/state" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
for_arch apt-get update >"$work/log" 2>&1 || fail "Debian's lists of packages can't be had: $(tail -n 1 "$work/log")"

# With every library that they may need; which of them they do is seen below.
wanted='libc6 libstdc++6 busybox iproute2 util-linux'
libraries=$(
  # shellcheck disable=SC2086 # a word each
  for_arch apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances $wanted | grep -E '^(lib|zlib|gcc-)[a-z0-9.+-]+$' | sort -u
)
# shellcheck disable=SC2086
(cd "$work/debs" && for_arch apt-get download $wanted $libraries) >"$work/log" 2>&1 ||
  fail "Debian's packages can't be had: $(tail -n 1 "$work/log")"
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/all"; done

# What is in /bin here is in /usr/bin there, of old packages too.
for folder in bin sbin lib lib64; do
  [ ! -d "$work/all/$folder" ] || [ -L "$work/all/$folder" ] || {
    mkdir -p "$work/all/usr/$folder"
    cp -a "$work/all/$folder/." "$work/all/usr/$folder/"
    rm -r "$work/all/$folder"
  }
  mkdir -p "$work/root/usr/$folder"
  ln -s "usr/$folder" "$work/root/$folder"
  [ -e "$work/all/$folder" ] || ln -s "usr/$folder" "$work/all/$folder"
done

take() { # take PATH: with the libraries that it needs, in its own place
  [ ! -e "$work/root$1" ] || return 0
  mkdir -p "$work/root${1%/*}"
  cp -L "$work/all$1" "$work/root$1"
  for library in $(readelf -d "$work/root$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    take_library "$library"
  done
}

take_library() { # take_library SONAME
  found=$(cd "$work/all" && find usr -name "$1" ! -path '*/glibc-hwcaps/*' | head -n 1)
  [ -n "$found" ] || fail "no package of the base has $1"
  take "/$found"
}

take /usr/bin/busybox
take /usr/bin/flock
take /usr/sbin/ip
take /usr/sbin/bridge
# What Node.js needs, and where every program says that its loader is.
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 libstdc++.so.6 libgcc_s.so.1; do take_library "$library"; done
loader=$(readelf -l "$work/root/usr/bin/busybox" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
take_library "${loader##*/}"
[ -e "$work/root$loader" ] || ln -s "/$found" "$work/root$loader"
for tool in sh cat chmod cp cut date echo env false grep head id kill ln ls mkdir mktemp mv ps readlink rm rmdir sed \
  sleep sort tail test touch tr true uname wc; do
  ln -s busybox "$work/root/usr/bin/$tool"
done

# Whose work it is, as their licenses ask; and which versions, for who looks for holes in them.
mkdir -p "$work/root/usr/share/doc" "$work/root/etc" "$work/root/tmp" "$work/root/run" "$work/root/proc" "$work/root/sys" \
  "$work/root/dev" "$work/root/var/lib/dpkg/status.d"
ln -s ../run "$work/root/var/run"
for deb in "$work"/debs/*.deb; do
  package=$(dpkg-deb -f "$deb" Package)
  dpkg-deb --fsys-tarfile "$deb" | tar --list | sed 's/^\.//; s/^\/\(bin\|sbin\|lib\|lib64\)\//\/usr\/\1\//' >"$work/files"
  while read -r file; do
    [ ! -f "$work/root$file" ] || {
      dpkg-deb -f "$deb" Package Version Architecture Source >"$work/root/var/lib/dpkg/status.d/$package"
      mkdir -p "$work/root/usr/share/doc/$package"
      cp -L "$work/all/usr/share/doc/$package/copyright" "$work/root/usr/share/doc/$package/"
      break
    }
  done <"$work/files"
done
printf 'root:x:0:0:root:/:/bin/sh\n' >"$work/root/etc/passwd"
printf 'root:x:0:\n' >"$work/root/etc/group"
printf 'hosts: files dns\n' >"$work/root/etc/nsswitch.conf"

tar --create --file "$tarball" --directory "$work/root" --owner 0 --group 0 --numeric-owner --sort name \
  --mtime @0 .
