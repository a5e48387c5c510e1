"""What it costs to start the server, up to the first page."""

import os
import re
from pathlib import Path

import pytest

from tests.support.site import Site

# In CPU, since the machine that tests has other things to do; alone, it takes no longer than that.
START_SECONDS = 1.5
MOST_MIB = 200


def processes(site: Site) -> list[Path]:
    """The server and its worker, in ``/proc``."""
    assert site.process
    pid = site.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path("/proc", str(process)) for process in (pid, *children)]


def cpu_seconds(process: Path) -> float:
    """User and system time: fields 14 and 15 of proc_pid_stat(5)."""
    fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_the_server_is_there_within_a_second_and_a_half(site: Site) -> None:
    assert sum(map(cpu_seconds, processes(site))) < START_SECONDS
    for process in processes(site):
        peak = re.search(r"VmHWM:\s+(\d+) kB", process.joinpath("status").read_text())
        assert peak
        assert int(peak[1]) < MOST_MIB * 1024
