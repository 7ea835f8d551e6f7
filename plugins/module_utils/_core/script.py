# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SQL scripts in statements with their lines, and what in them cannot be part of one transaction over a driver.

Statements end where psql ends them: at a semicolon outside strings, comments, parentheses, and bodies of functions in
standard SQL (BEGIN ATOMIC … END).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .expression import TOKEN, comment_end

_SETTING = frozenset(
    {"SET", "RESET", "SELECT", "DO", "CALL"}
)  # the latter by functions: set_config(), and their own SET
FIRST_WORDS = 4  # CREATE OR REPLACE FUNCTION
# what pg_dump writes for psql alone, and what means nothing without it
_RESTRICT = re.compile(r"\\(?:un)?restrict\b[^\n]*")
_STREAM = re.compile(r"\b(FROM\s+STDIN|TO\s+STDOUT)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement without its semicolon, the line it begins on, and its first words in capitals."""

    text: str
    line: int
    words: tuple[str, ...]


class ScriptError(ValueError):
    """A script that cannot be read as statements; the message begins with the line."""


def statements(text: str) -> tuple[Statement, ...]:
    """Split a script. Raises ScriptError where it is not SQL alone, or a quotation mark or comment is not closed."""
    if "\0" in text:
        raise ScriptError(
            f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a zero byte, which is not text"
        )
    return tuple(_split(text))


def _split(text: str) -> Iterator[Statement]:
    position, line, counted = 0, 1, 0  # `line` is that of character `counted`: each is counted once
    start: int | None = None
    depth, words = _Depth(), list[str]()
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            position = comment_end(text, match.start())
        if kind in ("torn", "backslash") or not position:
            line += text.count("\n", counted, match.start())
            position, counted = _past(text, match.start(), line, between=start is None), match.start()
            continue
        if kind in ("space", "comment"):
            continue
        if start is None and kind != "end":
            line, counted = line + text.count("\n", counted, match.start()), match.start()
            start = match.start()
        depth.note(kind, match[0], words)
        if start is not None and kind == "end" and depth.outside:
            yield Statement(text[start : match.start()], line, tuple(words))
            start, depth, words = None, _Depth(), []
    if start is not None:
        yield Statement(text[start:].rstrip(), line, tuple(words))


def _past(text: str, position: int, line: int, *, between: bool) -> int:
    """Return where to go on behind a line for psql that means nothing here. Raises ScriptError for all others."""
    if text[position] != "\\":
        what = "a comment (/*)" if text[position] == "/" else "a quotation mark"
        raise ScriptError(f"line {line}: {what} is not closed")
    found = _RESTRICT.match(text, position)
    if not (found and between):
        command = text[position:].split(None, 1)[0]
        raise ScriptError(
            f"line {line}: {command} is for psql; only SQL works here (declare migrate_command to run psql)"
        )
    return found.end()


class _Depth:
    """How deep in parentheses and in the body of a function the reading is; psql's own rule."""

    def __init__(self) -> None:
        self.parentheses = self.body = 0

    @property
    def outside(self) -> bool:
        return self.parentheses <= 0 and self.body == 0

    def note(self, kind: str | None, text: str, words: list[str]) -> None:
        """Take one token into account; `words` has the first words of the statement and is added to."""
        self.parentheses += (kind == "open") - (kind == "close")
        if kind != "word":
            return
        word = text.upper()
        if len(words) < FIRST_WORDS:
            words.append(word)
        if self.parentheses or not _makes_function(words):
            return
        if word == "BEGIN" or (word == "CASE" and self.body):  # CASE, too, is closed by END
            self.body += 1
        elif word == "END" and self.body:
            self.body -= 1


def _makes_function(words: list[str]) -> bool:
    rest = words[3:] if words[1:3] == ["OR", "REPLACE"] else words[1:]
    return words[0] == "CREATE" and rest[:1] in (["FUNCTION"], ["PROCEDURE"])


def obstacle(statement: Statement) -> str:
    """Say why a statement cannot be part of one transaction over a driver, or return nothing."""
    first, following = statement.words[:1], statement.words[1:3]
    if first in (("COMMIT",), ("END",), ("ABORT",), ("BEGIN",)) or (first == ("ROLLBACK",) and "TO" not in following):
        return f"{first[0]} is for transactions, and all scripts together are one already: leave it out"
    if first in (("START",), ("PREPARE",)) and following[:1] == ("TRANSACTION",):
        return f"{first[0]} TRANSACTION: all scripts together are one transaction already: leave it out"
    if first == ("COPY",) and _STREAM.search(statement.text):
        return "COPY from or to the client needs psql: write INSERT, or declare migrate_command to run psql"
    return ""


def may_set(statement: Statement) -> bool:
    """Say whether a statement may change a setting of its session, as for how long locks are waited for: pg_dump's do."""
    return not _SETTING.isdisjoint(statement.words[:1])
