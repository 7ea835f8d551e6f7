# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Views in SQL: how they are read, tried as temporary views, and rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .._core.names import QualifiedName, literal, quote, short_hash
from .._core.plan import Change
from .._core.view import KIND, ObservedView, Step, ViewForm, lowest_first, options_of, temporary_name
from .._core.view_spec import View
from .canonical import Answer, path_of, tagged, trial_name
from .connection import driver, execute, rows
from .ledger import forget, remember
from .tables import OUTSIDE
from .view_kept import grants_of, handed_over, hung_on, indexed, place, stored

_COLUMNS = """ARRAY(SELECT ARRAY[a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)]
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum)"""
_VIEWS = f"""
SELECT n.nspname, c.relname, c.relkind = 'm', pg_catalog.pg_get_viewdef(c.oid), {_COLUMNS},
       coalesce(c.reloptions, ARRAY[]::text[])
       || ARRAY(SELECT 'toast.' || o FROM pg_catalog.pg_class x CROSS JOIN LATERAL unnest(x.reloptions) o
                WHERE x.oid = c.reltoastrelid),
       r.rolname, coalesce(d.description, ''), c.relispopulated,
       ARRAY(SELECT ARRAY[coalesce(g.rolname::text, ''), x.privilege_type, x.is_grantable::text]
             FROM pg_catalog.aclexplode(c.relacl) x LEFT JOIN pg_catalog.pg_roles g ON g.oid = x.grantee
             WHERE x.grantee <> c.relowner ORDER BY 1),
       ARRAY(SELECT DISTINCT ARRAY[vn.nspname::text, v.relname::text]
             FROM pg_catalog.pg_depend e JOIN pg_catalog.pg_rewrite w ON w.oid = e.objid
             JOIN pg_catalog.pg_class v ON v.oid = w.ev_class JOIN pg_catalog.pg_namespace vn ON vn.oid = v.relnamespace
             WHERE e.refclassid = 'pg_catalog.pg_class'::regclass AND e.refobjid = c.oid
               AND e.classid = 'pg_catalog.pg_rewrite'::regclass AND v.oid <> c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass
                                     AND d.objsubid = 0
WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND {OUTSIDE}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                  WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
"""
_TRIED = f"""
SELECT c.relname, pg_catalog.pg_get_viewdef(c.oid), {_COLUMNS}
FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relkind = 'v'
"""


def read_views(connection: Any) -> dict[QualifiedName, ObservedView]:
    """Return every view and materialised view that belongs to no extension, without what hangs on it (view_kept.py)."""
    found = {}
    for row in rows(connection, _VIEWS):
        schema, name, materialized, text, columns, options, owner, comment, populated, grants, above = row
        key = QualifiedName(schema, name)
        own = () if materialized else options_of(options)
        found[key] = ObservedView(
            key,
            ViewForm(_text(text), _pairs(columns), own, materialized),
            owner,
            comment,
            populated,
            grants_of(grants),
            frozenset(QualifiedName(*parts) for parts in above),
            tuple(sorted(options)) if materialized else (),
        )
    return found


def _text(definition: str) -> str:
    return definition.strip().rstrip(";")


def _pairs(columns: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, kind in columns)


def tried(
    connection: Any, views: Sequence[View], search_path: Sequence[str], there: Mapping[QualifiedName, ObservedView]
) -> tuple[dict[QualifiedName, ViewForm], dict[QualifiedName, Answer]]:
    """Return what the server makes of each query, in an order in which they can be made, and what it refuses.

    Each becomes a temporary view of its own name; all of it is rolled back. A sibling is the one that is there, or, where
    there is none or that one will not do, the one that is tried here. Where one gets other columns, all are tried once
    more, those first that others are made of, on siblings as they shall be: `*` of one stands for its new columns.
    """
    with tagged(connection):
        execute(connection, "BEGIN")
        try:
            order, refused = _made_in_turn(connection, views, search_path, siblings=False)
            found = _tried(connection)
            other = [
                view for view in order if (old := there.get(view.name)) and found[view.name.name][1] != old.form.columns
            ]
            if other:
                execute(connection, "ROLLBACK")
                execute(connection, "BEGIN")
                order, refused = _made_in_turn(connection, lowest_first(views, there), search_path, siblings=True)
                found = _tried(connection)
        finally:
            if not connection.closed:
                execute(connection, "ROLLBACK")
    forms = {}
    for view in order:
        text, columns = found[view.name.name]
        forms[view.name] = ViewForm(_real(text, views), columns, view.options, view.materialized)
    return forms, refused


