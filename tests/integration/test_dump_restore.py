"""A dump comes back as it was: beside the old database, or in its place, which an interruption never leaves half done."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_job import Dumps, Stored
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError, SpecError
from ansible_collections.pgstead.ops.plugins.module_utils._host import drill_dumps, dump_restore
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_remote import Store
from ansible_collections.pgstead.ops.plugins.module_utils._host.dump_restore import Host

from .dump_world import COUNTS, DATABASE, World, database, described, directory, restored

one_major = pytest.mark.parametrize("server", [17], indirect=True)


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
def test_what_this_server_cannot_restore_is_said_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check mode says it as well, and nothing is fetched; rights come last in a restore, hours later."""
    world.server.run("CREATE ROLE dump_onlooker", "CREATE ROLE dump_other")
    try:
        world.server.run("GRANT SELECT ON orders TO dump_onlooker", database=DATABASE)
        world.server.run("ALTER FUNCTION hstore(text, text) OWNER TO dump_other", database=DATABASE)  # of an extension
        world.facts()
        assert world.manifest()[1]["roles"] == ["dump_onlooker", "dump_owner"]
        world.server.run("DROP OWNED BY dump_onlooker", database=DATABASE)
    finally:
        world.server.run("REASSIGN OWNED BY dump_other TO CURRENT_USER", database=DATABASE)
        world.server.run("DROP ROLE dump_onlooker, dump_other")
    monkeypatch.setattr(Store, "fetch", None)
    for check in (True, False):
        with pytest.raises(SpecError, match="roles dump_onlooker are missing on this server: create them first"):
            restored(world, check=check)
    newer = world.manifest()[1] | {"versions": {"server": "99.1"}}
    monkeypatch.setattr(dump_restore, "_look", lambda _request, _host: ("x.tar.age", newer))
    for check in (True, False):
        with pytest.raises(SpecError, match=r"x\.tar\.age is of PostgreSQL 99, and this server is 17"):
            restored(world, check=check)
    assert world.databases() == [DATABASE]


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


@one_major
def test_what_a_dump_does_not_have_is_said(world: World) -> None:
    world.facts(databases=[database(exclude_table_data=["cache"])])
    with pytest.raises(SpecError, match=r"the rows of public\.cache were left out of the dump"):
        restored(world, check=True, tables=["cache"])
    said = "rows were left out of the dump, and these tables are empty: public.cache (500 rows then)"
    assert restored(world, check=True, state="swapped").data["notes"] == [said]
    done = restored(world, state="swapped")
    assert done.data["notes"] == [said]
    assert world.ask(DATABASE, "SELECT count(*) FROM cache") == [(0,)]


@one_major
def test_a_database_stays_in_its_tablespace(world: World) -> None:
    place = directory(world.directory / "fast")
    world.server.run(f"CREATE TABLESPACE fast LOCATION '{place}'", f'ALTER DATABASE "{DATABASE}" SET TABLESPACE fast')
    try:
        world.facts()
        restored(world, state="swapped")
        where = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = "
        assert world.ask("postgres", f"{where}'{DATABASE}'") == [("fast",)]
    finally:
        for name in world.databases():
            world.server.run(f'DROP DATABASE "{name}" WITH (FORCE)')
        world.server.run("DROP TABLESPACE fast")
