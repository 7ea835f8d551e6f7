"""Names and texts as SQL, read back by the servers themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.expression import complaint
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import QualifiedName, literal, quote, unusable
from ansible_collections.pgstead.ops.plugins.module_utils._pg.canonical import enclosed
from ansible_collections.pgstead.ops.plugins.module_utils._pg.connection import Target, connect, driver, execute, rows
from ansible_collections.pgstead.ops.plugins.module_utils._pg.session import session

from .conftest import Server

HARD = [*"ab_1.\"'\\$%{} \t\n\r;-/*E\xe9\N{PILE OF POO}\u2019\u0301", '""', '"."', "select", "User"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(HARD)).map("".join)).filter(lambda text: "\0" not in text)
NAMES = st.lists(TEXTS.filter(lambda text: unusable(text) is None), min_size=1, max_size=20)
# one run serves all servers, and what the session's fixture gives does not change
PROPERTY = settings(
    deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def connection(server: Server) -> Iterator[Any]:
    with connect(server.target) as opened:
        execute(opened, "SET client_encoding = 'UTF8'")
        yield opened


def check_names(connection: Any, names: Sequence[str]) -> None:
    """What we quote is one name, the same; and we quote what the server quotes, as it does."""
    found = rows(connection, "SELECT n, pg_catalog.quote_ident(n) FROM unnest(%s) n", (list(names),))
    assert [name for name, _ in found] == list(names)
    for name, servers in found:
        if servers != name:
            assert quote(name) == servers
        both = QualifiedName(name, name).sql
        assert rows(connection, "SELECT pg_catalog.parse_ident(%s)", (both,)) == [([name, name],)]
    # the grammar's own opinion, for keywords too
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"1 AS {quote(name)}" for name in names))
        assert [column.name for column in cursor.description] == list(names)


@PROPERTY
@given(names=NAMES)
@example(names=['"', "a.b", "A", "1", "a$", "\xe9", 'x"."y', "\n"])
def test_any_name(connection: Any, names: list[str]) -> None:
    check_names(connection, names)


def test_every_keyword(connection: Any) -> None:
    words = [word for (word,) in rows(connection, "SELECT word FROM pg_catalog.pg_get_keywords() ORDER BY 1")]
    assert len(words) > 400
    check_names(connection, words)
    # as a table and as its column, where a reserved word does not parse bare
    for word in words:
        execute(connection, f"CREATE TEMP TABLE {quote(word)} ({quote(word)} int CHECK ({quote(word)} > 0))")
    made = rows(connection, "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'")
    assert {name for (name,) in made} == set(words)


@PROPERTY
@given(texts=st.lists(TEXTS, min_size=1, max_size=20))
@example(texts=["\\", "'", "\\'", "'\\", "", "$$", "E'", "\n"])
def test_any_text(connection: Any, texts: list[str]) -> None:
    for conforming in ("on", "off"):
        execute(connection, f"SET standard_conforming_strings = {conforming}; SET escape_string_warning = off")
        assert rows(connection, "SELECT " + ", ".join(map(literal, texts))) == [tuple(texts)]


PIECES = [
    "'",
    "''",
    '"',
    "E'",
    "U&'",
    "$$",
    "$a$",
    "$a1$",
    "\\",
    "--",
    "/*",
    "*/",
    "\n",
    "\r",
    "(",
    ")",
    "1",
    "a",
    "|",
    " OR ",
]
# what leaves its parentheses cannot be right in both: VALUES (…) ends there, CASE WHEN (…) does not
PLACES = ["VALUES {}", "SELECT CASE WHEN {} THEN 1 END"]


def refusal(connection: Any, sql: str) -> str:
    try:
        execute(connection, sql)
    except driver.errors.SyntaxError as error:
        return str(error)
    except driver.Error:
        return ""  # it is read as one expression, and makes no sense
    return ""


@settings(parent=PROPERTY, max_examples=400)
@given(text=st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
@example(text="true --\r) OR (true")
@example(text="true --\r); SELECT (true")
@example(text="E'a'\n'\\''), ($$'$$")
@example(text="$a1$ ' $a1$) OR ('a'")
@example(text="E'\\'")
@example(text="true --'\n OR $$ ) $$ <> 'a' /* ( */")
def test_what_is_accepted_stays_in_its_parentheses(connection: Any, text: str) -> None:
    if complaint(text) is not None:
        return
    execute(connection, "SET standard_conforming_strings = on")
    refused = [refusal(connection, place.format(enclosed(text))) for place in PLACES]
    assert bool(refused[0]) == bool(refused[1]), refused
    assert not any("unterminated" in words for words in refused), refused


def test_the_places_tell_what_leaves_its_parentheses(connection: Any) -> None:
    for text in ("true) OR (true", "true), (true", "true); SELECT (true", "true) THEN 2 WHEN (true"):
        refused = [refusal(connection, place.format(f"({text})")) for place in PLACES]
        assert bool(refused[0]) != bool(refused[1]), text


def test_a_server_that_reads_backslashes(server: Server) -> None:
    """A session for declared expressions reads strings as the check of them does, whatever the server is set to."""
    server.run("CREATE DATABASE backslash", "ALTER DATABASE backslash SET standard_conforming_strings = off")
    target = Target(
        server.target.socket_directory, server.target.port, "backslash", system_user=server.target.system_user
    )
    text = "'\\') || ('"
    assert complaint("'\\'") is None
    assert complaint(text) is not None
    with session(target) as connection:
        assert rows(connection, "SELECT '\\'") == [("\\",)]
    server.run("DROP DATABASE backslash")