def _tried(connection: Any) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    execute(connection, "SET LOCAL search_path = ''")
    return {name: (text, _pairs(columns)) for name, text, columns in rows(connection, _TRIED)}


def _made_in_turn(
    connection: Any, views: Sequence[View], search_path: Sequence[str], *, siblings: bool
) -> tuple[list[View], dict[QualifiedName, Answer]]:
    """Make temporary views, one that is refused after those that can be made; return them in that order, and what cannot."""
    pending, refused, order = list(views), dict[QualifiedName, Answer](), list[View]()
    while pending:
        left = []
        for view in pending:
            answer = _try(connection, view, views, search_path, siblings=siblings)
            if answer.refusal:
                left.append(view)
                refused[view.name] = answer
            else:
                order.append(view)
                refused.pop(view.name, None)
        if len(left) == len(pending):
            break
        pending = left
    return order, refused


def _try(connection: Any, view: View, views: Sequence[View], search_path: Sequence[str], *, siblings: bool) -> Answer:
    """Try a query on the views that are there, or else, with `siblings` rather, on those that were tried before it."""
    path = path_of(view.name.schema, search_path)
    query = view.query
    for other in views:
        query = re.sub(
            rf"(?<![\w.\"$]){re.escape(other.name.sql)}(?![\w\"$])", f"pg_temp.{quote(other.name.name)}", query
        )
    real = (view.query, path)
    ways = [real, (query, f"pg_temp, {path.removesuffix(', pg_temp')}")]
    answers = []
    for text, where in reversed(ways) if siblings else ways:
        answer = _attempt(connection, view.name, text, where)
        if not answer.refusal:
            return answer
        answers.append(answer)
    return answers[-1 if siblings else 0]  # of what is there


def _attempt(connection: Any, name: QualifiedName, query: str, path: str) -> Answer:
    execute(connection, "SAVEPOINT trial")
    execute(connection, f"SET LOCAL search_path = {path}")
    try:
        execute(connection, f"CREATE TEMP VIEW {quote(name.name)} AS {query}\n")
    except driver.OperationalError:
        raise
    except driver.Error as error:
        execute(connection, "ROLLBACK TO SAVEPOINT trial")
        return Answer(refusal=error.diag.message_primary or str(error), code=error.pgcode or "")
    return Answer(text=name.name)


def _real(text: str, views: Sequence[View]) -> str:
    """Name the real siblings where the trial named temporary ones, which are always found without a schema.

    The server begins a line with each FROM and JOIN; within one, FROM belongs to a function (EXTRACT, TRIM) or an operator.
    """
    for view in views:
        sibling, real = re.escape(quote(view.name.name)), view.name.sql.replace("\\", "\\\\")
        if re.search(rf"(?:WITH|RECURSIVE|,) {sibling}(?:\([^()]*\))? AS (?:(?:NOT )?MATERIALIZED )?\(", text):
            continue  # within the query, it is the name of a part of it
        text = re.sub(rf"(\n *(?:FROM|(?:[A-Z]+ )*JOIN) \(*){sibling}(?![\w\".$])", rf"\g<1>{real}", text)
    return _text(text)


def settled(connection: Any, texts: Sequence[str]) -> dict[str, str]:
    """Return texts after one more round through the server; one that it refuses stays as it is."""
    found: dict[str, str] = {}
    if not texts:
        return found
    with tagged(connection):
        execute(connection, "BEGIN")
        try:
            names = {trial_name(number): text for number, text in enumerate(texts)}
            for name, text in names.items():
                execute(connection, "SAVEPOINT trial")
                try:
                    execute(connection, f"CREATE TEMP VIEW {name} AS {text}\n")
                except driver.ProgrammingError:
                    execute(connection, "ROLLBACK TO SAVEPOINT trial")
            for name, text, _columns in rows(connection, _TRIED):
                found[names[name]] = _text(text)
        finally:
            if not connection.closed:
                execute(connection, "ROLLBACK")
    return found


def render(change: Change) -> tuple[str, ...]:
    """Return the statements of one change, in order."""
    return _RENDERERS[change.action](change.subject)


def _kind(*, materialized: bool) -> str:
    return "MATERIALIZED VIEW" if materialized else "VIEW"


