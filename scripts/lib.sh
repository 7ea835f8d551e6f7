# shellcheck shell=bash
# What setup, quickstart and test share: where things live, stages with seconds, and failures that explain themselves.
# Sourced, never run.

set -Eeuo pipefail

export HOME="${HOME:-/root}"
# Ansible refuses to start under a locale that is not UTF-8.
export LC_ALL=C.UTF-8
# Root's shell after `su` lacks these.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

PGSTEAD_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
PGSTEAD_CACHE="${PGSTEAD_CACHE:-$HOME/.cache/pgstead}"
# One state directory per checkout: two clones on one machine share virtual environments, and the names of containers. So
# one of them at a time runs tests, or has the sandbox.
PGSTEAD_STATE="$PGSTEAD_CACHE/checkouts/$(printf '%s' "$PGSTEAD_ROOT" | sha256sum | cut -c1-12)"
PGSTEAD_LOGS="$PGSTEAD_STATE/logs"
PGSTEAD_ENV="$PGSTEAD_STATE/env"
export PGSTEAD_ROOT PGSTEAD_CACHE PGSTEAD_STATE PGSTEAD_ENV

script="${0##*/}"
stage_name="starting"
stage_since=$SECONDS
# What to tell a person whose run failed in this stage.
hint=""

say() { printf '    %s\n' "$*"; }

# Not the shell's own way, which goes on where a child outlives the interrupt.
trap 'exit 130' INT

# stage <name> [hint]: ends the previous stage, begins one.
stage() {
    stage_name="$1"
    hint="${2:-}"
    stage_since=$SECONDS
    printf '\n==> %s: %s\n' "$script" "$stage_name"
}

stage_done() {
    printf '    %s (%d s)\n' "${1:-done}" "$((SECONDS - stage_since))"
}

# failed <what> [how to get it]: the one way a script ends unsuccessfully.
failed() {
    trap - ERR
    {
        printf '\nFAILED in %s, stage "%s" after %d s\n' "$script" "$stage_name" "$SECONDS"
        printf '  what:   %s\n' "$1"
        if [[ -n "${2:-$hint}" ]]; then printf '  remedy: %s\n' "${2:-$hint}"; fi
    } >&2
    exit 1
}

trap 'failed "command \"${BASH_COMMAND%%$'\''\n'\''*}\" returned $? (line $LINENO of ${BASH_SOURCE[0]##*/})"' ERR

# logged <log> <command…>: output into a file; its end is shown when the command fails.
logged() {
    local log="$PGSTEAD_LOGS/$1.log" rc=0
    shift
    mkdir -p "$PGSTEAD_LOGS"
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    if ((rc != 0)); then
        printf '    --- last lines of %s\n' "$log" >&2
        tail -n 25 "$log" | sed 's/^/    | /' >&2
        failed "\"$1\" returned $rc; its output is in $log"
    fi
}

have() { command -v "$1" >/dev/null 2>&1; }

engine_answers() { have docker && timeout 20 docker info >/dev/null 2>&1; }

# A `docker` that is Podman in disguise (package podman-docker) is not the engine the tests are written for.
docker_is_podman() { have docker && docker --version 2>/dev/null | grep -qi podman; }

# need_value <option> <value>
need_value() {
    [[ -n "${2:-}" ]] || failed "option $1 needs a value" "see scripts/$script --help"
}
