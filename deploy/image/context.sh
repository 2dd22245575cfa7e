#!/bin/sh
# Makes the image's build context anew: the program, and for each architecture
# Node.js, koffi's native part and the base.
#
#   context.sh CONTEXT BASES ARCH…     amd64, arm64; BASES/ARCH.tar is base.sh's
#   context.sh CONTEXT none ARCH…      for another base
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/../.." && pwd)
context=$1
bases=$2
shift 2
case $(uname -m) in
  x86_64) own=amd64 ;;
  aarch64) own=arm64 ;;
  *) own='' ;;
esac

fail() {
  printf 'context.sh: %s\n' "$*" >&2
  exit 1
}

rm -rf "$context"
mkdir -p "$context/podplug/node_modules"
context=$(CDPATH='' cd -P "$context" && pwd)
[ "$bases" = none ] || bases=$(CDPATH='' cd -P "$bases" && pwd)
cd "$root"
cp "$root/deploy/image/Dockerfile" "$context/"
cp -R "$root/bin" "$root/plugins" "$root/LICENSE" "$context/podplug/"
# A bundle of its own: programs that ran the tree's have added to its cache.
node "$root/scripts/build.ts" "$context/podplug/dist"
# Who reads a stack builds the same version again.
rm "$context"/podplug/dist/*.map
mv "$context/podplug/dist/packages.json" "$context/"

# Of koffi the parts in JavaScript; what it was built from stays behind.
mkdir -p "$context/podplug/node_modules/koffi"
(
  cd "$root/node_modules/koffi"
  find . \( -path ./doc -o -path ./vendor \) -prune -o \
    \( -name '*.js' -o -name '*.cjs' -o -name package.json -o -name LICENSE.txt \) -print0 |
    tar --create --null --files-from -
) | tar --extract --directory "$context/podplug/node_modules/koffi"

for arch; do
  case $arch in
    amd64) cpu=x64 ;;
    arm64) cpu=arm64 ;;
    *) fail "there is no Node.js for $arch: amd64 and arm64 have one" ;;
  esac
  into=$context/$arch/podplug
  native=@koromix/koffi-linux-$cpu
  modules=$root/node_modules toolchain=$root/toolchain/node_modules
  if [ "$arch" != "$own" ]; then
    # By the same lockfiles.
    other=$context/$arch/npm
    for folder in . toolchain; do
      mkdir -p "$other/$folder"
      cp "$root/$folder/package.json" "$root/$folder/package-lock.json" "$other/$folder/"
      npm ci --prefix "$other/$folder" --cpu "$cpu" --os linux --libc glibc --omit dev \
        --ignore-scripts --no-audit --no-fund --no-progress --loglevel error
    done
    modules=$other/node_modules toolchain=$other/toolchain/node_modules
  fi
  # Where bin/podplug looks first.
  mkdir -p "$into/toolchain/node_modules/.bin" "$into/node_modules/$native/linux_$cpu"
  cp "$toolchain/node-linux-$cpu/bin/node" "$into/toolchain/node_modules/.bin/node"
  cp "$modules/$native/index.js" "$modules/$native/package.json" "$into/node_modules/$native/"
  cp "$modules/$native/linux_$cpu/koffi.node" "$into/node_modules/$native/linux_$cpu/"
  node "$root/scripts/image-licenses.ts" "$context/packages.json" "$toolchain/node-linux-$cpu/bin/node" \
    >"$into/third-party-licenses"
  rm -rf "$context/$arch/npm"

  [ "$bases" != none ] || continue
  cp "$bases/$arch.tar" "$context/$arch/base.tar"
  tar --list --file "$context/$arch/base.tar" | sed 's/.*\///' | sort -u >"$context/$arch/base.files"
  for program in "$into/toolchain/node_modules/.bin/node" "$into/node_modules/$native/linux_$cpu/koffi.node"; do
    for library in $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
      grep -Fqx "$library" "$context/$arch/base.files" || fail "the base of $arch lacks $library, which ${program##*/} needs"
    done
  done
  rm "$context/$arch/base.files"
done
