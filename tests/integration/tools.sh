#!/usr/bin/env bash
# Installs the programs that dumps are encrypted, packed and uploaded with, and evidence is signed with, where one is missing.
set -euo pipefail
# What jobs look in: a program of the tests' own environment (its rclone) is none of the host's.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

missing=()
for program in age:age age-keygen:age gpg:gnupg minisign:minisign openssl:openssl rclone:rclone zstd:zstd; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
((${#missing[@]})) || exit 0
exec {lock}>/var/lock/pgstead-test-tools
flock "$lock" # several test processes may begin at once
"$(dirname "${BASH_SOURCE[0]}")/apt.sh" "${missing[@]}" >&2
