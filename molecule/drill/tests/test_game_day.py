"""A whole host is rebuilt from its inventory and its repositories, on a bare machine, until it serves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.hosts import check_schema, play

from .conftest import Pair

GAME_DAY = "pgstead.ops.game_day"


def test_a_host_is_rebuilt_on_a_bare_machine(pair: Pair) -> None:
    spare = pair.primary.name.replace("-drill-", "-drill-spare-")
    machine = replace(pair.primary, name=spare, host=testinfra.get_host(f"docker://{spare}"))
    before = int(pair.primary.sql("SELECT count(*) FROM customers", "shop"))
    done = play("--limit", pair.primary.name, playbook=GAME_DAY, game_day_host=spare)
    assert done.code == 0, done.output
    assert f"{pair.primary.name}: recovered in" in done.output
    ((found, user),) = machine.ask("SELECT (SELECT count(*) FROM customers), current_user")
    assert (5000 <= found <= before, user) == (True, "shop_app")  # as far as it was archived
    entry = json.loads(machine.host.check_output("cat /var/lib/pgstead/evidence/*-drill-*.json"))
    check_schema(entry, "evidence")
    (step,) = entry["facts"]["steps"]
    assert (step["repository"], set(step["phases"])) == ("s3", {"provision", "fetch", "recover", "serve"})
    # it archives nothing, and production does not know of it
    assert machine.host.check_output("cat /etc/postgresql/*/main/postgresql.conf").count("archive-push") == 0
    assert pair.primary.sql("SELECT pg_is_in_recovery()") == "f"
    libraries = "SHOW shared_preload_libraries"
    assert machine.sql(libraries) == pair.primary.sql(libraries) == "pg_stat_statements, auto_explain"


def test_a_rebuild_that_was_cut_off_while_it_fetched_is_begun_again(versioned: Pair) -> None:
    """As it is when the controller went away: the mark, the restore's own note, and a directory that no server starts on."""
    primary = versioned.primary
    spare = primary.name.replace("-drill-", "-drill-spare-")
    note = f"/var/lib/pgstead/restore/{primary.version}-main.json"
    machine = testinfra.get_host(f"docker://{spare}")
    machine.check_output(
        f"systemctl stop {primary.unit} && rm /var/lib/postgresql/{primary.version}/main/global/pg_control && "
        f'mkdir -p /var/lib/pgstead/restore && echo \'{{"aside": ""}}\' > {note} && '
        f"echo $(date +%s.5) {primary.name} > /var/lib/pgstead/game_day"
    )
    done = play("--limit", primary.name, playbook=GAME_DAY, game_day_host=spare)
    assert done.code == 0, done.output
    assert f"{primary.name}: recovered in" in done.output
    assert not machine.file(note).exists


def test_the_host_itself_is_no_machine_for_it(pair: Pair) -> None:
    done = play("--limit", pair.primary.name, playbook=GAME_DAY, game_day_host=pair.primary.name)
    assert done.code != 0
    assert "name a bare machine" in " ".join(done.output.split())
    assert pair.primary.sql("SELECT 1") == "1"


@pytest.mark.parametrize("kind", ["driller", "drill-spare"], ids=["in use", "rebuilt already"])
def test_a_machine_that_is_not_bare_is_refused(pair: Pair, kind: str) -> None:
    machine = pair.primary.name.replace("drill", kind)
    done = play("--limit", pair.primary.name, playbook=GAME_DAY, game_day_host=machine)
    assert done.code != 0
    assert f"{machine} is no bare machine" in " ".join(done.output.split())


def test_a_machine_that_is_taken_for_another_host_is_refused(pair: Pair) -> None:
    other = pair.primary.name.replace("drill", "drill-spare")
    testinfra.get_host(f"docker://{other}").check_output("echo 1764160000.5 db7 > /var/lib/pgstead/game_day")
    done = play("--limit", pair.primary.name, playbook=GAME_DAY, game_day_host=other)
    assert done.code != 0
    assert "is being rebuilt as db7" in " ".join(done.output.split())
