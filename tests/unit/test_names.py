"""Names and texts: what a person writes, what SQL reads, and what is derived."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import names, plan
from ansible_collections.pgstead.ops.plugins.module_utils._core.names import (
    NAME_BYTES,
    QualifiedName,
    derive,
    literal,
    parse,
    quote,
    reference,
    short_hash,
    unusable,
)

HARD = [*"ab.\"'\\$%{} \t\n;-/*E\xe9\N{PILE OF POO}\u2019\u0301", '""', '"."', "select", "User"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(HARD)).map("".join))
NAMES = TEXTS.filter(lambda text: unusable(text) is None)
PROPERTY = settings(deadline=None, derandomize=True)
BACKSLASH = "\\"


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("orders", "public", "orders"),
        ("Orders", "public", "Orders"),
        ("sales.orders", "sales", "orders"),
        ("sales.Order Lines", "sales", "Order Lines"),
        ('sales."v1.orders"', "sales", "v1.orders"),
        ('"my.sales".orders', "my.sales", "orders"),
        ('"v1.orders"', "public", "v1.orders"),
        ('"say ""hi"""', "public", 'say "hi"'),
        ('"orders"', "public", "orders"),
        ("a\n", "public", "a\n"),
        ("x" * NAME_BYTES, "public", "x" * NAME_BYTES),
    ],
)
def test_parse(text: str, schema: str, name: str) -> None:
    assert parse(text, "public") == QualifiedName(schema, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a name"),
        (".", "is not a name"),
        ("a.", "is not a name"),
        (".a", "is not a name"),
        ("a..b", "is not a name"),
        ("a.b.c", "is not a name"),
        ('"a', "is not a name"),
        ('a"b', "is not a name"),
        ('""', "is not a name"),
        ('"a".', "is not a name"),
        ('"a"b', "is not a name"),
        ('"a"\n', "is not a name"),
        ('a.b"c', "is not a name"),
        ("a\0b", "zero byte"),
        ("x" * (NAME_BYTES + 1), "longer than 63 bytes"),
        ("\xe9" * 32, "longer than 63 bytes"),
        ("x" * 64 + ".a", "longer than 63 bytes"),
    ],
)
def test_what_is_not_a_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text, "public")


@PROPERTY
@given(NAMES, NAMES)
@example("a.b", 'c"d')
@example('"', ".")
def test_a_name_as_written_is_read_back(schema: str, name: str) -> None:
    assert parse(str(QualifiedName(schema, name)), "other") == QualifiedName(schema, name)


@PROPERTY
@given(NAMES)
def test_a_short_name_is_completed(name: str) -> None:
    short = str(QualifiedName("", name)).removeprefix(".")
    assert parse(short, "sales") == QualifiedName("sales", name)


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("orders", "orders"),
        ("_a1", "_a1"),
        ("Orders", '"Orders"'),
        ("1a", '"1a"'),
        ("a$", '"a$"'),
        ("user", '"user"'),
        ("json_table", '"json_table"'),  # from 17 on
        ("abort", "abort"),  # unreserved
        ('say "hi"', '"say ""hi"""'),
        ("\xe9t\xe9", '"\xe9t\xe9"'),
        ("a\n", '"a\n"'),
        ("", '""'),
    ],
)
def test_quote(name: str, sql: str) -> None:
    assert quote(name) == sql
    assert QualifiedName("user", name).sql == f'"user".{sql}'


