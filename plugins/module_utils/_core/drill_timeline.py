# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timeline of a drill as SVG: a row for each restore, its phases one after the other.

Widths are in percent and texts in pixels, so that it can be read on a telephone and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator

from .drill_axis import Axis, from_zero
from .drill_facts import PHASES, Drill, Step
from .drill_verdict import well
from .markup import Markup, joined, tag
from .units import human_duration

_ROW, _TOP, _BAR = 44, 8, 18  # pixels
_LEAST_WIDTH = 0.4  # percent: what took no time can still be seen
# Percent of the width from which a bar can hold its whole label everywhere; on a screen; its phase's name there.
_ALWAYS, _SCREEN, _NAME = 26.0, 13.0, 7.0
_MOST_NAME = 34  # characters


def timeline(told: Drill) -> Markup:
    """Return the figure, or a sentence where nothing was restored."""
    span = max((step.begun + step.seconds for step in told.steps), default=0.0)
    if not span:
        return tag("p", "Nothing was restored, so there is nothing to show.")
    axis, base = from_zero(span), _TOP + _ROW * len(told.steps)
    rows = [_row(step, _TOP + _ROW * number, axis) for number, step in enumerate(told.steps)]
    drawing = tag(
        "svg",
        tag("title", "Timeline of the drill", id="timeline-title"),
        tag("desc", "; ".join(map(_told, told.steps)), id="timeline-desc"),
        *_grid(axis, base),
        *rows,
        role="img",
        aria_labelledby="timeline-title timeline-desc",
        width="100%",
        height=base + 22,
        class_="chart",
    )
    used = {name for step in told.steps for name in step.phases}
    legend = [
        tag("li", tag("i", class_=f"key {_class(name)}", aria_hidden="true"), name) for name in PHASES if name in used
    ]
    return joined(drawing, tag("ul", *legend, class_="legend", aria_label="Phases"))


def _grid(axis: Axis, base: int) -> Iterator[Markup]:
    for percent, words in axis.labels():
        yield tag("line", x1=f"{percent:.3f}%", x2=f"{percent:.3f}%", y1=0, y2=base, class_="grid")
        anchor = "start" if percent < 3 else "end" if percent > 97 else "middle"
        yield tag("text", words, x=f"{percent:.3f}%", y=base + 15, text_anchor=anchor, class_="tick")


def _row(step: Step, top: int, axis: Axis) -> Markup:
    good = well(step)
    name = step.name if len(step.name) <= _MOST_NAME else step.name[: _MOST_NAME - 1] + "…"
    bars, at = [], step.begun
    for phase, seconds in step.phases.items():
        bars.append(_bar(phase, at, seconds, top + 16, axis))
        at += seconds
    return tag(
        "g",
        tag("text", f"{'✓' if good else '✕'} {name}", x="0", y=top + 10, class_="row" if good else "row bad"),
        tag("text", human_duration(step.seconds), x="100%", y=top + 10, text_anchor="end", class_="tick halo"),
        *bars,
    )


def _bar(phase: str, begun: float, seconds: float, top: int, axis: Axis) -> Markup:
    left, share = axis.percent(begun), axis.percent(begun + seconds) - axis.percent(begun)
    width, words = max(share, _LEAST_WIDTH), f"{phase} {human_duration(seconds)}"
    place = {"x": f"{min(left, 100 - width):.3f}%", "width": f"{width:.3f}%", "y": top, "height": _BAR}
    inside = [tag("title", words), tag("rect", width="100%", height="100%", class_=_class(phase))]
    if share >= _NAME:
        label = words if share >= _SCREEN else phase
        inside.append(tag("text", label, x=6, y=13, class_="in" if share >= _ALWAYS else "in wide"))
    return tag("svg", *inside, **place)


def _class(phase: str) -> str:
    return f"phase-{PHASES.index(phase)}" if phase in PHASES else "phase-other"


def _told(step: Step) -> str:
    phases = ", ".join(f"{name} {human_duration(seconds)}" for name, seconds in step.phases.items())
    return f"{step.name}: begun after {human_duration(step.begun)}, {phases or 'no phase came to its end'}"
