"""When the server's certificate is made anew, and for which names."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.pgstead.ops.plugins.module_utils._core import certificate

NOW = 1_800_000_000.0
NAMES = ("DNS:db1", "DNS:db1.example.org", "DNS:localhost", "IP:127.0.0.1", "IP:::1", "IP:192.0.2.7", "IP:2001:db8::7")
GOOD = {"error": "", "not_after": NOW + 300 * 86400, "names": [*NAMES, "DNS:more"]}


def test_names_are_typed_normal_and_unique(facts: dict[str, Any]) -> None:
    assert certificate.names(facts, []) == NAMES
    more = certificate.names(facts, ["db.example.org", "2001:0DB8:0::9", "localhost", ""])
    assert more == (*NAMES, "DNS:db.example.org", "IP:2001:db8::9")


def test_a_host_whose_name_is_its_full_name(facts: dict[str, Any]) -> None:
    found = certificate.names(facts | {"fqdn": "db1", "addresses": []}, [])
    assert found == ("DNS:db1", "DNS:localhost", "IP:127.0.0.1", "IP:::1")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({}, ""),
        ({"error": "/x does not exist on the host"}, "/x does not exist on the host"),
        ({"not_after": NOW + 30 * 86400}, ""),
        ({"not_after": NOW + 30 * 86400 - 1}, "expires within 30 days"),
        ({"not_after": NOW - 1}, "expires within 30 days"),
        ({"names": list(NAMES[1:])}, "does not name DNS:db1"),
        ({"names": list(NAMES[:5])}, "does not name IP:192.0.2.7, IP:2001:db8::7"),
    ],
)
def test_self_signed(seen: dict[str, Any], said: str, facts: dict[str, Any]) -> None:
    plan, problems = certificate.plan_certificate({}, [], 30, facts | {"tls": GOOD | seen})
    assert problems == ()
    assert plan == certificate.CertificatePlan(True, said, NAMES, "db1")


def test_a_declared_name_is_asked_for(facts: dict[str, Any]) -> None:
    plan, _ = certificate.plan_certificate({}, ["db.example.org"], 30, facts | {"tls": GOOD})
    assert plan.renew == "does not name DNS:db.example.org"


@pytest.mark.parametrize("seen", [GOOD, GOOD | {"names": []}, GOOD | {"not_after": NOW + 1}])
def test_a_given_certificate_is_never_renewed(seen: dict[str, Any], facts: dict[str, Any]) -> None:
    plan, problems = certificate.plan_certificate({"certificate": "/c", "key": "/k"}, [], 30, facts | {"tls": seen})
    assert problems == ()
    assert (plan.self_signed, plan.renew) == (False, "")


def test_a_given_certificate_that_is_broken(facts: dict[str, Any]) -> None:
    seen = {"error": "/c with /k cannot be used: KEY_VALUES_MISMATCH", "not_after": 0.0, "names": []}
    plan, problems = certificate.plan_certificate({"certificate": "/c", "key": "/k"}, [], 30, facts | {"tls": seen})
    assert plan.renew == ""
    assert [str(problem) for problem in problems] == [f"postgresql_tls: {seen['error']}"]


def test_a_given_certificate_that_has_expired(facts: dict[str, Any]) -> None:
    seen = facts | {"tls": GOOD | {"not_after": NOW}}
    plan, (problem,) = certificate.plan_certificate({"certificate": "/c", "key": "/k"}, [], 30, seen)
    assert plan.renew == ""
    assert str(problem) == "postgresql_tls: /c has expired: give a valid one"
