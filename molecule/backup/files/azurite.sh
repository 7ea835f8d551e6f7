#!/usr/bin/env bash
# Fetches azurite once, as a directory that runs where node is, and prints its path.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
target="${PGSTEAD_SERVERS:-/var/cache/pgstead}/azurite-$(sha256sum <"$here/package.json" | cut -c1-12)"
if [[ ! -e "$target/.complete" ]]; then
    {
        if ! command -v npm >/dev/null; then
            DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update -qq
            DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install -y -qq --no-install-recommends npm
        fi
        rm -rf "$target"
        mkdir -p "$target"
        cp "$here/package.json" "$target/"
        npm install --prefix "$target" --no-audit --no-fund --ignore-scripts --omit=dev
        touch "$target/.complete"
    } >&2
fi
printf '%s\n' "$target"
