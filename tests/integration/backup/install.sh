#!/usr/bin/env bash
# Installs pgBackRest where it is missing.
set -euo pipefail

if [[ ! -x /usr/bin/pgbackrest ]]; then
    exec {lock}>/run/lock/pgstead-tests-pgbackrest
    flock "$lock" # several test processes may begin at once
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install -y -qq --no-install-recommends pgbackrest
fi >&2
