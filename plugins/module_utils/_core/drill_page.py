# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of a recovery drill: for an auditor who was not there, and for whoever is woken by it.

It is one file: no script, nothing from elsewhere, and its own policy forbids both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import drill_history
from .drill_facts import Drill, Past, Step, by_verdict, drill, history, short
from .drill_style import STYLE
from .drill_timeline import timeline
from .drill_verdict import Judged, judged, lost, recovery_point, recovery_time, spoken, well
from .drill_words import BANNERS, PROVES, SIGNS, VERDICTS
from .job import worst
from .markup import Markup, joined, tag
from .recovery_probe import PASSED, Check
from .units import human_duration, human_size

_MOST_REASONS = 12
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(entry: Mapping[str, Any]) -> str:
    """Return the page of a record of kind `drill`."""
    told = drill(entry["facts"])
    earlier = history(entry["facts"].get("history", ()), entry["started"])
    found = judged(told, earlier, entry["started"])
    status = worst([entry["status"], found.status])
    body = tag(
        "main",
        _banner(entry, told, found, status),
        _figures(told, found),
        _section("Timeline", timeline(told)),
        _section("What was proven, and how", *_preflight(told), *map(_step, told.steps), *_proofs(told)),
        _section("Drill by drill", *_history([*earlier, _read(entry, status)], told)),
        _section("Do it again", tag("pre", tag("code", told.repeat))),
        _footer(),
    )
    title = f"Recovery drill of {told.cluster}: {status}"
    head = tag("title", title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{head}<style>{STYLE}</style></head>\n<body>{body}</body></html>\n'
    )


def _read(entry: Mapping[str, Any], status: str) -> Past:
    return Past(**short(entry) | {"status": status})


