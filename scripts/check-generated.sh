#!/bin/sh
# Writes everything generated anew, beside the tree, and compares.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
status=0

same() { # same COMMITTED FRESH
  diff -r "$1" "$2" || {
    echo "$1 is out of date: run make gen" >&2
    status=1
  }
}

node scripts/print-validate-proto.ts >"$fresh/validate.proto"
same third_party/buf/validate/validate.proto "$fresh/validate.proto"
buf generate --output "$fresh"
same gen "$fresh/gen"
exit "$status"
