"""Make the container of the store that azurite serves: pgBackRest makes none. Arguments: address, account's key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
import sys
import time
from email.utils import formatdate

ACCOUNT, CONTAINER, VERSION = "devstoreaccount1", "backups", "2021-08-06"


def create(address: str, key: str) -> int:
    """Return the status that the store answered with."""
    date = formatdate(time.time(), usegmt=True)
    path = f"/{ACCOUNT}/{CONTAINER}"
    signed = "\n".join(
        ["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{VERSION}", f"/{ACCOUNT}{path}", "restype:container"]
    )
    signature = base64.b64encode(hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()).decode()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 10000, timeout=10, context=context)
    headers = {
        "x-ms-date": date,
        "x-ms-version": VERSION,
        "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        "Content-Length": "0",
    }
    connection.request("PUT", f"{path}?restype=container", headers=headers)
    return connection.getresponse().status


if __name__ == "__main__":
    status = create(*sys.argv[1:])
    sys.exit(0 if status in (201, 409) else f"the store answered {status}")
