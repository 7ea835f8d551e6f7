"""What the hosts logged last, beside a test that failed: they are removed before anybody could look."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from .hosts import servers

LAST = """
for log in $(ls -t /var/log/postgresql/*/*.* /var/log/postgresql/*.log /var/log/pgbackrest/*.log 2>/dev/null | head -n 4); do
  echo "== $log"
  tail -n 25 "$log" | cut -c 1-500
done
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        report.sections += [(f"{server.name} logged last", server.grep(LAST, "")) for server in servers()]
    return report
