# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Manifests of evidence: the hashes of a record's files, and of the manifest before it.

A manifest is what `sha256sum -c` reads; it takes the line with the previous one for a comment. So every record vouches for
those before it: one that was removed or replaced is missed by the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SUFFIX, SIGNATURE = ".sha256", ".sha256.minisig"
RECORD, PAGE = ".json", ".html"
_FILE = re.compile(r"([0-9a-f]{64})  ([^/\s\\]+)")
_PREVIOUS = re.compile(r"# previous ([0-9a-f]{64})  ([^/\s\\]+)")
_FIRST = "# the first manifest of its directory"


@dataclass(frozen=True)
class Previous:
    """The manifest before: its name and hash."""

    name: str
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a manifest says; `previous` is None for the first one."""

    files: Mapping[str, str]
    previous: Previous | None

    def text(self) -> str:
        """Return the manifest's file."""
        before = f"# previous {self.previous.digest}  {self.previous.name}" if self.previous else _FIRST
        return "\n".join([before, *(f"{digest}  {name}" for name, digest in sorted(self.files.items()))]) + "\n"


@dataclass(frozen=True)
class Kept:
    """What lies in a directory: manifests with their own hashes, hashes of all other files, and what is signed."""

    manifests: Mapping[str, Manifest | None]  # None: not to be read
    digests: Mapping[str, str]


def read(text: str) -> Manifest | None:
    """Read a manifest; None for what is none."""
    first, *rest = text.splitlines() or [""]
    before = _PREVIOUS.fullmatch(first)
    lines = [_FILE.fullmatch(line) for line in rest]
    files = {line[2]: line[1] for line in lines if line}
    if not (before or first == _FIRST) or not files or len(files) != len(rest):
        return None
    return Manifest(files, Previous(before[2], before[1]) if before else None)


def stem(name: str) -> str:
    """Return the part of a file's name that a record, its page and its manifest have in common; a cluster's name may have dots."""
    known = next((suffix for suffix in (SIGNATURE, SUFFIX, RECORD, PAGE) if name.endswith(suffix)), "")
    return name.removesuffix(known)


def head(kept: Kept) -> Previous | None:
    """Return the manifest that the next one shall name: the newest of those that none names."""
    named = {manifest.previous.digest for manifest in kept.manifests.values() if manifest and manifest.previous}
    free = [name for name in kept.manifests if kept.digests[name] not in named]
    return Previous(max(free), kept.digests[max(free)]) if free else None


def faults(kept: Kept) -> list[str]:
    """Say in sentences what is not as the manifests say: a changed file, a missing one, a broken chain."""
    if not kept.manifests:
        return ["there is no manifest: nothing tells whether evidence was changed"]
    found = [fault for name in sorted(kept.manifests) for fault in _contents(name, kept)]
    return [*found, *_chain(kept), *_unsealed(kept)]


def _contents(name: str, kept: Kept) -> Iterator[str]:
    manifest = kept.manifests[name]
    if manifest is None:
        yield f"{name} is not a manifest: it was changed"
        return
    for file, digest in sorted(manifest.files.items()):
        if file not in kept.digests:
            yield f"{file} is missing: {name} names it"
        elif kept.digests[file] != digest:
            yield f"{file} was changed: it has another hash than in {name}"
    yield from (f"{name} does not name {own}" for own in _own(name) if own not in manifest.files)


def _own(name: str) -> tuple[str, str]:
    return f"{stem(name)}{RECORD}", f"{stem(name)}{PAGE}"


def _chain(kept: Kept) -> Iterator[str]:
    read_ = {name: manifest for name, manifest in sorted(kept.manifests.items()) if manifest}
    for name, manifest in read_.items():
        before = manifest.previous
        if before and before.name not in kept.digests:
            yield f"{before.name} is missing: {name} was made after it"
        elif before and kept.digests[before.name] != before.digest:
            yield f"{before.name} was replaced: {name} was made after another one of that name"
    firsts = [name for name, manifest in read_.items() if manifest.previous is None]
    if len(firsts) > 1:
        yield f"{', '.join(firsts)} each say that they are the first: what was between them may have been removed"
    named = Counter(manifest.previous.name for manifest in read_.values() if manifest.previous)
    for name, number in named.items():
        if number > 1:
            yield f"{number} manifests say that they come right after {name}: one of them was put there later"


def _unsealed(kept: Kept) -> Iterator[str]:
    """Name records without a manifest, of the kinds that have one."""
    kinds = {_kind(name) for name in kept.manifests}
    for file in sorted(kept.digests):
        own = f"{stem(file)}{SUFFIX}"
        if file.endswith(RECORD) and _kind(file) in kinds and own not in kept.manifests:
            yield f"{file} has no manifest: {own} is missing"


def _kind(name: str) -> str:
    return stem(name).partition("-")[2]


def unsigned(kept: Kept, signed: Mapping[str, str]) -> list[str]:
    """Say what is wrong with signatures; `signed` has for each that is there why it does not fit, or an empty text.

    Manifests from before there was a key need none: the next signed one vouches for them.
    """
    if kept.manifests and not signed:
        return ["no manifest is signed"]
    since = min(signed, default="")
    lacking = [name for name in sorted(kept.manifests) if name > since and name not in signed]
    return [
        *(f"the signature of {name} does not fit: {words}" for name, words in sorted(signed.items()) if words),
        *(f"{name} is not signed, and older ones are" for name in lacking),
    ]
