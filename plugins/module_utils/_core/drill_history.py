# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How recovery time and recovery point went from drill to drill, as SVG: a mark for each drill, the objective as a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from .drill_axis import Axis, over
from .drill_facts import Past
from .drill_trend import Line, line
from .drill_verdict import points, spoken
from .markup import Markup, tag
from .units import human_duration

_LEFT, _RIGHT = 16.0, 97.0  # percent: room for the words of the axis, and for half of the last mark
_TOP, _BASE, _HEIGHT = 18, 168, 190  # pixels
_MARKS = {
    "ok": tag("circle", r=4, class_="mark good"),
    "warning": tag("path", d="M0 -6L6 5H-6Z", class_="mark warn"),
    "failed": tag("path", d="M-5 -5L5 5M5 -5L-5 5", class_="mark cross"),
}
_OTHER = tag("circle", r=4, class_="mark hollow")

Figure = Callable[[Past], float | None]


def chart(name: str, title: str, drills: Sequence[Past], figure: Figure, objective: float) -> Markup:
    """Draw one figure of all drills, the oldest first; `name` keeps its ids apart from another chart's."""
    values = [value for each in drills if (value := figure(each)) is not None]
    axis = over([*values, objective])
    told = "; ".join(f"{each.started[:10]}: {spoken(figure(each))}, {each.status}" for each in drills)
    return tag(
        "figure",
        tag("figcaption", title, tag("small", " (logarithmic)" if axis.logarithmic else "")),
        tag(
            "svg",
            tag("title", f"{title} of the last {len(drills)} drills", id=f"{name}-title"),
            tag("desc", f"Objective: {human_duration(objective)}. {told}", id=f"{name}-desc"),
            *_frame(axis, drills),
            *_objective(axis, objective),
            *_trend(axis, drills, figure),
            *_course(axis, drills, figure),
            role="img",
            aria_labelledby=f"{name}-title {name}-desc",
            width="100%",
            height=_HEIGHT,
            class_="chart",
        ),
    )


def _frame(axis: Axis, drills: Sequence[Past]) -> Iterator[Markup]:
    for seconds, (_percent, words) in zip(axis.ticks, axis.labels(), strict=True):
        y = _y(axis, seconds)
        yield tag("line", x1=f"{_LEFT}%", x2="100%", y1=y, y2=y, class_="grid")
        yield tag("text", words, x=f"{_LEFT - 1.5}%", y=y + 4, text_anchor="end", class_="tick")
    for each, anchor in ((drills[0], "start"), (drills[-1], "end")):
        x = f"{_LEFT}%" if anchor == "start" else "100%"
        yield tag("text", each.started[:10], x=x, y=_HEIGHT - 6, text_anchor=anchor, class_="tick")


def _objective(axis: Axis, objective: float) -> Iterator[Markup]:
    y = _y(axis, objective)
    yield tag("line", x1=f"{_LEFT}%", x2="100%", y1=y, y2=y, class_="objective")
    yield tag("text", f"objective {human_duration(objective)}", x=f"{_LEFT + 1}%", y=y - 5, class_="tick strong halo")


def _course(axis: Axis, drills: Sequence[Past], figure: Figure) -> Iterator[Markup]:
    """Draw a mark for each drill, joined to the one before where both were measured."""
    measured = [(_x(drills, each.at), figure(each)) for each in drills]
    for (left, before), (right, after) in pairwise(measured):
        if before is not None and after is not None:
            places = {"x1": f"{left}%", "x2": f"{right}%", "y1": _y(axis, before), "y2": _y(axis, after)}
            yield tag("line", **places, class_="course")
    for each, (x, value) in zip(drills, measured, strict=True):
        words = tag("title", f"{each.started}: {spoken(value)}, {each.status}")
        if value is None:
            yield tag("text", "?", words, x=f"{x}%", y=_BASE - 4, text_anchor="middle", class_="unmeasured")
        else:
            mark = _MARKS.get(each.status, _OTHER)
            yield tag("svg", words, mark, x=f"{x}%", y=_y(axis, value), overflow="visible", width=1, height=1)


def _trend(axis: Axis, drills: Sequence[Past], figure: Figure) -> Iterator[Markup]:
    measured = points(drills, figure)
    found = line(measured)
    if found is None or axis.logarithmic:  # a straight line is none there
        return
    begin, end = measured[-found.drills][0], measured[-1][0]
    yield tag(
        "line",
        x1=f"{_x(drills, begin)}%",
        x2=f"{_x(drills, end)}%",
        y1=_on(axis, found, begin),
        y2=_on(axis, found, end),
        class_="trend",
    )


def _on(axis: Axis, found: Line, when: datetime) -> float:
    return _y(axis, found.at(when))


def _x(drills: Sequence[Past], when: datetime) -> float:
    first, last = drills[0].at, drills[-1].at
    share = (when - first) / (last - first) if last > first else 1.0
    return round(_LEFT + 2 + share * (_RIGHT - _LEFT - 2), 3)


def _y(axis: Axis, seconds: float) -> float:
    return round(_BASE - (_BASE - _TOP) * axis.percent(seconds) / 100, 2)
