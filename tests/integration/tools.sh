#!/usr/bin/env bash
# Installs the programs that dumps are encrypted, packed and uploaded with, where one is missing.
set -euo pipefail

missing=()
for program in age:age age-keygen:age gpg:gnupg openssl:openssl rclone:rclone zstd:zstd; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
((${#missing[@]})) || exit 0
exec {lock}>/var/lock/pgstead-test-tools
flock "$lock" # several test processes may begin at once
{
    DEBIAN_FRONTEND=noninteractive apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
} >&2
