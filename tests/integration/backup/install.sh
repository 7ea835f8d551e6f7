#!/usr/bin/env bash
# Installs pgBackRest where it is missing.
set -euo pipefail

if [[ ! -x /usr/bin/pgbackrest ]]; then
    exec {lock}>/run/lock/pgstead-tests-pgbackrest
    flock "$lock" # several test processes may begin at once
    DEBIAN_FRONTEND=noninteractive apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbackrest
fi >&2
