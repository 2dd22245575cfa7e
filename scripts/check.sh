#!/bin/sh
# Runs every check, whatever the ones before said, and ends with `N passed, N failed`.
set -eu
cd "$(dirname "$0")/.."
output=$(mktemp)
own=$(mktemp -d)
trap 'rm -rf "$output" "$own"' EXIT
# vitest keeps a token for its user, who may have no home.
export XDG_DATA_HOME="$own"
passed=0
failed=0

check() { # check NAME COMMAND…
  name=$1
  shift
  if "$@" >"$output" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name: $*"
    sed 's/^/      /' "$output"
  fi
}

# The shell scripts of the tree: by their name or by their first line.
scripts=$(find . \( -name node_modules -o -name .git -o -name .cache -o -name dist \) -prune -o \
  -type f \( -name '*.sh' -o -path './bin/*' -o -path './plugins/*' -o -path './deploy/*' -o -path './.ci/*' \) -print)
shell() {
  # Names of the tree's own files hold no spaces.
  # shellcheck disable=SC2086
  for script in $scripts; do
    head -n 1 "$script" | grep -q '^#!.*sh$' || continue
    shellcheck "$script" || return 1
  done
}

check "types" tsc
check "lint" oxlint --type-aware
check "format and import order" biome check --error-on-warnings
check "unused code" knip --no-progress --treat-config-hints-as-errors
check "imports between rooms" vitest run --configLoader native test/architecture
check "proto" buf lint
check "generated code" scripts/check-generated.sh
check "docs/cli.md" node scripts/write-cli-docs.ts --check
check "docs/errors.md" node scripts/write-error-docs.ts --check
check "docs/configuration.md" node scripts/write-config-docs.ts --check
check "docs/metrics.md" node scripts/write-metrics-docs.ts --check
check "deploy/grafana-dashboard.json" node scripts/write-dashboard.ts --check
check "deploy/helm/podplug/values.schema.json" node scripts/write-chart-schema.ts --check
check "links" node scripts/check-links.ts
check "shell scripts" shell

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
