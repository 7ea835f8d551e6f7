# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release of the collection this is, for what leaves the collection: the host's command has no galaxy.yml."""

from __future__ import annotations

VERSION = "0.1.0"
