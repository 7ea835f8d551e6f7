"""Working directories and programs of dumps: for one user, gone afterwards, and with words where something fails."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host import dump_work
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_archive import refuse_open_key
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_programs import Programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_work import working_directory

USER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    path = tmp_path / "dumps"
    path.mkdir(mode=0o700)
    return path


def test_it_is_there_for_one_user_and_then_gone(parent: Path) -> None:
    with working_directory(parent, USER) as work:
        (work / "tree").mkdir()
        (work / "tree" / "x").write_text("secret")
        assert work.stat().st_mode & 0o777 == 0o700
    with pytest.raises(KeyboardInterrupt), working_directory(parent, USER):
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def test_what_a_killed_run_left_goes_and_what_is_in_use_stays(parent: Path) -> None:
    left, used, other = parent / "work-left", parent / "work-used", parent / "something"
    for path in (left, used, other):
        path.mkdir()
        (path / "x").write_text("secret")
    holder = os.open(used, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with working_directory(parent, USER) as work:
        assert sorted(parent.iterdir()) == sorted([other, used, work])
        with working_directory(parent, USER) as second:
            assert work.exists()
            assert second != work
    os.close(holder)


def test_a_parent_that_others_can_enter_or_that_is_missing(parent: Path) -> None:
    parent.chmod(0o750)
    with pytest.raises(HostError, match="has mode 0750"), working_directory(parent, USER):
        pass
    assert list(parent.iterdir()) == []
    with pytest.raises(HostError, match=r"No such file.*pgstead\.ops\.backup"), working_directory(parent / "x", USER):
        pass


def test_a_full_disk_is_said_to_be_full(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostError) as raised, working_directory(parent, USER):
        raise HostError("pg_dump returned 1")
    assert str(raised.value) == "pg_dump returned 1"
    usage = shutil.disk_usage(parent)._replace(free=12 * 1024)
    monkeypatch.setattr(dump_work.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(HostError, match=r"pg_dump returned 1\. The disk is full: 12 kB are free in "):  # noqa: SIM117
        with working_directory(parent, USER):
            raise HostError("pg_dump returned 1")
    with pytest.raises(HostError, match=r"x: No space left on device\. The disk is full: 12 kB"):  # noqa: SIM117
        with working_directory(parent, USER):
            raise OSError(28, os.strerror(28), "x")


def test_a_program_runs_with_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hush")
    words = Programs(USER).run(["env"]).decode().splitlines()
    assert {word.split("=")[0] for word in words} == {"PATH", "HOME", "LC_ALL", "LANGUAGE"}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo one >&2; echo two >&2; exit 3", "sh returned 3: one | two"),
        ("exit 4", "sh returned 4: it said nothing"),
        ("kill -XFSZ $$", "sh was ended by SIGXFSZ: it said nothing"),
    ],
)
def test_a_program_that_fails_is_quoted(script: str, said: str) -> None:
    with pytest.raises(HostError) as raised:
        Programs(USER).run(["sh", "-c", script])
    assert str(raised.value) == said


def test_a_program_is_waited_for_only_so_long() -> None:
    with pytest.raises(HostError, match=r"sleep did not end within 0\.05 s, and was ended"):
        Programs(USER).run(["sleep", "600"], 0.05)


def test_a_program_that_is_missing() -> None:
    with pytest.raises(HostError, match="no-such-program is not installed on this host"):
        Programs(USER).run(["no-such-program"])


def test_what_still_runs_is_ended() -> None:
    with Programs(USER).started(["sleep", "600"], stdout=subprocess.PIPE) as running:
        assert running.process.poll() is None
    assert running.process.poll() == -9


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(SpecError, match=r"identity_file: .* cannot be read on the host: No such file"):
        refuse_open_key("identity_file", path)
    path.write_text("AGE-SECRET-KEY-1")
    path.chmod(0o600)
    refuse_open_key("identity_file", path)
    path.chmod(0o604)
    with pytest.raises(SpecError, match="has mode 0604: others can read the secret"):
        refuse_open_key("identity_file", path)
