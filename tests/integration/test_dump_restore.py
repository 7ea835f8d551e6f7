"""A dump comes back as it was: beside the old database, or in its place, which an interruption never leaves half done."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import dump_world
from .conftest import Server
from .dump_world import AROUND, COUNTS, DATABASE, World, database, restored


@pytest.fixture(scope="session")
def tools() -> None:
    subprocess.run([str(Path(__file__).with_name("tools.sh"))], check=True)


@pytest.fixture
def world(server: Server, tools: None) -> Iterator[World]:
    with dump_world.world(server) as made:
        yield made


def test_a_swap_brings_everything_back(world: World) -> None:
    world.facts()
    before = described(world, DATABASE)
    predicted = restored(world, check=True, state="swapped")
    assert (predicted.changed, world.databases()) == (True, [DATABASE, *SYSTEM])
    world.server.run("DELETE FROM log", "DROP TABLE orders CASCADE", database=DATABASE)
    world.server.run(f'ALTER DATABASE "{DATABASE}" RESET ALL', f'GRANT ALL ON DATABASE "{DATABASE}" TO PUBLIC')
    done = restored(world, state="swapped")
    assert (done.data["integrity"], done.data["notes"], done.data["restored_as"]) == ("sha256", [], DATABASE)
    assert described(world, DATABASE) == before
    assert world.ask(DATABASE, "SELECT count(*), max(customer_id) FROM orders") == [(1000, 50)]
    copy = done.data["safety_copy"]
    assert world.databases() == sorted([DATABASE, copy, *SYSTEM])
    assert world.ask("postgres", f"SELECT datallowconn FROM pg_database WHERE datname = '{copy}'") == [(False,)]
    assert world.left() == []


SYSTEM = ["postgres", "template0", "template1"]


def described(world: World, name: str) -> list[tuple[object, ...]]:
    return world.ask(
        "postgres",
        f"""SELECT pg_get_userbyid(datdba), encoding, datcollate, datctype, datconnlimit, datacl::text, datallowconn,
            shobj_description(d.oid, 'pg_database'),
            (SELECT array_agg(setrole::regrole::text || c ORDER BY setrole, c)
             FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid)
            FROM pg_database d WHERE datname = '{name}'""",
    )
