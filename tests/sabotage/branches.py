"""Prove that tests in process take each branch of the security core: ``CORE`` of ``mutants.py``.

    python -m tests.sabotage.branches

prints the lines and branches that they do not take. Code that runs in another process only, such
as a command, does not count.
"""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from tests.sabotage.mutants import CORE, PYTEST, files, test_files
from tests.sabotage.run import AT_ONCE, ROOT, environment, shares

COVERAGE = [sys.executable, "-m", "coverage"]


def main() -> int:
    """Run the tests, print what none has executed and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"--data-file={folder}/data"
        pytest = [*COVERAGE, "run", "--branch", "--parallel-mode", data, "--source=accounts"]
        pytest += ["-m", "pytest", *PYTEST]
        shared = [[*pytest, *sorted(share)] for share in shares(set(test_files()))]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed = any(pool.map(run, shared))
        run([*COVERAGE, "combine", "--quiet", data])
        report = [*COVERAGE, "report", data, "--show-missing", "--skip-covered", "--precision=2"]
        return run([*report, "--fail-under=100", f"--include={','.join(files(CORE))}"]) or failed


def run(command: list[str]) -> int:
    return subprocess.run(command, check=False, cwd=ROOT, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main())
