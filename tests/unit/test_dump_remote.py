"""What rclone is asked for: bounded, without a secret, and nothing gets its name before it was compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_archive import digests
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_programs import Programs
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_remote import Store


class Fake:
    """Answers as rclone does of a store that has one file, or fails with given words."""

    def __init__(self, stat: object = None, content: bytes = b"", fails: str = "") -> None:
        self.stat, self.content, self.fails = stat, content, fails
        self.asked: list[list[str]] = []

    def run(self, argv: Sequence[str], seconds: float | None = None) -> bytes:
        assert seconds
        self.asked.append(list(argv))
        if self.fails:
            raise HostError(f"rclone returned 3: {self.fails}")
        if argv[1] == "cat":
            offset, count = (int(argv[argv.index(word) + 1]) for word in ("--offset", "--count"))
            return self.content[offset : offset + count]
        return json.dumps(self.stat).encode()


def store(fake: Fake) -> Store:
    return Store("offsite:dumps/shop", Path("/etc/pgstead/rclone.conf"), cast("Programs", fake))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.tar.age"
    path.write_bytes(b"age" * 1_000_000)  # more than two samples
    return path


@pytest.mark.parametrize(
    ("hashes", "expected"),
    [
        (("md5", "sha1", "sha256"), "sha256"),
        (("md5", "sha1"), "sha1"),
        (("md5",), "md5"),
        ((), "sample"),
    ],
)
def test_an_upload_is_compared_by_the_best_that_the_store_has(
    file: Path, hashes: tuple[str, ...], expected: str
) -> None:
    known = digests(file)
    stat = {"Size": known["size"], "Hashes": {name.upper(): known[name] for name in hashes} | {"crc32": "0"}}
    fake = Fake(stat, file.read_bytes())
    assert store(fake).upload(file, file.name, known) == expected
    verbs = [argv[1] for argv in fake.asked]
    assert (verbs[0], verbs[-1]) == ("copyto", "moveto")
    assert fake.asked[0][-2:] == [str(file), "offsite:dumps/shop/x.tar.age.partial"]
    assert fake.asked[-1][-2:] == ["offsite:dumps/shop/x.tar.age.partial", "offsite:dumps/shop/x.tar.age"]
    for argv in fake.asked:
        assert argv[2:4] == ["--config", "/etc/pgstead/rclone.conf"]
        assert {"--timeout", "--contimeout", "--retries", "--low-level-retries"} < set(argv)


@pytest.mark.parametrize(
    ("changed", "content", "said"),
    [
        (None, b"", r"the upload was cut off: nothing arrived of 3000000 bytes"),
        ({"Size": 5}, b"", r"the upload was cut off: 5 bytes arrived of 3000000 bytes"),
        ({"Hashes": {"sha1": "0"}}, b"", r"its sha1 is another"),
        ({}, b"xge" + b"age" * 999_999, r"is not what was sent, from byte 0 on"),
        ({}, b"age" * 999_999 + b"agx", r"is not what was sent, from byte 1951424 on"),
    ],
    ids=["nothing", "short", "hash", "first", "last"],
)
def test_what_did_not_arrive_whole_gets_no_name(
    file: Path, changed: dict[str, Any] | None, content: bytes, said: str
) -> None:
    fake = Fake(None if changed is None else {"Size": 3_000_000, **changed}, content)
    with pytest.raises(HostError, match=said):
        store(fake).upload(file, file.name, digests(file))
    assert "moveto" not in [argv[1] for argv in fake.asked]


def test_a_store_that_fails_is_named_and_one_without_the_directory_is_empty() -> None:
    assert store(Fake(fails="ERROR : error listing: directory not found")).names() == []
    assert store(Fake(fails="ERROR : object not found")).stat("x") is None
    with pytest.raises(HostError, match=r"offsite:dumps/shop: rclone returned 3: access denied"):
        store(Fake(fails="access denied")).names()
