# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps of which each is taken whatever became of the others: a full disk keeps nobody from being told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .._core.errors import HostError


class Attempts:
    """Collects what went wrong in the steps."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take a step that may fail with a HostError."""
        try:
            yield
        except HostError as error:
            self._faults.append(str(error))

    def end(self) -> None:
        """Raise HostError with everything that went wrong, each once."""
        if self._faults:
            raise HostError("; ".join(dict.fromkeys(self._faults)))
