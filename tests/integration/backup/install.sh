#!/usr/bin/env bash
# Installs pgBackRest where it is missing.
set -euo pipefail

if [[ ! -x /usr/bin/pgbackrest ]]; then
    exec {lock}>/run/lock/pgstead-tests-pgbackrest
    flock "$lock" # several test processes may begin at once
    "$(dirname "${BASH_SOURCE[0]}")/../apt.sh" pgbackrest
fi >&2
