# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a text can be one SQL expression: it is put between parentheses, and must not be able to leave them."""

from __future__ import annotations

import re

# Possessive quantifiers: what PostgreSQL would read as one long string must not be cut short to make it fit.
_ESCAPED = r"'(?:[^'\\]|''|\\.)*+'"
# white space with a line end: behind it a string goes on, and one with escapes keeps them
_GAP = r"(?:[ \t\f\v]|--[^\n\r]*)*+[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*[\n\r])*+"
# Letters, the underscore and all that is not ASCII; said by what they are not, which Python compiles 50 times as quickly.
_NO_LETTER = r"\x00-/:-@\[-^`{-\x7f"
_LETTER, _FURTHER = rf"[^0-9{_NO_LETTER}]", rf"[^{_NO_LETTER}]"
_TAG = rf"(?:{_LETTER}{_FURTHER}*)?"
TOKEN = re.compile(
    rf"""
    (?P<skip> [eE]{_ESCAPED}(?:{_GAP}{_ESCAPED})*+(?!{_GAP}')   # a string with backslash escapes
      | '(?:[^']|'')*+'                           # a string
      | "(?:[^"]|"")*+"                           # a quoted name
      | \$(?P<tag>{_TAG})\$.*?\$(?P=tag)\$ )       # a dollar-quoted string
    | (?P<space> [ \t\n\r\f\v]+ | --[^\n\r]* )
    | (?P<comment> /\* )
    | (?P<open> \( ) | (?P<close> \) ) | (?P<end> ; )
    | (?P<torn> [eE]?' | " | \${_TAG}\$ )         # a quotation mark that nothing closes
    | [0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?     # what follows a number is no part of it
    | (?P<word> {_LETTER}(?:{_FURTHER}|\$)* ) | (?P<backslash> \\ ) | .
    """,
    re.VERBOSE | re.DOTALL,
)


def complaint(text: str) -> str | None:
    """Say why a text is not one expression (parentheses, quotation marks, semicolons), or return None."""
    depth = position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            position = comment_end(text, match.start())
            if not position:
                return "a comment (/*) is not closed"
        if kind == "torn":
            return f"a quotation mark at character {match.start() + 1} is not closed"
        if kind == "end":
            return f"a semicolon at character {match.start() + 1}: give one expression, not statements"
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            return f"a parenthesis at character {match.start() + 1} closes nothing"
    return "a parenthesis is not closed" if depth else None


def comment_end(text: str, start: int) -> int:
    """Return where a comment that begins here ends (they nest), or 0."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return 0


_CALL = re.compile(r'((?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)(?:\.(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*))?)\s*$')
_CAST = re.compile(r'::\s*(?:"(?:[^"]|"")+"|[A-Za-z_][\w$ ]*)(?:\.(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*))?(?:\[\])*')
_WORDS = frozenset({"true", "false", "null", "array", "row"})


def constant_calls(text: str) -> tuple[str, ...]:
    """Return the functions that an expression (as the server deparses it) calls for each row although no column is in
    their arguments: inside `(SELECT …)` one call would do for all rows.
    """
    found: list[str] = []
    opened: list[tuple[str, int, bool]] = []  # (function before the parenthesis, where it opens, inside a SELECT)
    plain = blanked(text)
    for position, character in enumerate(plain):
        if character == "(":
            before = _CALL.search(plain[:position])
            inside = (bool(opened) and opened[-1][2]) or plain[position + 1 :].lstrip()[:7].upper() == "SELECT "
            opened.append((before[1] if before else "", position, inside))
        elif character == ")" and opened:
            name, start, inside = opened.pop()
            arguments = _CAST.sub("", plain[start + 1 : position])
            words = {word.lower() for word in re.findall(r"[A-Za-z_][\w$.]*(?!\w*\s*\()", arguments)} - _WORDS
            if name and not inside and not words and name.lower() not in _WORDS:
                found.append(name)
    return tuple(dict.fromkeys(found))


def blanked(text: str) -> str:
    """Return a text with its strings emptied, so that what they hold is not read as SQL."""
    return re.sub(r"'(?:[^']|'')*'", lambda match: "'" + " " * (len(match[0]) - 2) + "'", text)
