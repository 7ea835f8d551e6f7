# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evidence: what was proven, as JSON for machines and a page for people (docs/evidence.md has the schema)."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from . import drill_page

SCHEMA = 1
DRILL = "drill"


def record(
    kind: str, host: str, *, started: str, seconds: float, status: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one evidence record. `started` is UTC, ISO 8601; status is ok, warning, failed or skipped."""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "host": host,
        "started": started,
        "seconds": round(seconds, 3),
        "status": status,
        "facts": dict(facts),
    }


def file_stem(entry: Mapping[str, Any]) -> str:
    """Return `<UTC time>-<kind>` of a record, and the cluster of a drill: one host drills several."""
    time = str(entry["started"]).replace("-", "").replace(":", "").split(".")[0].rstrip("Z")
    cluster = f"-{entry['facts']['cluster']}" if entry["kind"] == "drill" else ""
    return f"{time}Z-{entry['kind']}{cluster}"


def as_json(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, indent=2, sort_keys=True) + "\n"


def as_page(entry: Mapping[str, Any]) -> str:
    """Return a self-contained HTML page of a record."""
    if entry["kind"] == DRILL:
        return drill_page.page(entry)
    rows = "\n".join(
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th><td>{_cell(value)}</td></tr>"
        for name, value in entry["facts"].items()
    )
    title = html.escape(f"{entry['kind']} on {entry['host']}: {entry['status']}")
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
th{{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0}}td{{padding:.3rem 0}}ul{{margin:0;padding-left:1rem}}
</style><h1>{title}</h1><p>{html.escape(str(entry["started"]))}, {entry["seconds"]} s</p>
<table>
{rows}
</table></html>
"""


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{name}: {item}" for name, item in value.items()]
    if isinstance(value, (list, tuple)):
        return "<ul>" + "".join(f"<li>{html.escape(str(item))}</li>" for item in value) + "</ul>" if value else "none"
    return html.escape(str(value))
