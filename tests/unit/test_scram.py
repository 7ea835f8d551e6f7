"""SCRAM verifiers against RFC 7677's own exchange and against what PostgreSQL 15.18 stored."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pgstead.ops.plugins.module_utils._core import scram

NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
EXCHANGE = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}".encode()

# (password, rolpassword) as CREATE ROLE … PASSWORD made them
STORED = {
    "pencil": "YOW9L1zpAs3eSBLqthlJEA==$S76UVZUB0EztsC5PA9gsMlNSy7A4pJDmHwmMMjgv2Y8=:ec6HKGMUsKVx3XyU2T/a3SLMmbGEOjLKoUWTt9Jh918=",
    "pässwörd": "jNhgEgS9GXcJf4/a5XS3Yw==$EQg94LApSA9e7MnUmu8bMLZ+4dSdY10ZKVz+GgTe+lI=:pEYnxHsWoIpw/wBEVkJNTfTCYFW69xGCxa0XCkRnk38=",
    "I\u00adX": "/N708si6oaZK2i17PJpz5A==$HmZKzH72BLdGwIlo77xC8paFaAQAfok3tq1y3tJMwt4=:Ed1S1U3YX02zo2ypZjrqolykAMtqtMGxHKTy1qXkfTU=",
    "\u2168-nine-roman": "LEEiDqwaUGUSEmlG8SqphQ==$sGD0SrqcCElVSCrAI8KnOZCDFdMjrtx55BZlG7Q/fTo=:u3vGXe2ure2fKaqdIv1fJq9TZq46M7vBOgCUQO3KF+g=",
    "a\u00a0b-nbsp": "fRf9TqycmkZeu9HLjk6c4A==$B8iA7s/cD3SQDWWUmIzak1rVFUPrsYOhVl+Jvxl2r3k=:fuQyG5O1uMa+2n+eKN97baWviRto9LWYX8Rhp1N4OVA=",
    "\u06271mixed": "u9TcyQhEOLWrBKatQKtidg==$7DECH1P1N7Jj1ShchrfdUSkLtOBMDXDBBbBVXyCXW7w=:YP8GQApxRWPbVvqqVbZvRwhnXJAOXR5EXDFJT47By3w=",
    "\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7": (
        "5b5YsO7izZoycNZzbx5k+w==$KETmXtcFj0kUPh570yQ/By3PLq5QwBQJxhEoBEroySw=:kyFInZ67f2BWNcz4q4mwbnBMkGLOzPS61/0lyW02Tlk="
    ),
    "\u00ad": "ngavVnam7wVhhmkl76J6mw==$WJ3shCje7a7rjAtUaRoOHC5l2llxAZdBUyeADAD2FOs=:VowwqaJu6wJTRWL/ofcFCPcUd3hVuuGh8gMa9wDZb9k=",
    "b\u0007bell": "ThviGCgS3n4KURq8EB3NWg==$qN6GTshkHVW+Y8aJ2sHzjJeFNxC4WAQa/MttvF9Hs8Q=:abXzCP6QAJGIiQTwOrOxw85gm8EGA8sDVN74qT50ix8=",
    "b\u00e9\u0007ll": "iN0U904CIV7LOwNK32l9KA==$oGlEvBpM6v1HSO9flWGTGDKJc+OBaDsukCLKXu0emXY=:y2lFcmMbPRMWJHetTwdAsNlfgsSQQsIiKj0hBlYIH6I=",
    "\u0221unassigned": "KJRWHa7b1bko0lJtUOXIiA==$dlSzPj3ER0q1xSKYDE6TyVLFsGPMK9VRyGDNRKvekwU=:b9NAmuU6LXeSe6D6RXfjYrXhlS3hGOcrJB5u6YuLLVQ=",
    "pass\U0001f600word": "giB2j/fkS/BLdc2vhkLk/g==$kZ7CHgzNHSS4hsnFHCnFTK6Bw+dzcYU5wjgbxoBPIVQ=:AUVY5otYOVaLkLzBhPV2vXTOVdfhguYru+F7E3A5khY=",
    "\u2000\u3000\u00e9": "awj+DECHVhjDzrZCLt0I8g==$t6hlryDBl7Vd1Nbpk+xtUGI+fNF2ZiktlQLjjeH3Do8=:Niiir5dWYGAywzMKT7vUyNV4JWYfXJZpVaLCUM4+eVM=",
    "\u200b": "Xun9bqxTKy3pZsYRGezytQ==$pX0z9lkP7eENIPqQlDQN84TqZZUVLvr+M9abK3l/cX0=:JM6bD0Kj8pQEQKudbY3KVaCs8CxxcWtnLCBs1RUduuk=",
}
KEY = base64.b64encode(bytes(32)).decode()


def test_rfc_7677_exchange() -> None:
    """The RFC's proof and signature verify with our keys: nothing of our derivation is used to check it."""
    keys = scram.verifier("pencil", base64.b64decode(SALT)).split("$")[2]
    stored, server = (base64.b64decode(part) for part in keys.split(":"))
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored, EXCHANGE, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    assert hmac.digest(server, EXCHANGE, "sha256") == base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("password", STORED, ids=ascii)
def test_what_postgresql_stored(password: str) -> None:
    stored = f"SCRAM-SHA-256$4096:{STORED[password]}"
    salt = base64.b64decode(STORED[password].split("$")[0])
    assert scram.verifier(password, salt) == stored
    assert scram.matches(password, stored)
    assert not scram.matches(password + "x", stored)


