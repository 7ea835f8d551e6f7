# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Functions and extensions."""

from __future__ import annotations

from collections.abc import Iterator

from .lint_values import Fix, Found, Observed, Rules, path
from .names import QualifiedName


def security_definer_without_search_path(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for routine in observed.routines:
        action = "procedure_search_path" if routine.procedure else "function_search_path"
        detail = (
            "runs with its owner's rights and looks names up where its caller says: whoever can create an object in a schema "
            "of their choice can run code as the owner. Add to the list the schemas whose names it uses; none of them may be "
            "one that others can create in"
        )
        if routine.public:
            detail = f"everybody may call it (PUBLIC), and it {detail}"
        fix = Fix(action, routine.name, text=routine.arguments)
        at = (routine.name.schema, f"{routine.name.name}({routine.arguments})")
        yield Found(at, detail, (fix,), level="error" if routine.public else "warning")


def extension_older_than_available(observed: Observed, _rules: Rules) -> Iterator[Found]:
    for extension in observed.extensions:
        name: QualifiedName = extension.name
        detail = (
            f"is {extension.installed} in the database, its files on the host are {extension.available}: the package was "
            "updated, the extension was not. Read its release notes first"
        )
        yield Found(path(name), detail, (Fix("update_extension", name, text=extension.available),))
