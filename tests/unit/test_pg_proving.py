"""The server's own words, out of its noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._pg.proving import server_words

STAGED = Path("/var/lib/pgstead/stage/17-main")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '2026-01-02 UTC [1] LOG:  unrecognized configuration parameter "x" in file "/var/lib/pgstead/stage/17-main/postgresql.conf"\n',
            '2026-01-02 UTC [1] LOG:  unrecognized configuration parameter "x" in file "postgresql.conf"',
        ),
        (
            "t [1] LOG:  starting PostgreSQL 17\nt [1] LOG:  listening on x\nt [1] FATAL:  no lock\nHINT:  help\nnoise\n",
            "t [1] FATAL:  no lock | HINT:  help",
        ),
        ("t [1] LOG:  starting PostgreSQL 17\n", "t [1] LOG:  starting PostgreSQL 17"),
        ("something else\n", "something else"),
        ("", "no message"),
    ],
)
def test_server_words(text: str, expected: str) -> None:
    assert server_words(text, STAGED) == expected
