"""The page of a recovery drill: everything is on it, and nothing in it is run or loaded."""

from __future__ import annotations

import re
import string
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_axis import from_zero, over
from ansible_collections.pgstead.ops.plugins.module_utils._core.drill_words import OF_DRILLS, OF_PROBES, PROVES
from ansible_collections.pgstead.ops.plugins.module_utils._core.markup import joined, tag

from .drill_world import DAMAGED, LABEL, MUTE, PROVEN, STARTED, STOPPED, check, facts, past, step

DOCS = Path(__file__).resolve().parents[2] / "docs"
# no end tag; everything else that the page opens it must close
VOID = {"meta"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "footer", "h1", "h2", "h3"),
    *(
        "p",
        "span",
        "small",
        "i",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "pre",
        "code",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
    ),
    *("th", "td", "figure", "figcaption", "svg", "desc", "g", "rect", "line", "text", "circle", "path"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "id",
        "scope",
        "role",
        "aria-labelledby",
        "aria-hidden",
    ),
    *("aria-label", "width", "height", "x", "y", "x1", "x2", "y1", "y2", "r", "d", "text-anchor", "overflow"),
}
HISTORY = [past(f"2026-11-{day:02}T03:30:00Z", 100.0 + day) for day in (1, 6, 11, 16, 21)]


class Reader(HTMLParser):
    """Collects what a browser would see, and refuses what is not well formed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == []


def page(status: str = "ok", started: str = STARTED, host: str = "d1", **changed: Any) -> str:
    found = facts(**changed)
    return evidence.as_page(evidence.record("drill", host, started=started, seconds=160, status=status, facts=found))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def said(**changed: Any) -> str:
    """Return the page's words, without those of its style."""
    return "\n".join(read(re.sub(r"<style>.*</style>", "", page(**changed), flags=re.DOTALL)).words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ["Recovery proven", "1 min 53 s", "13 s", "objective met", "15 min", "5 min", "11 of 11 passed", "all passed"]),
        ({}, ["latest", LABEL, "store, off-site", STOPPED, "pgstead run drill_quick", "2026-11-26 03:30:00 UTC", "2 min 40 s"]),
        ({}, ["4.7 GB restored, 78.1 MB/s", "at the worst moment of the window 4 min", "d1", "17"]),
        ({}, ["This is the first drill of this cluster on record."]),
        ({"recovery_point_worst_seconds": 400}, ["Recovery proven, with warnings", "6 min 40 s of data would have been lost"]),
        ({"recovery_time_seconds": 1000}, ["Recovery NOT proven", "objective missed", "16 min 40 s"]),
        ({"recovery_time_seconds": None}, ["not measured", "objective not shown to be met"]),
        ({"steps": [step(checks=[*PROVEN, DAMAGED, MUTE])]}, ["11 of 13 passed", "1 failed, 1 could not run", "btree index damaged"]),
        ({"steps": [step(error="no such backup", checks=[])]}, ["✕ no such backup", "Nothing was checked."]),
        ({"steps": []}, ["nothing was restored", "Nothing was restored, so there is nothing to show."]),
        ({"history": HISTORY}, ["Recovery time of the last 6 drills", "objective 15 min", "2026-11-01"]),
        ({"history": [past("2026-11-01T03:30:00Z", None)]}, ["2026-11-01T03:30:00Z: not measured, ok"]),
        ({"status": "failed"}, ["Recovery NOT proven", "the drill itself ended as failed"]),
    ],
)  # fmt: skip
def test_what_is_on_it(changed: dict[str, Any], words: list[str]) -> None:
    shown = said(**changed)
    assert [each for each in words if each not in shown] == []


def test_what_did_not_pass_comes_first() -> None:
    shown = said(steps=[step(checks=[MUTE, *PROVEN, DAMAGED])])
    below = shown[shown.index("Target") :]
    assert below.index("✕ failed") < below.index("? could not run") < below.index("✓ passed")


