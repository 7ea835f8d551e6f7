# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in PostgreSQL's form: compare a password with its own salt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata

# both keys are 32 bytes: what looks alike but is not a verifier, PostgreSQL would hash as a password
_KEY = "[A-Za-z0-9+/]{43}="
_VERIFIER = re.compile(rf"SCRAM-SHA-256\$([1-9][0-9]*):([A-Za-z0-9+/=]+)\$({_KEY}):({_KEY})")
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def is_verifier(text: str) -> bool:
    """Say whether a text is a SCRAM verifier, which PostgreSQL stores as it is."""
    return _VERIFIER.fullmatch(text) is not None


def matches(password: str, stored: str | None) -> bool:
    """Say whether `stored` (pg_authid.rolpassword) is the verifier of `password`, or is that verifier itself."""
    match = _VERIFIER.fullmatch(stored or "")
    if match is None:
        return False
    if is_verifier(password):
        return hmac.compare_digest(password, str(stored))
    try:
        salt, stored_key = base64.b64decode(match.group(2)), base64.b64decode(match.group(3))
    except binascii.Error:
        return False
    salted = hashlib.pbkdf2_hmac("sha256", _saslprep(password), salt, int(match.group(1)))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)


def verifier(password: str, salt: bytes, iterations: int = 4096) -> str:
    """Return PostgreSQL's form of a password's verifier; 4096 iterations are the server's own default."""
    salted = hashlib.pbkdf2_hmac("sha256", _saslprep(password), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored_text}:{server_text}"


def _saslprep(password: str) -> bytes:
    """RFC 4013 as PostgreSQL applies it: where the text is not preparable, its bytes are used unchanged."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        # U+200B is in both tables; PostgreSQL asks for spaces first
        " " if stringprep.in_table_c12(c) else c
        for c in password
        if stringprep.in_table_c12(c) or not stringprep.in_table_b1(c)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    bad = any(test(c) for c in prepared for test in _PROHIBITED)
    unassigned = any(stringprep.in_table_a1(c) for c in prepared)
    right_to_left = [c for c in prepared if stringprep.in_table_d1(c)]
    mixed = right_to_left and (
        any(stringprep.in_table_d2(c) for c in prepared)
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    )
    return (password if not prepared or bad or unassigned or mixed else prepared).encode()
