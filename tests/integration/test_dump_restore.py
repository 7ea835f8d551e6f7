"""A dump comes back as it was: beside the old database, or in its place, which an interruption never leaves half done."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_job import Dumps, Stored
from ansible_collections.pgstead.ops.plugins.module_utils._core.dump_restore import Side
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, LockNotAcquired, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_dumps
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_restore import Host
from ansible_collections.pgstead.ops.plugins.module_utils._pg import dump_restore as sql
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import session

from .dump_world import COUNTS, DATABASE, World, restored

one_major = pytest.mark.parametrize("server", [17], indirect=True)


def described(world: World, name: str) -> list[tuple[Any, ...]]:
    """Return everything that belongs to a database and is not in it."""
    return world.ask(
        "postgres",
        f"""SELECT pg_get_userbyid(datdba), encoding, datcollate, datctype, datconnlimit, datacl::text, datallowconn,
            shobj_description(d.oid, 'pg_database'),
            (SELECT array_agg(setrole::regrole::text || c ORDER BY setrole, c)
             FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid)
            FROM pg_database d WHERE datname = '{name}'""",
    )


def test_a_swap_brings_everything_back(world: World) -> None:
    world.facts()
    before = described(world, DATABASE)
    predicted = restored(world, check=True, state="swapped")
    assert (predicted.changed, world.databases()) == (True, [DATABASE])
    world.server.run("DELETE FROM log", "DROP TABLE orders CASCADE", database=DATABASE)
    world.server.run(f'ALTER DATABASE "{DATABASE}" RESET ALL', f'GRANT ALL ON DATABASE "{DATABASE}" TO PUBLIC')
    done = restored(world, state="swapped")
    assert (done.data["integrity"], done.data["notes"], done.data["restored_as"]) == ("sha256", [], DATABASE)
    assert described(world, DATABASE) == before
    assert world.ask(DATABASE, "SELECT count(*), max(customer_id) FROM orders") == [(1000, 50)]
    assert world.ask(DATABASE, "SELECT n FROM totals WHERE customer_id = 7") == [(20,)]
    copy = done.data["safety_copy"]
    assert world.databases() == [DATABASE, copy]
    assert re.fullmatch(rf"{DATABASE}_before_\d{{8}}T\d{{6}}Z", copy)
    assert world.ask("postgres", f"SELECT datallowconn FROM pg_database WHERE datname = '{copy}'") == [(False,)]
    assert world.left() == []


@one_major
def test_some_tables_come_into_a_side_database_only(world: World) -> None:
    name = world.facts()["file"]
    with pytest.raises(SpecError, match="into a side database only"):
        restored(world, state="swapped", tables=["orders"])
    with pytest.raises(SpecError, match=r"public\.nothing is not in the dump, which has 5 tables"):
        restored(world, tables=["nothing"])
    assert world.databases() == [DATABASE]
    done = restored(world, tables=["orders", "odd schema.Odd table"], name=name)
    place = done.data["restored_as"]
    assert re.fullmatch(rf"{DATABASE}_restored_\d{{8}}T\d{{6}}Z", place)
    counted = (
        'SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM "Odd table"), (SELECT count(*) FROM customers)'
    )
    assert world.ask(place, counted) == [(COUNTS["public.orders"], 2, 0)]
    assert world.ask(place, "SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass") == [(1,)]
    assert world.ask(DATABASE, counted) == [(1000, 2, 50)]


@one_major
def test_a_drill_keeps_no_dump_that_it_has_proven(world: World) -> None:
    """The next one needs its room."""
    name = world.facts()["file"]
    stored = Stored(DATABASE, "here", f"here:{world.store}", offsite=False)
    dumps = Dumps(str(world.directory / "rclone.conf"), str(world.identity), (stored,))
    programs = world.server.clients.parents[1]
    place = Host(world.server.target, programs, world.work, Path(dumps.rclone_config), world.programs)
    came = drill_dumps.restored(place, dumps, stored)
    assert (came["dump"], came["notes"]) == (name, [])
    assert world.databases() == [DATABASE]


@one_major
def test_a_database_that_is_gone_comes_back_from_a_file(world: World) -> None:
    """As on another host: archive and manifest were carried there, and the roles were made."""
    name = world.facts()["file"]
    before = described(world, DATABASE)
    world.server.run(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
    path = world.directory / name
    shutil.copy(world.store / name, path)
    with pytest.raises(HostError, match=r"the manifest of .* is missing: fetch it as well"):
        restored(world, check=True, remote="", path=str(path))
    shutil.copy(world.store / name.replace(".tar.age", ".json"), world.directory)
    world.server.run("ALTER ROLE dump_reader RENAME TO dump_reader_once")
    with pytest.raises(SpecError, match="roles dump_reader are missing on this server: create them first"):
        restored(world, remote="", path=str(path), state="swapped")
    world.server.run("ALTER ROLE dump_reader_once RENAME TO dump_reader")
    done = restored(world, remote="", path=str(path), state="swapped")
    assert (done.data["restored_as"], done.data["safety_copy"]) == (DATABASE, "")
    assert described(world, DATABASE) == before
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]


@one_major
def test_only_looking_restores_nothing(world: World) -> None:
    world.facts()
    done = restored(world, state="verified")
    assert (done.changed, done.data["integrity"]) == (False, "sha256")
    assert (world.databases(), world.left()) == ([DATABASE], [])
    with pytest.raises(HostError, match=r"holds no dump 20200101T000000Z-x of the shop; the newest there are: \d{8}T"):
        restored(world, check=True, name="20200101T000000Z-x")


def gnupg(world: World) -> tuple[str, Path, Path]:
    """Make a key of OpenPGP with a passphrase; return the public key, and the files of the secret key and passphrase."""
    home = world.directory / "gnupg"
    home.mkdir(mode=0o700)
    secret, phrase = world.directory / "secret.asc", world.directory / "phrase"
    phrase.write_text("open sesame\n")
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase-file", str(phrase)]
    made = [*gpg, "--quick-generate-key", "dumps@example.org", "future-default", "default", "never"]
    subprocess.run(made, check=True, capture_output=True)
    public = subprocess.check_output([*gpg, "--armor", "--export"], text=True).strip()
    secret.write_bytes(subprocess.check_output([*gpg, "--armor", "--export-secret-keys"]))
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    for path in (secret, phrase):
        path.chmod(0o600)
    return public, secret, phrase


@one_major
def test_a_dump_for_a_key_of_openpgp(world: World) -> None:
    public, secret, phrase = gnupg(world)
    facts = world.facts(encryption={"method": "gpg", "recipients": [public]})
    assert facts["file"].endswith(".tar.gpg")
    listed = subprocess.run(
        ["gpg", "--batch", "--list-packets", str(world.store / facts["file"])], capture_output=True, check=False
    )
    assert b"encrypted data packet" in listed.stdout
    keys = {"identity_file": str(secret), "passphrase_file": str(phrase)}
    assert restored(world, state="verified", **keys).data["integrity"] == "sha256"
    with pytest.raises(HostError, match=r"gpg returned 2: .*decryption failed"):
        restored(world, identity_file=str(secret))
    assert world.left() == []


def old_dump(world: World, text: str) -> Path:
    """Encrypt a text as the scripts did that this replaces."""
    path, phrase = world.directory / "old.sql.gz.enc", world.directory / "phrase"
    phrase.write_text("open sesame\n")
    phrase.chmod(0o600)
    argv = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-salt", "-pass", f"file:{phrase}", "-out", str(path)]
    subprocess.run(argv, input=gzip.compress(text.encode()), check=True)
    return path


@one_major
def test_a_dump_of_the_system_before(world: World) -> None:
    world.server.run("CREATE TABLE words (w text)", "INSERT INTO words VALUES ('CREATE DATABASE x')", database=DATABASE)
    written = world.server.dump(DATABASE)
    old = {"remote": "", "identity_file": "", "format": "openssl", "passphrase_file": str(world.directory / "phrase")}
    old["path"] = str(old_dump(world, written))
    done = restored(world, **old)
    assert (done.data["integrity"], len(done.data["notes"])) == ("none", 1)
    assert world.ask(done.data["restored_as"], "SELECT count(*) FROM orders") == [(1000,)]
    world.server.run(f'DROP DATABASE "{done.data["restored_as"]}"')

    whole = Path(old["path"]).read_bytes()
    faults: list[tuple[Callable[[], object], str]] = [
        (lambda: old_dump(world, written.replace("dump complete", "dump")), "does not end with pg_dump's last line"),
        (
            lambda: old_dump(world, f"\\connect postgres\n{written}"),
            "would change other databases than the side database",
        ),
        (lambda: old_dump(world, f"SELECT 1/0;\n{written}"), "psql returned 3: .*division by zero"),
        (lambda: Path(old["path"]).write_bytes(whole[: len(whole) // 2 // 16 * 16]), "cut off|bad decrypt"),
        (lambda: Path(old["path"]).write_bytes(flipped(whole)), "it is no gzip file, or it was changed"),
        (lambda: (world.directory / "phrase").write_text("wrong\n"), "it is no gzip file|bad decrypt"),
    ]
    for spoil, said in faults:
        spoil()
        with pytest.raises(HostError, match=said):
            restored(world, **old)
    assert (world.databases(), world.left()) == ([DATABASE], [])


def flipped(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


class Cut(BaseException):
    """Stands for the end of the process."""


@contextmanager
def cut_off_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let so many statements through, and no more."""
    executed, left = sql.execute, [steps]

    def execute(connection: Any, statement: str) -> None:
        if left[0] == 0:
            raise Cut
        left[0] -= 1
        executed(connection, statement)

    with monkeypatch.context() as patched:
        patched.setattr(sql, "execute", execute)
        yield


