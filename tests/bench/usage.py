"""What a server's processes have used, as Linux counts it."""

import os
import re
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024


def tree(root: int) -> dict[int, list[str]]:
    """Return `/proc/PID/stat` behind the name, by PID: of `root` and every process below it."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    found = [root]
    for pid in found:
        found += [child for child, fields in stats.items() if int(fields[1]) == pid]
    return {pid: stats[pid] for pid in found if pid in stats}


def cpu_seconds(*roots: int) -> float:
    """Return what these trees have computed so far, and those of their children that have ended."""
    stats = {pid: fields for root in roots for pid, fields in tree(root).items()}
    return sum(int(field) for fields in stats.values() for field in fields[11:15]) / TICKS


def peak_mib(root: int) -> float:
    """Return the most memory that each process of the tree ever had at once, summed."""
    states = [Path(f"/proc/{pid}/status").read_text() for pid in tree(root)]
    return sum(int(kib) for kib in re.findall(r"VmHWM:\s+(\d+)", "".join(states))) / MIB
