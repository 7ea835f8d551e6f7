# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is told of jobs, and by which way: what an inventory may declare, and the file that the host's command reads.

It may hold secrets (the address and headers of a webhook), so no message here repeats a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from .errors import Problem, SpecError
from .inventory import number, strings
from .units import parse_duration_ms

WHERE = "agent_notifications"
# not `on`: YAML reads that key as true
STATUSES = ("failed", "warning")
WAYS = ("email", "webhook")
REMINDER = "24h"
LEAST_REMINDER_SECONDS = 60
# a name of the local mail system will do; no more than goes into an envelope as it is
_ADDRESS = re.compile(r"[A-Za-z0-9._%+=/-]+(@[A-Za-z0-9.-]+)?")
_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True)
class Email:
    """Mail through the mail system of a host; `sender` may be empty."""

    to: tuple[str, ...]
    sender: str
    smtp_host: str
    smtp_port: int


@dataclass(frozen=True)
class Webhook:
    """Where JSON is posted to; both fields may be secret."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Policy:
    """When and how somebody is told; `least_status` is the least that counts as trouble."""

    least_status: str
    reminder: timedelta
    email: Email | None
    webhook: Webhook | None

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of the ways that there are."""
        return tuple(way for way in WAYS if getattr(self, way) is not None)


def read(raw: Any, where: str = WHERE) -> tuple[Policy | None, tuple[Problem, ...]]:
    """Return what a declaration asks for, None where nobody is to be told, and everything wrong with it."""
    if raw in (None, {}):
        return None, ()
    found = _Reader(where)
    told = found.mapping("", raw, (*WAYS, "least_status", "reminder"))
    policy = Policy(
        found.value(
            "least_status", told.get("least_status") or STATUSES[0], STATUSES.__contains__, " or ".join(STATUSES)
        ),
        found.reminder(told.get("reminder")),
        found.email(told["email"]) if told.get("email") else None,
        found.webhook(told["webhook"]) if told.get("webhook") else None,
    )
    if not found.problems and not policy.ways:
        found.add("", f"names nobody: give {' or '.join(WAYS)}, or leave it out")
    return policy, tuple(found.problems)


def parse(content: str) -> Policy:
    """Read the file of a host, which has the form of the declaration. Raises SpecError."""
    try:
        raw = json.loads(content)
    except ValueError:
        raise SpecError([Problem(WHERE, "is not JSON")]) from None
    policy, problems = read(raw)
    if problems or policy is None:
        raise SpecError(problems or [Problem(WHERE, "is empty")])
    return policy


def content(raw: Any) -> str:
    """Return the text of the host's file; nothing for a declaration with problems, or of nobody."""
    policy, problems = read(raw)
    if policy is None or problems:
        return ""
    data: dict[str, Any] = {"least_status": policy.least_status, "reminder": f"{policy.reminder.total_seconds():.0f}s"}
    if policy.email is not None:
        mail = policy.email
        data["email"] = {"to": mail.to, "from": mail.sender, "smtp_host": mail.smtp_host, "smtp_port": mail.smtp_port}
    if policy.webhook is not None:
        data["webhook"] = {"url": policy.webhook.url, "headers": policy.webhook.headers}
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


class _Reader:
    """Takes a declaration apart and keeps every problem, with its place and without its value."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[Problem] = []

    def add(self, key: str, what: str) -> None:
        self.problems.append(Problem(f"{self.where}.{key}" if key else self.where, what))

    def mapping(self, key: str, raw: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping) or set(raw) - set(known):
            self.add(key, f"is not a mapping of {', '.join(known)}")
        return raw if isinstance(raw, Mapping) else {}

    def value(self, key: str, raw: Any, accepts: Callable[[str], object], words: str) -> str:
        if isinstance(raw, str) and accepts(raw):
            return raw
        self.add(key, f"is not {words}")
        return ""

    def whole(self, key: str, raw: Any, low: int, high: int) -> int:
        try:
            value = number(raw)
        except ValueError:
            value = None
        if value is not None and not isinstance(raw, bool) and low <= value <= high:
            return value
        self.add(key, f"is not a whole number from {low} to {high}")
        return low

    def reminder(self, raw: Any) -> timedelta:
        try:
            seconds = float(parse_duration_ms(str(raw or REMINDER), "s") / 1000)
        except ValueError:
            seconds = 0
        if not LEAST_REMINDER_SECONDS <= seconds <= 366 * 86400:
            self.add("reminder", "is not a duration from 1min to 366d")
            return timedelta(days=1)
        return timedelta(seconds=seconds)

    def email(self, raw: Any) -> Email:
        told = self.mapping("email", raw, ("to", "from", "smtp_host", "smtp_port"))
        to = strings(told.get("to"))
        if not to:
            self.add("email.to", "is not a list with at least one address")
        words = "an address (name@example.org, or a local name)"
        return Email(
            tuple(self.value(f"email.to[{at}]", each, _ADDRESS.fullmatch, words) for at, each in enumerate(to)),
            self.value("email.from", told["from"], _ADDRESS.fullmatch, words) if told.get("from") else "",
            self.value("email.smtp_host", told.get("smtp_host") or "localhost", _HOST.fullmatch, "a host's name"),
            self.whole("email.smtp_port", 25 if told.get("smtp_port") is None else told["smtp_port"], 1, 65535),
        )

    def webhook(self, raw: Any) -> Webhook:
        told = self.mapping("webhook", raw, ("url", "headers"))
        headers = told.get("headers") or {}
        if not isinstance(headers, Mapping) or not all(_fits(*pair) for pair in headers.items()):
            self.add("webhook.headers", "is not a mapping of header names to printable ASCII texts")
            headers = {}
        url = self.value("webhook.url", told.get("url"), _is_url, "an address that begins with https:// or http://")
        return Webhook(url, dict(headers))


def _fits(name: Any, value: Any) -> bool:
    texts = isinstance(name, str) and isinstance(value, str)
    return texts and bool(_HEADER.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def _is_url(url: str) -> bool:
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False
