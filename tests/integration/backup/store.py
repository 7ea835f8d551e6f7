"""An object store that is of no use, for `python store.py silent|refusing CERTIFICATE`: it prints its port, then listens."""

from __future__ import annotations

import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

ANSWER = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Refusing(BaseHTTPRequestHandler):
    """Says 403 to everything."""

    def refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = refuse  # noqa: N815 - the names that the library calls


def main(kind: str, certificate: str) -> None:
    """Listen until somebody ends it."""
    if kind == "silent":  # connections wait in the queue, and nobody takes them out
        silent = socket.create_server(("127.0.0.1", 0), backlog=100)
        print(silent.getsockname()[1], flush=True)
        sys.stdin.read()
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