def test_prepared_spellings_are_one_password() -> None:
    assert scram.matches("IX-é", scram.verifier("\u2168-e\u0301", b"salt"))


@pytest.mark.parametrize("iterations", [1, 4096, 10_000])
def test_iterations_are_read_from_the_verifier(iterations: int) -> None:
    text = scram.verifier("pencil", b"salt", iterations)
    assert text.startswith(f"SCRAM-SHA-256${iterations}:c2FsdA==$")
    assert scram.matches("pencil", text)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "pencil",
        "md5" + "0" * 32,
        f"SCRAM-SHA-256$4096:$${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:AAAAA${KEY}:{KEY}",
    ],
)
def test_nothing_matches_what_is_not_a_verifier(stored: str | None) -> None:
    assert not scram.matches("pencil", stored)


def test_a_verifier_matches_only_itself() -> None:
    one, other = scram.verifier("pencil", b"one salt"), scram.verifier("pencil", b"other salt")
    assert scram.matches(one, one)
    assert not scram.matches(one, other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (scram.verifier("pencil", b"salt"), True),
        (f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}", True),
        (f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}\n", False),
        (f"x SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}", False),
        (f"SCRAM-SHA-256$0:c2FsdA==${KEY}:{KEY}", False),
        (f"SCRAM-SHA-256$٤:c2FsdA==${KEY}:{KEY}", False),
        ("SCRAM-SHA-256$4096:AAAA$BBBB:CCCC", False),  # PostgreSQL takes this one for a password and hashes it
        (f"SCRAM-SHA-256$4096:c2FsdA==${KEY}", False),
        (f"SCRAM-SHA-1$4096:c2FsdA==${KEY}:{KEY}", False),
        ("pencil", False),
        ("", False),
    ],
)
def test_is_verifier(text: str, expected: bool) -> None:
    assert scram.is_verifier(text) is expected


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=20), st.binary(min_size=1, max_size=24))
def test_every_password_matches_its_own_verifier(password: str, salt: bytes) -> None:
    if not password.isascii():
        password = password.encode(errors="replace").decode()
    text = scram.verifier(password, salt, 1)
    assert scram.is_verifier(text)
    assert scram.matches(password, text)
    assert not scram.matches(password + "x", text)
