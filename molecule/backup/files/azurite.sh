#!/usr/bin/env bash
# Fetches azurite once, as a directory that runs where node is, and prints its path.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
target="${PGSTEAD_SERVERS:-/var/cache/pgstead}/azurite-$(sha256sum <"$here/package.json" | cut -c1-12)"
if [[ ! -e "$target/.complete" ]]; then
    {
        command -v npm >/dev/null || "$here/../../../tests/integration/apt.sh" npm
        rm -rf "$target"
        mkdir -p "$target"
        cp "$here/package.json" "$target/"
        npm install --prefix "$target" --no-audit --no-fund --ignore-scripts --omit=dev
        touch "$target/.complete"
    } >&2
fi
printf '%s\n' "$target"
