"""Databases are dumped as they were at one moment, whole and encrypted, and what goes wrong is named."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import dump_world
from .conftest import Server
from .dump_world import COUNTS, DATABASE, World, database


@pytest.fixture(scope="session")
def tools() -> None:
    subprocess.run([str(Path(__file__).with_name("tools.sh"))], check=True)


@pytest.fixture
def world(server: Server, tools: None) -> Iterator[World]:
    with dump_world.world(server) as made:
        yield made


def test_a_dump_is_whole_encrypted_and_described(world: World) -> None:
    facts = world.facts(databases=[database(exclude_table_data=["cache"])])
    path, manifest = world.manifest()
    assert world.stored() == sorted([path.name, facts["file"]])
    assert manifest["counts"] == {"method": "exact", "tables": COUNTS}
    assert manifest["excluded"] == ["public.cache"]
    assert manifest["extensions"].keys() == {"plpgsql", "hstore"}
    assert (facts["tables"], facts["rows"]) == (5, sum(COUNTS.values()))
    assert facts["remotes"]["here"]["checked"] == "sha256"
    assert (world.store / facts["file"]).read_bytes().startswith(b"age-encryption.org/v1\n")
    assert {"globals.sql", "database.json", "dump/toc.dat"} <= set(manifest["files"])
    assert world.left() == []
    assert DATABASE == manifest["database"]
