"""Notices as real receivers get them: mail and webhook, and what they refuse."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from ansible_collections.pgstead.ops.molecule.shared.receivers import Mailbox, Requests, web
from ansible_collections.pgstead.ops.plugins.module_utils._agent.senders import Refused, mail, post
from ansible_collections.pgstead.ops.plugins.module_utils._core.errors import HostError
from ansible_collections.pgstead.ops.plugins.module_utils._core.notify import Notice
from ansible_collections.pgstead.ops.plugins.module_utils._core.notify_spec import Email, Webhook

REASON = "shop: Überlauf, größer als erlaubt\r\nBcc: all@example.org\n\nand more"
NOTICE = Notice(
    kind="failed",
    job="trial",
    host="db1",
    status="failed",
    reason=REASON,
    since="2026-01-02T03:17:00Z",
    at="2026-01-02T12:00:00Z",
    result={"job": "trial", "reason": REASON},
    left=("email", "webhook"),
)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# ------------------------------------------------------------------------------------------------------- the senders


def test_a_mail_arrives_as_it_was_meant(mailbox: Mailbox) -> None:
    mail(Email(("dba@example.org", "root"), "", "127.0.0.1", mailbox.port), NOTICE)
    (message,) = mailbox.mails()
    assert mailbox.senders[0].startswith("<pgstead@db1>")
    assert mailbox.recipients == ["<dba@example.org>", "<root>"]
    assert (message["Subject"], message["From"], message["To"]) == (
        "[pgstead] db1: trial failed",
        "pgstead@db1",
        "dba@example.org, root",
    )
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    assert (
        "Reason: shop: Überlauf, größer als erlaubt Bcc: all@example.org and more" in message.get_content().splitlines()
    )
    assert mailbox.raw[0].isascii()


def test_a_mail_system_that_refuses(mailbox: Mailbox) -> None:
    mailbox.answer = "550 no such user"
    with pytest.raises(HostError, match=f"127.0.0.1 port {mailbox.port} did not take it: SMTPRecipientsRefused"):
        mail(Email(("nobody",), "", "127.0.0.1", mailbox.port), NOTICE)
    assert mailbox.raw == []


def test_who_is_refused_keeps_no_other_from_the_mail(mailbox: Mailbox) -> None:
    mailbox.answers["<gone@example.org>"] = "550 no such user"
    left_out = mail(Email(("gone@example.org", "dba@example.org"), "", "127.0.0.1", mailbox.port), NOTICE)
    assert left_out == "the mail system refused gone@example.org, and took it for the others"
    assert len(mailbox.raw) == 1


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ({"data": "554 looks like spam"}, True),
        ({"data": "451 not now"}, False),
        ({"MAIL": "552 too large"}, True),
        ({"MAIL": "553 who are you"}, False),
        ({"RCPT": "550 no such user"}, False),
    ],
)
def test_a_mail_that_is_refused_and_a_way_that_is_closed(
    answers: dict[str, str], refused: bool, mailbox: Mailbox
) -> None:
    mailbox.answers.update(answers)
    with pytest.raises(HostError) as caught:
        mail(Email(("root",), "", "127.0.0.1", mailbox.port), NOTICE)
    assert isinstance(caught.value, Refused) is refused


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (413, True), (422, True), (401, False), (403, False), (404, False), (429, False), (500, False)],
)
def test_a_post_that_is_refused_and_a_way_that_is_closed(status: int, refused: bool, hook: Requests) -> None:
    hook.status = status
    with pytest.raises(HostError) as caught:
        post(Webhook(f"http://127.0.0.1:{hook.port}/", {}), NOTICE)
    assert isinstance(caught.value, Refused) is refused


def test_a_mail_system_that_is_not_there() -> None:
    with pytest.raises(HostError, match="did not take it: Connection refused"):
        mail(Email(("root",), "", "127.0.0.1", closed_port()), NOTICE)


def test_a_webhook_gets_all_of_it(hook: Requests) -> None:
    post(Webhook(f"http://127.0.0.1:{hook.port}/T0/x", {"Authorization": "Bearer secret"}), NOTICE)
    ((path, headers, content),) = hook.seen
    assert path == "/T0/x"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    told = json.loads(content)
    assert told["text"].startswith("[pgstead] db1: trial failed\nHost: db1\n")
    assert told["result"] == {"job": "trial", "reason": REASON}
    assert (told["kind"], told["status"], told["since"]) == ("failed", "failed", "2026-01-02T03:17:00Z")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_not_followed(status: int, hook: Requests) -> None:
    with web() as elsewhere:
        hook.status, hook.location = status, f"http://localhost:{elsewhere.port}/"
        with pytest.raises(HostError, match=f"answered with status {status}, a redirection, which is not followed"):
            post(Webhook(f"http://127.0.0.1:{hook.port}/", {"Authorization": "Bearer secret"}), NOTICE)
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}/secret", "the webhook answered with status 500"),
        ("http://127.0.0.1:{closed}/secret", "the webhook could not be reached: Connection refused"),
        ("https://127.0.0.1:{port}/secret", "the webhook could not be reached: "),
        ("http://127.0.0.1:{port}/\nsecret", "the webhook could not be reached: InvalidURL"),
    ],
)
def test_a_failure_does_not_name_the_address(url: str, words: str, hook: Requests) -> None:
    hook.status = 500
    with pytest.raises(HostError) as caught:
        post(Webhook(url.format(port=hook.port, closed=closed_port()), {"X": "secret"}), NOTICE)
    assert str(caught.value).startswith(words)
    assert "secret" not in str(caught.value)


def test_a_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]
    argv += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(argv, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with web(tls=tls) as requests:
        for name, trusted, words in (
            ("localhost", "/dev/null", "certificate verify failed"),
            ("127.0.0.1", certificate, "certificate verify failed"),
        ):
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            with pytest.raises(HostError, match=f"the webhook could not be reached: .*{words}"):
                post(Webhook(f"https://{name}:{requests.port}/secret", {}), NOTICE)
            assert requests.seen == []
        post(Webhook(f"https://localhost:{requests.port}/", {}), NOTICE)
        assert len(requests.seen) == 1


def test_proxies_of_the_environment_get_nothing(hook: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        post(Webhook(f"http://127.0.0.1:{hook.port}/", {}), NOTICE)
        assert (len(hook.seen), proxy.seen) == (1, [])