def _create(view: View, name: QualifiedName, how: str = "CREATE") -> str:
    options = f" WITH ({', '.join(f'{key}={value}' for key, value in view.options)})" if view.options else ""
    return f"{how} {_kind(materialized=view.materialized)} {name.sql}{options} AS {view.query}\n".rstrip()


def _noted(step: Step) -> tuple[str, ...]:
    return tuple(
        statement
        for view, _old in step.made
        for statement in (_comment(step, view), remember(KIND, view.name, view.name.name))
    )


def _comment(step: Step, view: View) -> str:
    kind = _kind(materialized=view.materialized)
    return f"COMMENT ON {kind} {view.name.sql} IS {literal(step.comments[view.name])}"


def _made(step: Step) -> tuple[str, ...]:
    ((view, _old),) = step.made
    return (_create(view, view.name), *_noted(step))


def _replaced(step: Step) -> tuple[str, ...]:
    ((view, _old),) = step.made
    return (_create(view, view.name, "CREATE OR REPLACE"), *_noted(step))


def _options(step: Step) -> tuple[str, ...]:
    ((view, old),) = step.made
    assert old
    new, had = dict(view.options), dict(old.form.options)
    alter = f"ALTER VIEW {view.name.sql}"
    away = sorted(set(had) - set(new))
    changed = [f"{key}={value}" for key, value in new.items() if had.get(key) != value]
    return (
        *([f"{alter} RESET ({', '.join(away)})"] if away else []),
        *([f"{alter} SET ({', '.join(changed)})"] if changed else []),
    )


def _dropped(step: Step) -> tuple[str, ...]:
    return tuple(
        statement
        for view in step.gone
        for statement in (
            f"DROP {_kind(materialized=view.form.materialized)} {view.name.sql}",
            forget(KIND, view.name, view.name.name),
        )
    )


def _again(view: View, old: ObservedView, name: QualifiedName, named: Callable[[str], str] = str) -> Iterator[str]:
    """Make a view as it is declared, under a name, with what it gets back; `named` gives its indexes their names.

    A materialised view is made empty and filled when it has its owner: as whom it is refreshed later, too.
    """
    kind = _kind(materialized=view.materialized)
    if not view.materialized:
        yield _create(view, name)
        yield from handed_over(old, name, kind)
    else:
        yield f"CREATE {kind} {name.sql}{place(old)} AS {view.query}\nWITH NO DATA"
        yield from handed_over(old, name, kind)
        yield from stored(old, name)
        yield f"REFRESH {kind} {name.sql}"
        yield from indexed(old, name, named)
    yield from hung_on(old, name)


def _rebuilt(step: Step) -> tuple[str, ...]:
    statements = [f"DROP {_kind(materialized=view.form.materialized)} {view.name.sql}" for view in step.gone]
    if any(view.materialized for view, _old in step.made):
        statements.append("SET LOCAL statement_timeout = 0")  # it is filled in here, and takes what it takes
    for view, old in step.made:
        assert old
        statements += _again(view, old, view.name)
    return (*statements, *_noted(step))


def _filled(step: Step) -> tuple[str, ...]:
    ((view, old),) = step.made
    assert old
    name = temporary_name(view.name)
    made = _again(view, old, name, lambda index: _index_name(view.name, index))
    return (f"DROP MATERIALIZED VIEW IF EXISTS {name.sql}", *made)


def _index_name(view: QualifiedName, index: str) -> str:
    return f"pgstead_new_{short_hash(view.schema, index)}"


def _swapped(step: Step) -> tuple[str, ...]:
    ((view, old),) = step.made
    assert old
    indexes = [(QualifiedName(view.name.schema, _index_name(view.name, i.name)), i.name) for i in old.kept.indexes]
    return (
        f"DROP MATERIALIZED VIEW {view.name.sql}",
        f"ALTER MATERIALIZED VIEW {temporary_name(view.name).sql} RENAME TO {quote(view.name.name)}",
        *(f"ALTER INDEX {index.sql} RENAME TO {quote(name)}" for index, name in indexes),
        *_noted(step),
    )


_RENDERERS: Mapping[str, Callable[[Step], tuple[str, ...]]] = {
    "create": _made,
    "replace": _replaced,
    "options": _options,
    "comment": lambda step: tuple(_comment(step, view) for view, _old in step.made),
    "refresh": lambda step: tuple(f"REFRESH MATERIALIZED VIEW {view.name.sql}" for view, _old in step.made),
    "drop": _dropped,
    "rebuild": _rebuilt,
    "fill": _filled,
    "swap": _swapped,
}
