#!/bin/sh
# Builds the cluster's programs, which no Debian release packages at these
# versions, from the modules in programs/: pinned by go.mod and go.sum, fetched
# through Go's module proxy, once per version, into CACHE/programs. Writes the
# folders that hold them, one per line.
#
#   test/cluster/build.sh CACHE
set -eu
programs=$(cd "$(dirname "$0")/programs" && pwd)
cache=$1
PATH="$PATH:/usr/local/go/bin"

say() { printf '%s\n' "cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

options='-mod=readonly -trimpath -buildvcs=false'
mkdir -p "$cache/programs" "$cache/log"
# Two builds at once would do the same work twice.
exec 9>"$cache/programs/.lock"
flock 9

version() { # version MODULE FOLDER: what FOLDER's go.mod pins it to
  awk -v module="$1" '$1 == "require" { $0 = $2 " " $3 } $1 == module { print $2; exit }' "$programs/$2/go.mod"
}

# What `git` and make would have written into the programs, who report and compare their versions.
stamps() { # stamps FOLDER
  case $1 in
    kubernetes)
      pinned=$(version k8s.io/kubernetes kubernetes)
      minor=${pinned#v*.}
      minor=${minor%%.*}
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s ' \
          "$package" "$pinned" "$package" "$package" "$minor"
      done
      ;;
    containerd)
      printf -- '-X github.com/containerd/containerd/v2/version.Version=%s' \
        "$(version github.com/containerd/containerd/v2 containerd)"
      ;;
    docker)
      pinned=$(version github.com/moby/moby/v2 docker)
      printf -- '-X github.com/moby/moby/v2/dockerversion.Version=%s' "${pinned#v}"
      ;;
  esac
}

need_go() {
  command -v go >/dev/null ||
    fail "Go (1.26 or newer) is needed, once, to build the cluster's programs: https://go.dev/dl/"
}

build() { # build FOLDER MODULE
  ldflags="-s -w $(stamps "$1")"
  # Of all that goes into it, and nothing else: a change to one program leaves the others.
  key=$(printf '%s\n' "$options $ldflags" | cat - "$programs/$1/go.mod" "$programs/$1/go.sum" | sha256sum | cut -c 1-8)
  into="$cache/programs/$1-$(version "$2" "$1")-$key"
  if [ ! -d "$into" ]; then
    need_go
    log="$cache/log/build-$1.log"
    say "building $1 $(version "$2" "$1") (once; log: $log)"
    began=$(date +%s)
    rm -rf "$into.part"
    mkdir "$into.part"
    # Low priority: a cold build takes minutes of every core.
    (
      cd "$programs/$1"
      # shellcheck disable=SC2046,SC2086 # each line is a package, each word an option
      CGO_ENABLED=0 nice -n 19 go build $options -ldflags="$ldflags" -o "$into.part/" $(go list -mod=readonly tool)
    ) >"$log" 2>&1 || fail "$1 could not be built: $(tail -n 1 "$log") (all of it: $log)"
    # Go names a program after its package's folder.
    [ ! -e "$into.part/server" ] || mv "$into.part/server" "$into.part/etcd"
    mv "$into.part" "$into"
    say "built $1 in $(($(date +%s) - began)) s"
  fi
  printf '%s\n' "$into"
}

# The definitions of other projects' objects, out of their modules.
copy_definitions() {
  key=$(cat "$programs/crds/go.mod" "$programs/crds/go.sum" | sha256sum | cut -c 1-8)
  into="$cache/programs/crds-$key"
  if [ ! -d "$into" ]; then
    need_go
    rm -rf "$into.part"
    mkdir -p "$into.part/crds"
    while read -r module files; do
      folder=$(cd "$programs/crds" && go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
      # shellcheck disable=SC2086 # a pattern
      cp "$folder"/$files "$into.part/crds/" || fail "$module has no $files"
    done <<MODULES
github.com/cert-manager/cert-manager deploy/crds/cert-manager.io_*.yaml
github.com/openshift/api security/v1/zz_generated.crd-manifests/*.crd.yaml
github.com/prometheus-operator/prometheus-operator example/prometheus-operator-crd/*_podmonitors.yaml
github.com/prometheus-operator/prometheus-operator example/prometheus-operator-crd/*_prometheusrules.yaml
MODULES
    chmod -R u+w "$into.part"
    mv "$into.part" "$into"
  fi
  printf '%s\n' "$into"
}

build etcd go.etcd.io/etcd/server/v3
build cni-plugins github.com/containernetworking/plugins
build containerd github.com/containerd/containerd/v2
build multus gopkg.in/k8snetworkplumbingwg/multus-cni.v4
build kubernetes k8s.io/kubernetes
build docker github.com/moby/moby/v2
build helm helm.sh/helm/v4
copy_definitions
