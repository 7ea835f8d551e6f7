"""What a role tells a host of the controller's time is a moment, wherever the controller is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import server_info

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).parent / "ansible"
TASKS = yaml.safe_load((ROOT / "roles/postgresql/tasks/main.yml").read_text(encoding="utf-8"))
TOLD = next(task["pgstead.ops.server_info"]["controller_time"] for task in TASKS if "pgstead.ops.server_info" in task)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_every_zone_tells_the_same_moment(zone: str) -> None:
    before = time.time()
    done = subprocess.run(
        [ANSIBLE, "localhost", "--inventory", "localhost,", "-m", "ansible.builtin.debug", "--args", f"msg=<{TOLD}>"],
        env=os.environ | {"TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    told = datetime.fromisoformat(done.stdout.split("<")[1].split(">")[0])
    assert int(before) <= told.timestamp() <= time.time()


@pytest.mark.parametrize("told", ["2026-07-01T12:00:00", "1782907200", "noon", "2026-13-01T12:00:00+00:00"])
def test_what_is_no_moment_is_refused(told: str) -> None:
    with pytest.raises(HostError, match="is no moment with an offset: write it as"):
        server_info._epoch(told)


def test_a_moment_with_an_offset() -> None:
    assert server_info._epoch("2026-07-01T14:00:00+02:00") == 1782907200
