"""No declared expression leaves the parentheses that it is put between, and ordinary ones are accepted."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core.expression import complaint
from ansible_collections.pgstead.ops.plugins.module_utils._pg.canonical import enclosed

ORDINARY = [
    "true",
    "(a > 0)",
    "a > 0 AND (b IS NULL OR c <> 'x')",
    "lower(name)",
    "(data ->> 'a;b')::int",
    "name = 'it''s'",
    "name ~ E'^\\\\d+\\'$'",
    "e'\\\\' || name",
    '"odd ) name" IS NOT NULL',
    '"a""b" = 1',
    "note = $$);$$",
    "note = $tag$ ' $$ ; ( $tag$",
    "note = $a1$ ' $a1$",
    "note = $\N{PILE OF POO}$ ' $\N{PILE OF POO}$",
    "price * 1.5e3 > .5 -- in cents ; (",
    "a /* one /* inside ) */ another ' */ > 0",
    "a$b$c = 1 AND x$ = 2",
    "U&'d\\0061t\\+000061' = name",
    "b'101' = bits AND x'1F' = more",
    "E'a'\n 'b\\''  -- goes on\n\t'c' = name",
    "'a'\n'b\\' = name",
    "1--1\n+ 2 > 0",
    "status IN ('new', 'paid') AND amount BETWEEN 1 AND 10",
    "\N{GREEK SMALL LETTER LAMDA} > 0",
    "e = 1 AND E>0",
]

ESCAPING = [
    ("true); DROP TABLE x; --", "parenthesis"),
    ("true; DROP TABLE x", "semicolon"),
    ("$$);$$);", "parenthesis"),
    ("$a$ $b$ $a$); SELECT ('$b$'", "parenthesis"),
    ("E'\\'); --'", None),  # a string that ends as it should
    ("E'\\\\'); --'", "parenthesis"),
    ("'\\'); --'", "parenthesis"),
    ("a > (0", "parenthesis is not closed"),
    (")(", "character 1 closes nothing"),
    ("name = 'x", "quotation mark at character 8"),
    ('"name', "quotation mark at character 1"),
    ("E'a\\'", "quotation mark"),
    ("E'x'' \\'", "quotation mark"),
    ("note = $$ abc", "character 8"),
    ("note = $a$ $$ $b$", "character 8"),
    ("/* /* */", "comment"),
    ("/*/", "comment"),
    ("/* */ ) /* */", "parenthesis"),
    ("/* ' */ ); DROP TABLE x; SELECT (' '", "parenthesis"),
    # a tag may have digits, and letters from any plane
    ("$a1$ ' $a1$); DROP TABLE x; SELECT ('a'", "parenthesis"),
    ("$\N{PILE OF POO}$ ' $\N{PILE OF POO}$); SELECT ('a'", "parenthesis"),
    ("\N{PILE OF POO}E '\\'); SELECT ($$'$$", "parenthesis"),
    ("\N{PILE OF POO}E'\\'); SELECT ($$'$$", "parenthesis"),
    (" \xa0E'\\'); SELECT ($$'$$", "parenthesis"),  # no space to PostgreSQL
    (" \u2003E'\\'); SELECT ($$'$$", "parenthesis"),
    # a comment ends with either kind of line end
    ("true --\r); DROP TABLE x; SELECT (1", "parenthesis"),
    ("true --'\r); DROP TABLE x; SELECT (1 --'", "parenthesis"),
    # a string with backslashes goes on after a line end, backslashes included
    ("E'a'\n'\\''); DROP TABLE x; SELECT ($$'$$", "parenthesis"),
    ("E'a' -- and\n -- so\n '\\''); DROP TABLE x; SELECT ($$'$$", "parenthesis"),
    ("E'a'\r'\\''); DROP TABLE x; SELECT ($$'$$", "parenthesis"),
    ("E'a'\n'b\\'", "quotation mark"),
    # a number ends where its digits do
    ("1$$ ' $$); DROP TABLE x; SELECT ('a'", "parenthesis"),
    ("1E'\\''); DROP TABLE x; --'", "parenthesis"),
    ("1e5E'\\''); DROP TABLE x; --'", "parenthesis"),
    ("$1$$ ' $$); DROP TABLE x; SELECT ('a'", "parenthesis"),
    ("a$$ ' $$); DROP TABLE x; SELECT ('", None),  # a$$ is a name, and the rest one string
    ("xE'\\'); DROP TABLE x; --'", "parenthesis"),  # xE is a name
    ("\u2019); DROP TABLE x", "parenthesis"),
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_expressions(text: str) -> None:
    assert complaint(text) is None
    assert stays_inside(enclosed(text))


@pytest.mark.parametrize(("text", "said"), ESCAPING)
def test_hostile_texts(text: str, said: str | None) -> None:
    found = complaint(text)
    assert (said is None and found is None) or (said is not None and said in (found or "")), found
    assert (found is None) == stays_inside(enclosed(text))


def stays_inside(sql: str) -> bool:
    """Read `(…)` as PostgreSQL's scan.l does, one character after the other; written apart from what it judges."""
    depth = position = 0
    while position < len(sql):
        if position and depth == 0:
            return False
        step, rest = sql[position], sql[position:]
        if step in "()":
            depth += 1 if step == "(" else -1
            position += 1
        elif step == ";":
            return False
        else:
            length = token_length(rest)
            if not length:
                return False
            position += length
    return depth == 0


