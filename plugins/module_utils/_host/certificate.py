# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate file on this host says: whether it fits its key, until when it holds, for which names.

And whether the server could use it: a reload with a key that it may not read only logs so, and the next start fails.
"""

from __future__ import annotations

import ipaddress
import pwd
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str]], tuple[int, str, str]]
SERVER = "postgres"


def observe(run: Run, certificate: str, key: str) -> dict[str, Any]:
    """Return {error, not_after, names}; error is empty where certificate and key are there and belong together."""
    for path in (certificate, key):
        if not Path(path).is_file():
            return {"error": f"{path} does not exist on the host", "not_after": 0.0, "names": []}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return {"error": f"{certificate} with {key} cannot be used: {error}", "not_after": 0.0, "names": []}
    if error := _refused_by_server(run, certificate, key):
        return {"error": error, "not_after": 0.0, "names": []}
    code, out, err = run(["openssl", "x509", "-in", certificate, "-noout", "-enddate", "-ext", "subjectAltName"])
    end = re.search(r"notAfter=(.+)", out)
    if code != 0 or end is None:
        return {"error": f"{certificate} cannot be read: {err.strip()}", "not_after": 0.0, "names": []}
    return {
        "error": "",
        "not_after": float(ssl.cert_time_to_seconds(end.group(1).strip())),
        "names": [_typed(kind, value) for kind, value in re.findall(r"(DNS|IP Address):([^,\s]+)", out)],
    }


def _refused_by_server(run: Run, certificate: str, key: str) -> str:
    """Say why the server would not take files that root can read: by its own rules (be-secure-common.c), or by the kernel's.

    Nothing is said before its package has made its account: the proof of the configuration comes after that.
    """
    try:
        account = pwd.getpwnam(SERVER).pw_uid
    except KeyError:
        return ""
    found, too_much = Path(key).stat(), {account: 0o077, 0: 0o037}
    if found.st_uid not in too_much:
        return f"{key} belongs to neither root nor {SERVER}, and the server refuses it: chown root:ssl-cert, chmod 0640"
    if found.st_mode & too_much[found.st_uid]:
        mode = f"{found.st_mode & 0o7777:04o}"
        return f"{key} has mode {mode}, with which the server refuses it: chown root:ssl-cert, chmod 0640"
    for path in (certificate, key):
        if run(["runuser", "-u", SERVER, "--", "test", "-r", path])[0] != 0:
            return f"{path} cannot be read by {SERVER}: let group ssl-cert read it, and enter the directories above"
    return ""


def _no_passphrase() -> str:
    raise ValueError("the key needs a passphrase, and the server starts without anybody there to type it")


def _typed(kind: str, value: str) -> str:
    return f"DNS:{value}" if kind == "DNS" else f"IP:{ipaddress.ip_address(value)}"
