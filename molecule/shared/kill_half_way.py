"""Start the site and kill it, on the controller and on the hosts, while it is making the cluster.

What is left is the worst case: a data directory half made, and a marker that says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

HOSTS = ("pgstead-bookworm", "pgstead-trixie")
PATIENCE_SECONDS = 900


def on(host: str, command: str) -> str:
    return subprocess.run(
        ["docker", "exec", host, "sh", "-c", command], capture_output=True, text=True, check=False
    ).stdout


def main(inventory: str) -> int:
    run = subprocess.Popen(
        ["ansible-playbook", "pgstead.ops.site", "-i", inventory],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    begun: set[str] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(begun) < len(HOSTS) and run.poll() is None and time.monotonic() < deadline:
        for host in set(HOSTS) - begun:
            if on(host, "ls -d /var/lib/postgresql/*/main/base 2>/dev/null"):
                on(host, "pkill -KILL -f 'pg_createcluster|initdb|AnsiballZ|bootstrap|postgres'")
                begun.add(host)
        time.sleep(0.05)
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    for host in HOSTS:
        sys.stdout.write(f"{host} marker: {on(host, 'cat /var/lib/pgstead/clusters/*.json') or 'none'}")
    return 0 if begun == set(HOSTS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
