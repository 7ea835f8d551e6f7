# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notices on their way: mail through the host's mail system, and a POST to a webhook. Errors never repeat where to."""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.policy import SMTP

from .._core import notify
from .._core.errors import HostError
from .._core.notify import Notice
from .._core.notify_spec import Email, Webhook

PATIENCE_SECONDS = 10  # for each answer; the whole attempt is bounded by its caller
# Client errors that every notice would meet: who we are, where it goes, and when. The others are about the one notice.
_OF_THE_WAY = frozenset({401, 403, 404, 405, 407, 408, 410, 421, 423, 425, 426, 429})
_TOO_LARGE = 552  # a mail system may say it before it has seen more than the size


class Refused(HostError):
    """The receiver works, and does not take this one notice."""


def mail(settings: Email, notice: Notice) -> str:
    """Hand a notice to the mail system; return a sentence about those who do not get it, if any. Raises HostError, Refused."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = notify.title(notice)
    message["From"] = settings.sender or f"pgstead@{notice.host}"
    message["To"] = ", ".join(settings.to)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notify.text(notice), cte="quoted-printable")
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, notice.host, timeout=PATIENCE_SECONDS) as server:
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        where = f"{settings.smtp_host} port {settings.smtp_port}"
        kind = Refused if _of_the_mail(error) else HostError
        raise kind(f"the mail system at {where} did not take it: {_words(error)}") from error
    # the others have it: to send it again would reach them again
    return f"the mail system refused {', '.join(refused)}, and took it for the others" if refused else ""


def _of_the_mail(error: Exception) -> bool:
    """Say whether a mail system refuses this mail for good, and not the sender, the receivers or any mail for now."""
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code == _TOO_LARGE


def post(settings: Webhook, notice: Notice) -> None:
    """Post a notice as JSON. Redirections are not followed: they would carry headers elsewhere. Raises HostError, Refused."""
    headers = {**settings.headers, "Content-Type": "application/json; charset=utf-8"}
    data = json.dumps(notify.body(notice), default=str).encode()
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(https, _Straight(), urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(settings.url, data, headers, method="POST")  # noqa: S310 - notify_spec._is_url
        with opener.open(request, timeout=PATIENCE_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        with error:
            elsewhere = ", a redirection, which is not followed" if error.code in range(300, 400) else ""
            of_the_notice = error.code in range(400, 500) and error.code not in _OF_THE_WAY
            kind = Refused if of_the_notice else HostError
            raise kind(f"the webhook answered with status {error.code}{elsewhere}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise HostError(f"the webhook could not be reached: {_words(error)}") from None


class _Straight(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection the error that it is here."""

    def redirect_request(self, *_told: object, **_named: object) -> None:
        """Name no other address."""


def _words(error: Exception) -> str:
    """Return what an error says as far as no address can be in it."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        return _words(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
