#!/usr/bin/env bash
# Fetches the servers of package.json once, into a directory that an unprivileged user can read, and prints its path.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
target="${PGSTEAD_SERVERS:-/var/cache/pgstead}/servers-$(sha256sum <"$here/package.json" | cut -c1-12)"
if [[ -e "$target/.complete" ]]; then
    printf '%s\n' "$target"
    exit 0
fi
{
    if ! command -v npm >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm
    fi
    mkdir -p "$target"
    cp "$here/package.json" "$target/"
    npm install --prefix "$target" --no-audit --no-fund --ignore-scripts
    for package in "$target"/node_modules/pg*; do
        # the links between its libraries, which the package's own install script would make
        (cd "$package" && node scripts/hydrate-symlinks.js)
    done
    chmod -R a+rX "${target%/*}"
    touch "$target/.complete"
} >&2
printf '%s\n' "$target"
