"""Receivers of notifications on localhost, as simple as their protocols allow: they keep what arrives.

Unit tests run them in their own process; on a host, this file is a program (`main`), for which Python is enough.
"""

from __future__ import annotations

import http.server
import json
import socketserver
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any


@dataclass
class Mailbox:
    """An SMTP server's mails; `answer` is what it says of an address, which refuses it unless it begins with 250. `answers`
    are for one address, or to MAIL, RCPT and the end of the data.
    """

    port: int = 0
    answer: str = "250 ok"
    answers: dict[str, str] = field(default_factory=dict)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(each, policy=default) for each in self.raw]  # type: ignore[arg-type, misc]


@dataclass
class Requests:
    """An HTTP server's requests, (path, headers, body); `status` and `location` are its answer, to a body of more than the
    `largest` it is 413.
    """

    port: int = 0
    status: int = 200
    largest: int = 1_000_000
    location: str = ""
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def smtp(port: int = 0) -> Iterator[Mailbox]:
    """Run an SMTP server, at any free port unless one is given."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 sink")
            while line := self.rfile.readline().decode().strip():
                verb = line.upper()
                if verb.startswith("DATA"):
                    self.say("354 go on")
                    box.raw.append(self.data())
                    self.say(box.answers.get("data", "250 taken"))
                elif verb.startswith("QUIT"):
                    self.say("221 bye")
                    return
                elif verb.startswith("RCPT"):
                    box.recipients.append(line.partition(":")[2])
                    self.say(box.answers.get(box.recipients[-1], box.answers.get("RCPT", box.answer)))
                else:
                    if verb.startswith("MAIL"):
                        box.senders.append(line.partition(":")[2])
                    self.say(box.answers.get(verb[:4], "250 ok"))

        def data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines)

    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler) as server:
        box.port = server.server_address[1]
        with _serving(server):
            yield box


@contextmanager
def web(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Requests]:
    """Run an HTTP server, at any free port unless one is given, and with TLS where it is given."""
    requests = Requests()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            requests.seen.append((self.path, dict(self.headers.items()), content))
            self.answer(413 if len(content) > requests.largest else requests.status)

        def do_GET(self) -> None:
            requests.seen.append((self.path, dict(self.headers.items()), b""))
            self.answer(requests.status)

        def answer(self, status: int) -> None:
            self.send_response(status)
            if requests.location:
                self.send_header("Location", requests.location)
            self.end_headers()

        def log_message(self, *_told: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        requests.port = server.server_address[1]
        with _serving(server):
            yield requests


def main(mail_port: int, web_port: int) -> None:
    """Serve until the input ends; for each of its lines, print what has arrived so far as one line of JSON."""
    with smtp(mail_port) as box, web(web_port) as requests:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for _line in sys.stdin:
            mails = [{"subject": mail["Subject"], "text": mail.get_content()} for mail in box.mails()]
            posts = [{"headers": headers, "body": json.loads(body)} for _path, headers, body in requests.seen]
            sys.stdout.write(json.dumps({"mails": mails, "posts": posts}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
