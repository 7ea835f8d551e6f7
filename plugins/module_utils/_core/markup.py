# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTML and SVG of which every text is escaped: only `tag` makes markup, and what is none becomes text in it."""

from __future__ import annotations

import html

_REPLACEMENT = "\ufffd"


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """Return an element; `class_` and `aria_label` are written class and aria-label, attributes that are None not at all."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{told}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Return markup as it is and texts escaped, one after the other."""
    return Markup("".join(each if isinstance(each, Markup) else text(each) for each in content))


def text(value: object) -> str:
    """Return a text that is no markup. What cannot be seen, or turns the order of what can, is shown as a replacement."""
    return html.escape("".join(map(_shown, str(value))))


def _shown(sign: str) -> str:
    if sign.isspace():
        return " "
    return sign if sign.isprintable() else _REPLACEMENT
