# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of things in a database: literal, case-sensitive, as the catalogue has them; quoted only where SQL needs it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

NAME_BYTES = 63
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# every keyword that quote_ident() quotes in one of the majors 14 to 18 (pg_get_keywords, all but the unreserved)
_KEYWORDS = frozenset(
    [
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "between",
        "bigint",
        "binary",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "json",
        "json_array",
        "json_arrayagg",
        "json_exists",
        "json_object",
        "json_objectagg",
        "json_query",
        "json_scalar",
        "json_serialize",
        "json_table",
        "json_value",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "merge_action",
        "national",
        "natural",
        "nchar",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "system_user",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
        "xmlattributes",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlnamespaces",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ]
)


@dataclass(frozen=True, order=True)
class QualifiedName:
    """A schema and a name in it; `str()` gives what a person writes in the inventory."""

    schema: str
    name: str

    def __str__(self) -> str:
        return ".".join(
            '"' + part.replace('"', '""') + '"' if "." in part or '"' in part else part
            for part in (self.schema, self.name)
        )

    @property
    def sql(self) -> str:
        """The name as SQL, each part quoted where it has to be."""
        return f"{quote(self.schema)}.{quote(self.name)}"


def quote(name: str) -> str:
    """Return a name as an SQL identifier, like the server's quote_ident()."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL string literal that means the same whatever standard_conforming_strings says."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def parse(text: str, schema: str) -> QualifiedName:
    """Read `table` or `schema.table`; a part with a dot in it stands in double quotes. Raises ValueError."""
    parts = re.findall(r'"((?:[^"]|"")+)"(?:\.|$)|([^".]+)(?:\.|$)', text)
    read = [quoted.replace('""', '"') or plain for quoted, plain in parts]
    rebuilt = ".".join(f'"{quoted}"' if quoted else plain for quoted, plain in parts)
    if rebuilt != text or len(read) not in (1, 2):
        raise ValueError(f"{text!r} is not a name: write table, schema.table, or a part with dots in double quotes")
    found = QualifiedName(read[0], read[1]) if len(read) == 2 else QualifiedName(schema, read[0])
    for part in read:
        complaint = unusable(part)
        if complaint:
            raise ValueError(complaint)
    return found


def reference(text: str, *, dotted: bool) -> str:
    """Return the name of an operator class or collation as SQL: `name`, or `schema."name"`.

    With `dotted`, `schema.name` needs no quotation marks; without (collations: en_US.utf8), a dot belongs to the name.
    """
    if '"' in text:
        found = parse(text, "")
        return found.sql if found.schema else quote(found.name)
    return ".".join(quote(part) for part in (text.split(".", 1) if dotted else [text]))


def table_text(name: QualifiedName, default_schema: str) -> str:
    """Return a table's name as the inventory has it: without the schema where that is the default one."""
    text = str(name)
    return text.removeprefix(f"{default_schema}.") if name.schema == default_schema else text


def unusable(name: str) -> str | None:
    """Say why PostgreSQL would not keep this name as it is, or return None."""
    if not name or "\0" in name:
        return f"{name!r} is not a name: it is empty or holds a zero byte"
    if len(name.encode()) > NAME_BYTES:
        return f"{name!r} is longer than {NAME_BYTES} bytes, which PostgreSQL would cut off"
    return None


def short_hash(*parts: str) -> str:
    """Return twelve hexadecimal digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def derive(parts: Iterable[str], ending: str) -> str:
    """Join parts as PostgreSQL names indexes (`orders_user_id_idx`); what is too long is cut and told apart by a hash."""
    full = "_".join([*parts, ending])
    if len(full.encode()) <= NAME_BYTES:
        return full
    tail = f"_{short_hash(full)[:8]}_{ending}"
    head = full.encode()[: NAME_BYTES - len(tail.encode())].decode(errors="ignore")
    return head + tail
