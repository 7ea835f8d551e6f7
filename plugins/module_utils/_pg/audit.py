# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each step of an audit trail says to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from .._core.audit import ROW_TRIGGER, Attach, Detach, TriggerForm
from .._core.audit_log import FORBIDDEN, KIND, OWNER, OWNERS, DropPartition, Guard, MakeLog, MakePartition, MakeRoutine
from .._core.audit_spec import Audit
from .._core.index import KIND as INDEX_KIND
from .._core.index_spec import Index, IndexColumn
from .._core.names import QualifiedName, literal, quote
from .._core.plan import Change, with_marker
from .audit_source import ALWAYS_THERE, COLUMNS, KEYED, RECORDER_ARGUMENTS, TRAIL_ARGUMENTS
from .index import definition
from .ledger import forget, remember

_MARK = literal(with_marker("The audit log: who changed what, and when", OWNER))
_PART_MARK = literal(with_marker(None, OWNER))


def render(change: Change) -> tuple[str, ...]:
    """Return the statements of one change, in order."""
    return _RENDERERS[change.action](change.subject)


def log_indexes(audit: Audit) -> tuple[Index, ...]:
    """Return the indexes of a log: by record, for its trail, and by time.

    The record comes first: it tells entries apart, while names of tables repeat, and every write compares its way down.
    """
    start = IndexColumn(expression=KEYED)
    by_record = (start, IndexColumn(name="table_name"), IndexColumn(name="schema_name"), IndexColumn(name="at"))
    place = "audit log"
    return (
        Index(place, audit.log, f"{audit.log.name}_record_idx", named=True, columns=by_record),
        Index(
            place, audit.log, f"{audit.log.name}_at_idx", named=True, columns=(IndexColumn(name="at"),), method="brin"
        ),
    )


def deparsed(index: Index) -> str:
    """Return an index of a log as the server deparses it: a function's call stands in no parentheses of its own."""
    return definition(index).replace(f"({KEYED})", KEYED)


def _made(step: MakeLog) -> tuple[str, ...]:
    audit, log, schema = step.audit, step.audit.log, quote(step.audit.schema)
    columns = [f"{name} {kind}{' NOT NULL' * (name in ALWAYS_THERE)}" for name, kind in COLUMNS.items()]
    told: dict[str, Any] = {"owner": step.owner, "strangers": step.strangers, "readers": audit.readers}
    default = MakePartition(log, f"{log.name}_default", None, step.owner, step.strangers)
    return (
        *([f"CREATE SCHEMA {schema}"] if step.schema else []),
        *_marked(QualifiedName(audit.schema, "")),
        *_secured("SCHEMA", schema, needed="USAGE", **told),
        f"CREATE TABLE {log.sql} ({', '.join(columns)}) PARTITION BY RANGE (at)",
        f"COMMENT ON TABLE {log.sql} IS {_MARK}",
        *_secured("TABLE", log.sql, needed="SELECT", **told),
        remember(KIND, log, log.name),
        *(statement for index in log_indexes(audit) for statement in _indexed(index)),
        *_partitioned(default),
    )


def _indexed(index: Index) -> tuple[str, ...]:
    """Make an index of an empty log, where nobody has to wait for it."""
    name = QualifiedName(index.table.schema, index.name).sql
    return (
        f"CREATE INDEX {quote(index.name)} ON {index.table.sql} {deparsed(index)}",
        f"COMMENT ON INDEX {name} IS {_PART_MARK}",
        remember(INDEX_KIND, index.table, index.name),
    )


def _marked(schema: QualifiedName) -> tuple[str, ...]:
    return (f"COMMENT ON SCHEMA {quote(schema.schema)} IS {_MARK}",)


def _partitioned(step: MakePartition) -> tuple[str, ...]:
    """Make a table and attach it, which lets writers go on, as CREATE TABLE … PARTITION OF would not."""
    log, name = step.log.sql, QualifiedName(step.log.schema, step.name).sql
    bounds = f"FOR VALUES FROM ({midnight(step.span[0])}) TO ({midnight(step.span[1])})" if step.span else "DEFAULT"
    return (
        f"CREATE TABLE {name} (LIKE {log})",
        f"COMMENT ON TABLE {name} IS {_PART_MARK}",
        f"ALTER TABLE {name} OWNER TO {quote(step.owner)}",
        *_secured("TABLE", name, owner=step.owner, strangers=step.strangers),
        f"ALTER TABLE {log} ATTACH PARTITION {name} {bounds}",
        remember(KIND, step.log, step.name),
    )


