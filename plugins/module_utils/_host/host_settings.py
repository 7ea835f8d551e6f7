# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Host files, and kernel settings applied now, with every refusal reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._core.kernel import strictness_problem
from .._shell import Context, Outcome
from .facts import meminfo
from .files import Wanted, diff, differing, write


def _node(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def run(params: Mapping[str, Any], context: Context) -> Outcome:
    """Write the files and bring each value into force; what the kernel refuses (a container's) is a warning."""
    files = [Wanted(Path(file["path"]), file["content"]) for file in params["files"]]
    changed_files, shown = differing(files), diff(files)
    nodes = {name: (_node(name), str(value)) for name, value in params["sysctl"].items()}
    nodes |= {name: (Path(name), str(value)) for name, value in params["sys"].items()}
    if not context.check_mode:
        for file in changed_files:
            write(file)
    applied, refused = [], []
    for name, (path, value) in nodes.items():
        before = _read(path)
        if before.split() == value.split():  # the kernel puts tabs between the fields of one value
            continue
        reason = _too_strict(value, params["sysctl"]) if name == "vm.overcommit_memory" else ""
        reason = reason or _refusal(path, value, try_it=not context.check_mode)
        if reason:
            refused.append(f"{name} = {value} (is {before}): {reason}")
        else:
            applied.append({"name": name, "before": before, "after": value})
    warnings = [f"the kernel does not take: {'; '.join(refused)}"] if refused else []
    data = {"applied": applied, "refused": refused}
    return Outcome(bool(changed_files or applied), data, shown, warnings)


def _read(path: Path) -> str:
    try:
        text = path.read_text().strip()
    except OSError:
        return "absent"
    chosen = [word for word in text.split() if word.startswith("[")]
    return chosen[0].strip("[]") if chosen else text


def _refusal(path: Path, value: str, *, try_it: bool) -> str:
    try:
        if try_it:
            path.write_text(value)
        else:
            path.open("r+").close()
    except OSError as error:
        return f"{error.strerror}, set it on the container's host"
    if try_it and _read(path).split() != value.split():
        return f"only {_read(path)} could be had: memory is too fragmented, it is complete after a reboot"
    return ""


def _too_strict(value: str, sysctl: Mapping[str, Any]) -> str:
    """Say why no program could start under strict overcommit."""
    if value != "2":
        return ""
    memory = {name: meminfo(name) for name in ("MemTotal", "SwapTotal", "Hugetlb", "Committed_AS")}
    ratio = sysctl.get("vm.overcommit_ratio") or _read(_node("vm.overcommit_ratio"))
    return strictness_problem(memory, int(ratio), int(sysctl.get("vm.overcommit_kbytes") or 0))
