# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a text can be one SQL expression: it is put between parentheses, and must not be able to leave them."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<skip> [eE]'(?:[^'\\]|''|\\.)*'          # a string with backslash escapes
      | '(?:[^']|'')*'                          # a string
      | "(?:[^"]|"")*"                          # a quoted name
      | \$(?P<tag>(?:[A-Za-z_\x80-\uffff][A-Za-z_0-9\x80-\uffff]*)?)\$.*?\$(?P=tag)\$ )   # a dollar-quoted string
    | (?P<space> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<open> \( ) | (?P<close> \) ) | (?P<end> ; )
    | (?P<torn> ['"] )                          # a quotation mark that nothing closes
    | (?P<word> [A-Za-z_0-9$\x80-\uffff]+ )
    | (?P<backslash> \\ )
    | .
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
