"""Files written whole, compared, and taken back."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host import backup_config, files
from ansible_collections.pgstead.ops.plugins.module_utils._shell import Context

ME, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
HOSTILE = "ü\r\nnext\rline\udcff\0end"


@pytest.fixture
def umask_of_root() -> Iterator[None]:
    """Let root's umask be one that shuts everybody out."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def wanted(path: Path, content: str = "new\n", mode: int = 0o640) -> files.Wanted:
    return files.Wanted(path, content, ME, GROUP, mode)


@pytest.mark.parametrize("content", ["", "text\n", HOSTILE])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o4755])
def test_what_is_written_is_found(content: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "new/deep/file"
    files.write(wanted(path, content, mode))
    assert files.look(path) == files.Found(content, ME, GROUP, mode)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_bytes_on_disk(tmp_path: Path) -> None:
    files.write(wanted(tmp_path / "file", HOSTILE))
    assert (tmp_path / "file").read_bytes() == b"\xc3\xbc\r\nnext\rline\xff\0end"


@pytest.mark.parametrize("there", [False, True])
def test_a_directory_for_others_whatever_the_umask(there: bool, tmp_path: Path, umask_of_root: None) -> None:
    place = tmp_path / "conf.d"
    if there:
        place.mkdir()
    files.make_directory(place, ME, GROUP, 0o750)
    files.write(wanted(place / "secrets.conf"))
    status = place.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o750, os.geteuid(), os.getegid())


def test_pgbackrest_can_list_the_staged_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask_of_root: None
) -> None:
    seen: dict[str, int] = {}

    def look(_params: object, _context: object, _options: object) -> None:
        seen.update({path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "staged").rglob("*")})
        raise HostError("as far as that")

    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=os.geteuid()))
    monkeypatch.setattr(grp, "getgrnam", lambda _name: SimpleNamespace(gr_gid=os.getegid()))
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_more: str(tmp_path / "staged"))
    monkeypatch.setattr(backup_config, "engine", look)
    (tmp_path / "staged").mkdir()
    with pytest.raises(HostError, match="as far as that"):
        backup_config._prove({"configuration": "[db1]\n", "secrets": "[global]\n"}, Context(Mock(), False))
    assert seen == {"pgbackrest.conf": 0o640, "conf.d": 0o750, "secrets.conf": 0o640}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing", "file/below"])
def test_what_is_not_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert files.look(tmp_path / name) == files.Found(None)


def test_a_file_is_replaced_not_rewritten(tmp_path: Path) -> None:
    """A reader that has the old file open keeps it."""
    path = tmp_path / "file"
    path.write_text("old\n")
    with path.open() as reader:
        files.write(wanted(path))
        assert reader.read() == "old\n"
    assert path.read_text() == "new\n"


@pytest.mark.parametrize("broken", ["chown", "chmod", "replace", "fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old\n")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="no"):
        files.write(wanted(path))
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("owner", "group"), [("no-such-user", GROUP), (ME, "no-such-group")])
def test_unknown_owners_leave_nothing(owner: str, group: str, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        files.write(files.Wanted(tmp_path / "file", "x", owner, group))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "differs"),
    [
        (lambda _path: None, False),
        (lambda path: path.write_text("other\n"), True),
        (lambda path: path.write_bytes(b"new\r\n"), True),
        (lambda path: path.chmod(0o600), True),
        (lambda path: path.unlink(), True),
    ],
)
def test_differing_and_diff(spoil: Callable[[Path], object], differs: bool, tmp_path: Path) -> None:
    good, other = wanted(tmp_path / "good"), wanted(tmp_path / "other")
    files.write(good)
    files.write(other)
    spoil(other.path)
    assert files.differing([good, other]) == ([other] if differs else [])
    shown = files.diff([good, other])
    assert [(entry["after_header"], entry["after"]) for entry in shown] == (
        [(str(other.path), "new\n")] if differs else []
    )


@pytest.mark.parametrize(("owner", "group"), [("nobody", GROUP), (ME, "nogroup")])
def test_owners_differ(owner: str, group: str, tmp_path: Path) -> None:
    files.write(wanted(tmp_path / "file"))
    assert files.differing([files.Wanted(tmp_path / "file", "new\n", owner, group, 0o640)])


def test_diff_shows_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.diff([wanted(path)])[0]["before"] == ""
    path.write_text("old\n")
    assert files.diff([wanted(path)]) == [
        {"before": "old\n", "after": "new\n", "before_header": str(path), "after_header": str(path)}
    ]


def test_restore(tmp_path: Path) -> None:
    changed, made, gone = (tmp_path / name for name in ("changed", "made", "gone"))
    files.write(wanted(changed, HOSTILE, 0o600))
    files.write(wanted(gone))
    before = {path: files.look(path) for path in (changed, made, gone)}
    files.write(wanted(changed))
    files.write(wanted(made))
    gone.unlink()
    files.restore(before)
    assert {path: files.look(path) for path in before} == before
    assert not made.exists()


def test_an_owner_without_a_name_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write(wanted(path))

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(grp, "getgrgid", unknown)
    before = {path: files.look(path)}
    assert (before[path].owner, before[path].group) == (str(os.geteuid()), str(os.getegid()))
    path.unlink()
    files.restore(before)
    assert {path: files.look(path)} == before


def test_a_file_is_roots_by_default(tmp_path: Path) -> None:
    found = files.Wanted(tmp_path, "")
    assert (found.owner, found.group, found.mode) == ("root", "root", 0o644)


def test_no_content_in_a_repr(tmp_path: Path) -> None:
    assert "secret" not in repr(wanted(tmp_path / "file", "secret"))
