#!/usr/bin/env bash
# Installs Debian's packages of these names, also while somebody else is at work with apt.
set -euo pipefail

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

apt_get update
apt_get install --no-install-recommends "$@"
