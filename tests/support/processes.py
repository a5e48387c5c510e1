"""The processor time and the memory of a process and all its descendants, as Linux counts them."""

import os
import re
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB_PER_MIB = 1024
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def tree(root: int) -> dict[int, list[str]]:
    """Return the fields of `/proc/PID/stat` after the name, for `root` and all its descendants."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    found = [root]
    for pid in found:
        found += [child for child, fields in stats.items() if int(fields[1]) == pid]
    return {pid: stats[pid] for pid in found if pid in stats}


def cpu_seconds(*roots: int) -> float:
    """Return the processor time of process trees, including children that have ended."""
    stats = {pid: fields for root in roots for pid, fields in tree(root).items()}
    return sum(int(field) for fields in stats.values() for field in fields[11:15]) / TICKS


def pss_mib(root: int) -> float:
    """Return the memory of a process tree in MiB, as the sum of its proportional set sizes (PSS).

    Each page counts once, also if forked processes share the page.
    """
    maps = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in tree(root)]
    return sum(int(kib) for kib in PSS.findall("".join(maps))) / KIB_PER_MIB