def token_length(rest: str) -> int:
    """Return the length of the token that a text begins with; 0 where it never ends."""
    if rest.startswith("--"):
        length = len(re.split("[\n\r]", rest, maxsplit=1)[0])
    elif rest.startswith("/*"):
        length = comment_length(rest)
    elif rest[0] in "'\"":
        length = quoted_length(rest, 0, escapes=False)
    elif rest[:2] in ("e'", "E'"):
        length = escaped_length(rest)
    elif rest[0] == "$":
        length = dollars_length(rest)
    elif rest[0] in "0123456789":
        length = len(re.split(r"^([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)", rest)[1])
    elif rest[0] == "_" or rest[0].isalpha() or not rest[0].isascii():
        ends = (n for n, c in enumerate(rest) if c.isascii() and not (c.isalnum() or c in "_$"))
        length = next(ends, len(rest))
    else:
        length = 1
    return length


def dollars_length(rest: str) -> int:
    opened = re.match(r"\$([A-Za-z_][A-Za-z_0-9]*)?\$", "".join(c if c.isascii() else "u" for c in rest))
    if not opened:
        return 1
    tag = rest[: opened.end()]
    return rest.find(tag, len(tag)) + len(tag) if tag in rest[len(tag) :] else 0


def comment_length(rest: str) -> int:
    depth = position = 0
    while position < len(rest) - 1:
        two = rest[position : position + 2]
        depth += {"/*": 1, "*/": -1}.get(two, 0)
        position += 2 if two in ("/*", "*/") else 1
        if depth == 0:
            return position
    return 0


def quoted_length(rest: str, start: int, *, escapes: bool) -> int:
    mark, position = rest[start], start + 1
    while position < len(rest):
        if escapes and rest[position] == "\\":
            position += 2
        elif rest[position] != mark:
            position += 1
        elif rest[position + 1 : position + 2] == mark:
            position += 2
        else:
            return position + 1
    return 0


def escaped_length(rest: str) -> int:
    """A string that goes on after white space with a line end in it keeps its escapes."""
    position = quoted_length(rest, 1, escapes=True)
    while position:
        gap = re.match(r"(([ \t\f\v]|--[^\n\r]*)*[\n\r]([ \t\f\v\n\r]|--[^\n\r]*[\n\r])*)'", rest[position:])
        if not gap:
            break
        position = quoted_length(rest, position + gap.end() - 1, escapes=True)
    return position


QUOTES = ["'", "''", '"', "E'", "e'", "U&'", "N'", 'U&"', "$", "$$", "$a$", "$a1$", "$1", "$\xe9$", "\U0001f4a9", "\\"]
PIECES = [
    *QUOTES,
    "--",
    "/*",
    "*/",
    "/",
    "\n",
    "\r",
    "\t",
    " ",
    "(",
    ")",
    ";",
    "1",
    "1e5",
    "2.",
    "0x",
    "a",
    "E",
    "_",
    "|",
]


@settings(deadline=None, derandomize=True, max_examples=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("--\r)(")
@example("E'a'\n'b\\'")
def test_nothing_accepted_leaves_its_parentheses(text: str) -> None:
    if complaint(text) is None:
        assert stays_inside(enclosed(text))


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    if complaint(text) is None:
        assert stays_inside(enclosed(text))
    else:
        assert not stays_inside(enclosed(text))