def read_identifier(sql: str) -> str:
    """Return the name that SQL makes of an identifier, or fail where it is more, less, or a keyword."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", sql, re.ASCII):
        assert sql not in names._KEYWORDS
        return sql
    found = re.fullmatch(r'"((?:[^"]|"")*)"', sql)
    assert found, sql
    return found[1].replace('""', '"')


@PROPERTY
@given(TEXTS)
def test_what_is_quoted_is_one_identifier(name: str) -> None:
    assert read_identifier(quote(name)) == name


@pytest.mark.parametrize("word", sorted(names._KEYWORDS))
def test_keywords_are_quoted(word: str) -> None:
    assert quote(word) == f'"{word}"'
    assert re.fullmatch(r"[a-z_]+", word)


@pytest.mark.parametrize(
    ("text", "sql"),
    [("", "''"), ("a", "'a'"), ("it's", "'it''s'"), ("a\\b", "E'a\\\\b'"), ("\\'", "E'\\\\'''"), ("\n", "'\n'")],
)
def test_literal(text: str, sql: str) -> None:
    assert literal(text) == sql


def read_literal(sql: str, *, conforming: bool) -> str:
    """Read one string constant as PostgreSQL does with standard_conforming_strings on or off."""
    escapes = sql.startswith("E") or not conforming
    body = sql.removeprefix("E")
    assert body[0] == body[-1] == "'"
    assert len(body) > 1
    read, position = [], 1
    while position < len(body) - 1:
        step = body[position]
        if step == "'" or (step == BACKSLASH and escapes):
            position += 1
            assert position < len(body) - 1  # the last quotation mark is the one that closes
            assert body[position] == step
        read.append(step)
        position += 1
    return "".join(read)


@PROPERTY
@given(TEXTS, st.booleans())
@example("\\'", False)
@example("'\\", True)
def test_a_literal_is_read_back(text: str, conforming: bool) -> None:
    assert read_literal(literal(text), conforming=conforming) == text


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (["orders", "user_id"], "orders_user_id_idx"),
        (["orders"], "orders_idx"),
        (["o" * 59], "o" * 59 + "_idx"),
    ],
)
def test_derived_names(parts: list[str], name: str) -> None:
    assert derive(parts, "idx") == name


@PROPERTY
@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.sampled_from(["idx", "fkey_idx"]))
@example(["o" * 60], "idx")
@example(["\N{PILE OF POO}" * 20], "idx")
def test_a_derived_name_can_be_a_name(parts: list[str], ending: str) -> None:
    made = derive(parts, ending)
    assert len(made.encode()) <= NAME_BYTES
    assert made.endswith(f"_{ending}")
    assert derive(list(parts), ending) == made
    full = "_".join([*parts, ending])
    assert (made == full) is (len(full.encode()) <= NAME_BYTES)


@PROPERTY
@given(st.lists(st.text(alphabet=string.ascii_lowercase + "\xe9_", min_size=40), min_size=2, max_size=2, unique=True))
def test_what_is_cut_stays_apart(parts: list[str]) -> None:
    assert derive([*parts], "idx") != derive([parts[0], parts[1] + "x"], "idx")
    assert derive(["t" * 70, parts[0]], "idx") != derive(["t" * 70, parts[1]], "idx")


def test_hashes_tell_parts_apart() -> None:
    assert short_hash("a", "bc") != short_hash("ab", "c")
    assert re.fullmatch("[0-9a-f]{12}", short_hash("a"))


@pytest.mark.parametrize(
    ("text", "dotted", "sql"),
    [
        ("C", False, '"C"'),
        ("en_US.utf8", False, '"en_US.utf8"'),
        ("text_pattern_ops", True, "text_pattern_ops"),
        ("public.gin_trgm_ops", True, "public.gin_trgm_ops"),
        ('public."en_US.utf8"', False, 'public."en_US.utf8"'),
        ('"a.b"', True, '"a.b"'),
        ("a; b", True, '"a; b"'),
    ],
)
def test_references(text: str, sql: str, *, dotted: bool) -> None:
    assert reference(text, dotted=dotted) == sql


def test_a_torn_reference() -> None:
    with pytest.raises(ValueError, match="not a name"):
        reference('public."C', dotted=False)


@pytest.mark.parametrize(
    ("comment", "kind", "whole"),
    [
        (None, "indexes", "managed by pgstead.ops.indexes"),
        ("", "indexes", "managed by pgstead.ops.indexes"),
        ("for reports", "indexes", "for reports\nmanaged by pgstead.ops.indexes"),
        ("two\nlines\n", "x", "two\nlines\n\nmanaged by pgstead.ops.x"),
    ],
)
def test_markers(comment: str | None, kind: str, whole: str) -> None:
    assert plan.with_marker(comment, kind) == whole
    assert plan.without_marker(whole) == (comment or "")
    assert plan.owner_of(whole) == kind


@PROPERTY
@given(TEXTS)
def test_comments_come_back(comment: str) -> None:
    assert plan.without_marker(plan.with_marker(comment, "indexes")) == comment
    assume(not comment.rsplit("\n", 1)[-1].startswith(plan.MARKER))
    assert plan.without_marker(comment) == comment
    assert plan.owner_of(comment) == ""


def test_a_comment_that_is_missing_is_nobodys() -> None:
    assert (plan.without_marker(None), plan.owner_of(None)) == ("", "")
