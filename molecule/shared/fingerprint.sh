#!/bin/sh
# What a check-mode run must leave as it is: packages, accounts, units, and every file outside caches, logs and run-time
# state.
dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n'
sort /etc/passwd /etc/group
find /etc /usr/lib/postgresql /var/lib/postgresql /var/lib/pgstead /opt /root -xdev -type f ! -path '/root/.ansible/*' \
    -printf '%p %s %T@ %m %u\n' 2>/dev/null | sort