def test_what_each_check_proves_is_what_the_documentation_says() -> None:
    table = re.findall(
        r"^\| (`.+?) \| (.+?) \|", (DOCS / "recovery-probe.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    documented = {name: words.replace("`", "") for names, words in table for name in re.findall(r"`(\w+)`", names)}
    assert set(OF_PROBES) == set(documented)
    together = {"roles", "extensions", "settings"}  # one row there
    assert {name: words for name, words in OF_PROBES.items() if name not in together} == {
        name: words for name, words in documented.items() if name not in together
    }


def test_what_only_drills_ask_is_in_their_documentation() -> None:
    guide = (DOCS / "drills.md").read_text(encoding="utf-8")
    assert [name for name in OF_DRILLS if f"`{name}`" not in guide] == []


def test_the_owners_questions_are_explained_together() -> None:
    assert PROVES["statements"] in said(steps=[step(checks=[check("statement orders")])])


def test_only_checks_that_were_made_are_explained() -> None:
    shown = said(steps=[step(checks=[check("dump")])])
    assert PROVES["dump"] in shown
    assert PROVES["checksums"] not in shown


def test_many_reasons_leave_the_banner_short() -> None:
    many = page(steps=[step(checks=[DAMAGED] * 80)])
    assert "and 68 more, below" in many
    assert read(many).words.count("btree index damaged") == 80


def test_it_stands_alone() -> None:
    for changed in ({}, {"history": HISTORY}, {"steps": [step(error="e"), step("dump shop", checks=[DAMAGED])]}):
        reader = read(page(**changed))
        assert set(reader.tags) <= TAGS
        assert {name for name, _value in reader.attributes} <= ATTRIBUTES
        assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes
        assert not re.search(r"url\(|@import|https?:|src=|href=", page(**changed))
        ids = [value for name, value in reader.attributes if name == "id"]
        assert len(ids) == len(set(ids))
        named = [
            each for name, value in reader.attributes if name == "aria-labelledby" for each in (value or "").split()
        ]
        assert set(named) <= set(ids)


HOSTILE = st.one_of(
    st.text(),
    st.text(string.ascii_letters + "<>&\"'/= -;!", min_size=1),
    st.sampled_from(
        ["</title><script>alert(1)</script>", '" onload="x', "' onload='x", "--><b>", "]]>", "</style><i>", "<!--"]
    ),
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_text_ever_becomes_a_tag(data: st.DataObject) -> None:
    def text() -> str:
        return data.draw(HOSTILE)

    def hostile_check() -> dict[str, Any]:
        status = data.draw(st.sampled_from(["passed", "failed", "could_not_run"]))
        return {"check": text(), "database": text(), "status": status, "words": text(), "seconds": 1.0}

    hostile_step = step(
        **{key: text() for key in ("name", "target", "repository", "backup", "stopped_at", "error")},
        phases={text(): 3.0, "verify": 1.0},
        checks=[hostile_check()],
    )
    made = page(
        host=text(),
        **{key: text() for key in ("cluster", "stanza", "profile", "repeat")},
        preflight=[hostile_check()],
        steps=[hostile_step],
        history=[past("2026-11-01T03:30:00Z", profile=text())],
    )
    reader = read(made)
    assert set(reader.tags) <= TAGS
    assert {name for name, _value in reader.attributes} <= ATTRIBUTES
    made.encode()  # no lone surrogate


def test_what_cannot_be_seen_is_shown() -> None:
    assert joined("a\u202eb\0c\ud800d\u200be\u00a0\n") == "a\ufffdb\ufffdc\ufffdd\ufffde  "


def test_only_markup_is_markup() -> None:
    inner = tag("b", "<i>", class_='x"y', aria_label=None)
    assert inner == '<b class="x&quot;y">&lt;i&gt;</b>'
    assert tag("p", inner) == f"<p>{inner}</p>"
    assert tag("p", str(inner)) == "<p>&lt;b class=&quot;x&amp;quot;y&quot;&gt;&amp;lt;i&amp;gt;&lt;/b&gt;</p>"


@pytest.mark.parametrize(
    ("high", "ticks"),
    [
        (153.4, ["0 s", "1 min", "2 min"]),
        (12, ["0 s", "5 s", "10 s"]),
        (0, ["0 s", "0.1 s"]),
        (1271, ["0 s", "5 min", "10 min", "15 min", "20 min"]),
        (90000, ["0 s", "6 h", "12 h", "18 h", "1 d"]),
    ],
)
def test_ticks_are_what_a_person_would_choose(high: float, ticks: list[str]) -> None:
    assert [words for _percent, words in from_zero(high).labels()] == ticks


@given(st.lists(st.floats(0, 1e8), min_size=1))
def test_every_value_has_a_place_on_its_axis(values: list[float]) -> None:
    axis = over(values)
    places = [axis.percent(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert len(axis.ticks) <= 15
    assert axis.logarithmic == (max(values) > 10 * max(min(values), 1.0))
