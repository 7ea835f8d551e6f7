# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of the collection promises."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes shared by the modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what would change, without changing anything.
    support: full
  diff_mode:
    description: Returns what changed, or would change, where text files are concerned.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: full
requirements:
  - Debian 12 or 13 with systemd
  - Python 3.11 or newer on the host
"""
