# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps of which each is taken whatever became of the others: a full disk keeps nobody from being told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._core.errors import HostError
from .._host.lock import lock
from .journal import unexpected


class Attempts:
    """Collects what went wrong in the steps."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take a step that may fail."""
        try:
            yield
        except HostError as error:
            self._faults.append(str(error))
        except Exception as error:  # noqa: BLE001 - the steps after it are taken all the same
            self._faults.append(unexpected(error))

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        """Wait for a lock and hold it; where it cannot be had, go on without."""
        with ExitStack() as stack:
            with self.step():
                stack.enter_context(lock(path, wait=True))
            yield

    def end(self) -> None:
        """Raise HostError with everything that went wrong, each once."""
        if self._faults:
            raise HostError("; ".join(dict.fromkeys(self._faults)))
