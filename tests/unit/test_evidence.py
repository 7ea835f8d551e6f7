"""Evidence as JSON and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import evidence

FACTS = {
    "b_first": 1,
    "a <second>": "x & \"y\" </td><script>alert('1')</script>",
    "list": ["<b>", 2],
    "map": {"k": "<i>"},
    "no": [],
}


def entry(**changed: Any) -> dict[str, Any]:
    base = {
        "kind": "trial",
        "host": "db1",
        "started": "2026-01-02T03:04:05Z",
        "seconds": 1.23456,
        "status": "ok",
        "facts": FACTS,
    }
    return evidence.record(**(base | changed))


def test_record() -> None:
    assert entry() == {
        "schema": 1,
        "kind": "trial",
        "host": "db1",
        "started": "2026-01-02T03:04:05Z",
        "seconds": 1.235,
        "status": "ok",
        "facts": FACTS,
    }


def test_json_reads_back_and_is_stable() -> None:
    text = evidence.as_json(entry())
    assert json.loads(text) == entry()
    assert text.endswith("}\n")
    assert text == evidence.as_json(dict(reversed(entry().items())))


@pytest.mark.parametrize(
    "started", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.678Z", "20260102T030405Z"]
)
def test_file_stem(started: str) -> None:
    assert evidence.file_stem(entry(started=started)) == "20260102T030405Z-trial"


class Reader(HTMLParser):
    """Collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def read(**changed: Any) -> Reader:
    reader = Reader()
    reader.feed(evidence.as_page(entry(**changed)))
    return reader


def test_the_page_shows_every_fact_and_runs_none() -> None:
    reader = read()
    assert not {"script", "b", "i"} & set(reader.tags)
    assert reader.tags.count("tr") == len(FACTS)
    assert reader.tags.count("li") == 3
    for text in (
        "b first",
        "a <second>",
        FACTS["a <second>"],
        "<b>",
        "k: <i>",
        "none",
        "2026-01-02T03:04:05Z, 1.235 s",
    ):
        assert text in reader.text


def test_the_title_is_escaped() -> None:
    reader = read(kind="<img>", host="<a>", status="ok")
    assert not {"img", "a"} & set(reader.tags)
    assert reader.text.count("<img> on <a>: ok") == 2
