# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A few values as YAML for the inventory; the host has no YAML library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
# what YAML 1.1 takes for something else than a text
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # YAML wants these as numbers, JSON does not
_TEMPLATE = re.compile(r"\{[{%#]")


def to_yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """Return a mapping as a YAML block that ends with a line end."""
    return "".join(_entry(name, each, indent) for name, each in value.items())


def _entry(name: str, value: Any, indent: int) -> str:
    head = " " * indent + _scalar(name) + ":"
    if isinstance(value, Mapping):
        return f"{head}\n{to_yaml(value, indent + 2)}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not any(isinstance(item, Mapping) for item in value):
            return f"{head} [{', '.join(_scalar(item) for item in value)}]\n"
        return f"{head}\n" + "".join(_item(item, indent + 2) for item in value)
    return f"{head} {_scalar(value)}\n"


def _item(value: Any, indent: int) -> str:
    if not isinstance(value, Mapping):
        return f"{' ' * indent}- {_scalar(value)}\n"
    block = to_yaml(value, indent + 2)
    return f"{' ' * indent}- {block[indent + 2 :]}"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
    # Ansible would take braces in an SQL expression for a template
    return f"!unsafe {quoted}" if _TEMPLATE.search(text) else quoted