def midnight(day: date) -> str:
    """Return the moment at which a day begins, whatever the session's time zone."""
    return literal(f"{day.isoformat()} 00:00:00+00")


def _dropped(step: DropPartition) -> tuple[str, ...]:
    return (f"DROP TABLE {QualifiedName(step.log.schema, step.name).sql}", forget(KIND, step.log, step.name))


def _routine(step: MakeRoutine) -> tuple[str, ...]:
    form, name = step.form, step.name.sql
    trigger = form.result == "trigger"
    arguments = RECORDER_ARGUMENTS if trigger else TRAIL_ARGUMENTS
    signature = f"{name}({'' if trigger else 'text, text, text'})"
    settings = " ".join(_set(setting) for setting in form.settings)
    how = f"LANGUAGE {form.language} {form.volatility} SECURITY {'DEFINER' if form.definer else 'INVOKER'} {settings}"
    told = "Writes each change into the audit log" if trigger else "Returns what happened to one record, in order"
    return (
        *([f"DROP FUNCTION {signature}"] if step.anew else []),
        f"CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {form.result} {how} AS {literal(form.source)}",
        f"ALTER FUNCTION {signature} OWNER TO {quote(step.owner)}",
        f"COMMENT ON FUNCTION {signature} IS {literal(with_marker(told, OWNER))}",
        *_secured(
            "FUNCTION", signature, owner=step.owner, strangers=step.strangers, needed="EXECUTE", readers=step.readers
        ),
        *(forget(KIND, step.name, version) for version in step.former),
        remember(KIND, step.name, step.version),
    )


def _set(setting: str) -> str:
    """Return a setting of a function as SQL; bare words would lose their capitals."""
    name, _sign, value = setting.partition("=")
    return f"SET {name} = {', '.join(literal(part) for part in value.split(', '))}"


def _guarded(step: Guard) -> tuple[str, ...]:
    return tuple(
        statement
        for one in step.guarded
        for statement in _secured(
            one.kind,
            one.sql,
            owner=one.owner,
            strangers=one.strangers(step.readers),
            needed=one.needed,
            readers=step.readers,
        )
    )


def _secured(
    kind: str, name: str, *, owner: str, strangers: Iterable[str], needed: str = "", readers: Sequence[str] = ()
) -> tuple[str, ...]:
    """Leave the owner what it needs, the readers what they need, and everybody else nothing."""
    others = ", ".join(["PUBLIC", *(quote(role) for role in strangers if role)])
    wanted = [quote(reader) for reader in readers if needed and reader != owner]
    return (
        f"REVOKE ALL ON {kind} {name} FROM {others} CASCADE",
        *([f"REVOKE {', '.join(sorted(FORBIDDEN))} ON TABLE {name} FROM {quote(owner)}"] if kind == "TABLE" else []),
        f"GRANT {', '.join(sorted(OWNERS[kind]))} ON {kind} {name} TO {quote(owner)}",
        *([f"GRANT {needed} ON {kind} {name} TO {', '.join(wanted)}"] if wanted else []),
    )


def _attached(step: Attach) -> tuple[str, ...]:
    return tuple(statement for name, form in step.triggers for statement in _trigger(step.table, name, form))


def _trigger(table: QualifiedName, name: str, form: TriggerForm) -> tuple[str, ...]:
    """Make a trigger, or make it what it has to be; always, for a session may set out to silence triggers."""
    when = "INSERT OR DELETE OR UPDATE" if name == ROW_TRIGGER else "TRUNCATE"
    each = "ROW" if name == ROW_TRIGGER else "STATEMENT"
    told = ", ".join(literal(argument) for argument in form.arguments)
    head = f"CREATE OR REPLACE TRIGGER {name} AFTER {when} ON {table.sql} FOR EACH {each}"
    return (
        f"{head} EXECUTE FUNCTION {form.function.sql}({told})",
        f"ALTER TABLE {table.sql} ENABLE ALWAYS TRIGGER {name}",
        f"COMMENT ON TRIGGER {name} ON {table.sql} IS {_PART_MARK}",
        remember(KIND, table, name),
    )


def _detached(step: Detach) -> tuple[str, ...]:
    return tuple(
        statement
        for name in step.triggers
        for statement in (f"DROP TRIGGER {name} ON {step.table.sql}", forget(KIND, step.table, name))
    )


_RENDERERS: Mapping[str, Callable[[Any], tuple[str, ...]]] = {
    "create": _made,
    "mark": _marked,
    "partition": _partitioned,
    "drop_partition": _dropped,
    "function": _routine,
    "rights": _guarded,
    "attach": _attached,
    "detach": _detached,
}