def swapped_until(world: World, made: Side, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Begin a swap that is cut off; return whether it was."""
    try:
        with session(world.server.target) as connection, cut_off_after(steps, monkeypatch):
            sql.swap(connection, made, 10, datetime.now(UTC))
    except Cut:
        return True
    return False


@one_major
@pytest.mark.parametrize("finish", [True, False], ids=["finished", "put back"])
def test_a_swap_that_is_cut_off_anywhere(world: World, finish: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.run(f"COMMENT ON DATABASE \"{DATABASE}\" IS 'old'")
    made = Side("side", DATABASE, "ready", "x.tar.age")
    stages, steps, cut = [], 0, True
    world.server.run('CREATE DATABASE "side"')
    while cut:
        with session(world.server.target) as connection:
            sql.mark(connection, made)
        cut = swapped_until(world, made, steps, monkeypatch)
        with session(world.server.target) as connection:
            for left in sql.sides(connection, DATABASE) if cut else ():
                stages.append(left.stage)
                if left.stage == "swapping" and finish:
                    sql.swap(connection, left, 10, datetime.now(UTC))
                elif left.stage == "swapping":
                    sql.put_back(connection, left)
        assert world.ask(DATABASE, "SELECT 1") == [(1,)]
        names = world.databases()
        (comment,) = (row[7] for row in described(world, DATABASE))
        assert (comment is None) is ((finish and stages[-1:] == ["swapping"]) or not cut)
        assert len(names) == 2
        for name in names:  # the next round begins as this one did
            if name.startswith(f"{DATABASE}_before_"):
                world.server.run(f'ALTER DATABASE "{DATABASE}" RENAME TO "side"')
                world.server.run(f'ALTER DATABASE "{name}" RENAME TO "{DATABASE}"')
                world.server.run(f'ALTER DATABASE "{DATABASE}" ALLOW_CONNECTIONS true')
        steps += 1
    assert stages.count("ready") >= 3
    assert stages.count("swapping") >= 5


@one_major
def test_a_cut_off_swap_is_finished_without_the_dump(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.facts()
    made = restored(world).data["restored_as"]
    with session(world.server.target) as connection:
        (side,) = sql.sides(connection, DATABASE)
    assert (side.name, side.stage) == (made, "ready")
    assert swapped_until(world, side, 5, monkeypatch)
    with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
        described_by_anybody(world)
    shutil.rmtree(world.store)
    done = restored(world, state="swapped")
    assert (done.data["restored_as"], done.data["integrity"]) == (DATABASE, "verified before")
    assert world.databases() == [DATABASE, done.data["safety_copy"]]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]


def described_by_anybody(world: World) -> None:
    target = world.server.target
    psycopg2.connect(host=target.socket_directory, port=target.port, dbname=DATABASE, user="postgres").close()


@one_major
def test_half_a_side_database_is_dropped_by_the_next_run(world: World) -> None:
    world.facts()
    with session(world.server.target) as connection:
        world.server.run('CREATE DATABASE "half"')
        sql.mark(connection, Side("half", DATABASE, "restoring", "x"))
    cut = f"{DATABASE}_restored_20260315T012700Z"
    mine = f"{DATABASE}_restored_20260315T012800Z"
    world.server.run(f'CREATE DATABASE "{cut}" CONNECTION LIMIT 0', f'CREATE DATABASE "{mine}"')
    restored(world, state="verified")
    assert world.databases() == [DATABASE, mine]


@one_major
def test_sessions_are_ended_and_those_that_stay_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.run('CREATE DATABASE "side"')
    made = Side("side", DATABASE, "ready", "x")
    target = world.server.target
    reader = psycopg2.connect(host=target.socket_directory, port=target.port, dbname=DATABASE, user="postgres")
    with session(target) as connection, monkeypatch.context() as patched:
        patched.setattr(sql, "_SESSIONS", "SELECT 1, 'shop_app', 'worker' WHERE %s <> ''")
        with pytest.raises(LockNotAcquired, match=r"process 1 of shop_app \(worker\) did not end within 0\.01 s"):
            sql.swap(connection, made, 0.01, datetime.now(UTC))
    assert world.databases() == ["side", DATABASE]
    assert world.ask(DATABASE, "SELECT count(*) FROM orders") == [(1000,)]
    with (
        session(target) as connection,
        sql.one_restore_at_a_time(connection),
        pytest.raises(LockNotAcquired, match="another restore is under way"),
    ):
        restored(world)
    with session(target) as connection:
        sql.swap(connection, made, 10, datetime.now(UTC))
    with pytest.raises(psycopg2.OperationalError):
        reader.cursor().execute("SELECT 1")