def _section(title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", title), *content)


def _banner(entry: Mapping[str, Any], told: Drill, found: Judged, status: str) -> Markup:
    sign, words = BANNERS[status]
    reasons = [*found.faults, *found.warnings]
    if status != found.status:
        reasons.append(f"the drill itself ended as {status}")
    shown = [tag("li", each) for each in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        shown.append(tag("li", f"and {len(reasons) - _MOST_REASONS} more, below"))
    facts = {
        "Cluster": told.cluster,
        "Stanza": told.stanza,
        "PostgreSQL": told.version,
        "Profile": told.profile.replace("_", " "),
        "On host": entry["host"],
        "Begun": entry["started"].replace("T", " ").replace("Z", " UTC"),
        "Took": human_duration(entry["seconds"]),
    }
    return tag(
        "header",
        tag("p", "Recovery drill", class_="kind"),
        tag("h1", tag("span", sign, class_="sign", aria_hidden="true"), f" {words}: {told.cluster}"),
        *([tag("ul", *shown, class_="reasons")] if shown else []),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", str(value))) for name, value in facts.items())),
        class_=f"banner {status}",
    )


def _figures(told: Drill, found: Judged) -> Markup:
    size = "" if told.size_bytes is None else f"{human_size(told.size_bytes)} restored"
    speed = "" if told.bytes_per_second is None else f"{human_size(round(told.bytes_per_second))}/s"
    worst_point = told.recovery_point_worst_seconds
    moment = "" if worst_point is None else f"at the worst moment of the window {lost(worst_point)}"
    time, point = told.recovery_time_seconds, told.recovery_point_seconds
    return tag(
        "div",
        _figure(
            "Recovered in", spoken(time), time, told.recovery_time_objective, ", ".join(filter(None, (size, speed)))
        ),
        _figure("Data lost, at most", lost(point), point, told.recovery_point_objective, moment),
        _counted(told, found),
        class_="cards",
    )


def _counted(told: Drill, found: Judged) -> Markup:
    total, before = len(told.checks), len(told.preflight)
    parts = [(found.failed, "failed"), (found.could_not_run, "could not run")]
    wrong = ", ".join(f"{number} {words}" for number, words in parts if number)
    good = bool(told.checks) and not wrong
    return tag(
        "div",
        tag("h2", "Checks"),
        tag("p", f"{found.passed} of {total} passed", class_="big"),
        _share(found.passed, total or 1),
        tag("p", "✓ all passed" if good else f"✕ {wrong or 'nothing was checked'}", class_="verdict"),
        tag("p", f"{total - before} of what was restored, {before} before", class_="more"),
        class_="card good" if good else "card bad",
    )


def _figure(title: str, words: str, measured: float | None, objective: float, more: str) -> Markup:
    met = measured is not None and measured <= objective
    kept = "objective met" if met else "objective missed" if measured is not None else "objective not shown to be met"
    return tag(
        "div",
        tag("h2", title),
        tag("p", words, class_="big"),
        _share(measured or 0.0, objective),
        tag("p", f"{'✓' if met else '✕'} {kept}: {human_duration(objective)}", class_="verdict"),
        *([tag("p", more, class_="more")] if more else []),
        class_="card good" if met else "card bad",
    )


def _share(part: float, whole: float) -> Markup:
    """Draw how much of a whole is used; more than all of it is shown as a mark where the whole ends."""
    scale = max(part, whole)
    bar = tag("rect", width=f"{100 * part / scale:.2f}%", height=8, class_="used")
    end = tag("line", x1=f"{100 * whole / scale:.2f}%", x2=f"{100 * whole / scale:.2f}%", y1=0, y2=8, class_="limit")
    return tag(
        "svg", tag("rect", width="100%", height=8, class_="track"), bar, end, width="100%", height=8, aria_hidden="true"
    )


def _preflight(told: Drill) -> Iterator[Markup]:
    if told.preflight:
        yield tag("h3", "Before anything was restored")
        yield _checks(told.preflight, "Checks before anything was restored")


def _step(step: Step) -> Markup:
    place = f"{step.repository}{', off-site' if step.offsite else ''}"
    told = {
        "Target": step.target,
        "Backup": step.backup or "none",
        "Repository": place or "none",
        **({"Recovery stopped": step.stopped_at or "not known"} if step.whole_cluster else {}),
        "Phases": ", ".join(f"{name} {human_duration(seconds)}" for name, seconds in step.phases.items()) or "none",
    }
    good = well(step)
    error = [tag("p", f"✕ {step.error}", class_="error")] if step.error else []
    return joined(
        tag("h3", tag("span", "✓ " if good else "✕ ", class_="sign good" if good else "sign bad"), step.name),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", words)) for name, words in told.items()), class_="source"),
        *error,
        _checks(step.checks, f"Checks of {step.name}")
        if step.checks
        else tag("p", "Nothing was checked.", class_="more"),
    )


def _checks(checks: Sequence[Check], caption: str) -> Markup:
    head = tag(
        "tr",
        *(tag("th", words, scope="col") for words in ("Verdict", "Check", "Database", "What was found")),
        tag("th", "Took", scope="col", class_="number"),
    )
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", *map(_check, by_verdict(checks))),
        class_="checks",
    )


def _check(each: Check) -> Markup:
    sign, words = VERDICTS[each.status]
    return tag(
        "tr",
        tag("td", f"{sign} {words}", class_="verdict"),
        tag("th", each.check.replace("_", " "), scope="row"),
        tag("td", each.database or "–", class_="database"),
        tag("td", each.words, class_="words"),
        tag("td", _took(each.seconds), class_="number"),
        class_="good" if each.status == PASSED else "bad",
    )


def _took(seconds: float) -> str:
    return "< 0.1 s" if 0 < seconds < 0.05 else human_duration(seconds)


def _proofs(told: Drill) -> Iterator[Markup]:
    """Say of each kind of check that was made what it proves."""
    made = {"statements" if each.check.startswith("statement ") else each.check for each in told.checks}
    rows = [
        tag("tr", tag("th", name.replace("_", " "), scope="row"), tag("td", words))
        for name, words in PROVES.items()
        if name in made
    ]
    if rows:
        yield tag("h3", "What each check proves")
        yield tag(
            "p",
            "A check that could not run proves nothing: it is counted apart, and the drill has failed.",
            class_="more",
        )
        head = tag("tr", tag("th", "Check", scope="col"), tag("th", "Where it passed, this holds", scope="col"))
        yield tag(
            "table", tag("caption", "What each check proves"), tag("thead", head), tag("tbody", *rows), class_="proofs"
        )


def _history(drills: Sequence[Past], told: Drill) -> Iterator[Markup]:
    if len(drills) == 1:
        yield tag("p", "This is the first drill of this cluster on record.")
        return
    yield tag(
        "div",
        drill_history.chart("time", "Recovery time", drills, recovery_time, told.recovery_time_objective),
        drill_history.chart("point", "Recovery point", drills, recovery_point, told.recovery_point_objective),
        class_="charts",
    )
    yield tag("ul", *(tag("li", words) for words in SIGNS), class_="legend", aria_label="Signs")
    head = tag(
        "tr",
        tag("th", "Begun", scope="col"),
        tag("th", "Profile", scope="col", class_="wide"),
        tag("th", "Verdict", scope="col"),
        *(tag("th", words, scope="col", class_="number") for words in ("Recovered in", "Data lost")),
        tag("th", "Size", scope="col", class_="number wide"),
    )
    yield tag(
        "table",
        tag("caption", "Drills, the latest first"),
        tag("thead", head),
        tag("tbody", *map(_past, reversed(drills))),
        class_="history",
    )


def _past(each: Past) -> Markup:
    day, _t, time = each.started.partition("T")
    size = "not measured" if each.size_bytes is None else human_size(each.size_bytes)
    return tag(
        "tr",
        tag("th", day, tag("span", f" {time.rstrip('Z')}", class_="wide"), scope="row"),
        tag("td", each.profile.replace("_", " "), class_="wide"),
        tag("td", f"{BANNERS[each.status][0]} {each.status}", class_="verdict"),
        tag("td", spoken(each.recovery_time_seconds), class_="number"),
        tag("td", lost(each.recovery_point_seconds), class_="number"),
        tag("td", size, class_="number wide"),
        class_="good" if each.status == "ok" else "warn" if each.status == "warning" else "bad",
    )


def _footer() -> Markup:
    return tag(
        "footer",
        tag(
            "p",
            "Made by pgstead.ops. The JSON file beside this page holds the same facts; ",
            tag("code", "sha256sum -c"),
            " over the manifest beside both proves that neither was changed since.",
        ),
    )
