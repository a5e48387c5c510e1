"""Run the long tests in parts and print how long each part took: ``make proof``.

The mutants are drawn by a seed, which is printed; ``python -m tests.proof SEED`` draws the same.

Race tests run for 50 rounds. If a race is lost once in 20 rounds on average, one round misses it
with a probability of 0.95, so 50 rounds find it with a probability of 92 % (20 rounds: 64 %,
59 rounds: 95 %).
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-o", "faulthandler_timeout=900", "--durations=10"]
# One more than cores: a race often waits for an email.
RACING = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "load"]
# What long tests have measured, a sentence in each line; the notes of a release quote it.
FIGURES = ROOT / ".cache/figures"
SEED = ["--seed", sys.argv[1]] if len(sys.argv) > 1 else []
PARTS = {
    # First, while the machine is idle.
    "scanners, renewals, timing": [*PYTEST, "-m", "proof and alone"],
    "races and long inputs": [*PYTEST, *RACING, "-m", "proof and not alone"],
    "defences taken out": [sys.executable, "tests/sabotage/run.py"],
    "branches": [sys.executable, "-m", "tests.sabotage.branches"],
    "mutants": [sys.executable, "-m", "tests.sabotage.mutants", "--draw", "300", *SEED],
}


def state() -> str:
    """Return the commit of the checkout, followed by the files that differ from it."""
    asked = (["rev-parse", "HEAD"], ["status", "--porcelain"])
    runs = [subprocess.run(["git", *a], cwd=ROOT, capture_output=True, check=False) for a in asked]
    return "".join(run.stdout.decode() for run in runs).strip()


def proof_of(commit: str) -> Path:
    """Return the path of the file that exists if all parts have passed on ``commit``."""
    return ROOT / ".cache/proofs" / commit


def note(figures: str) -> None:
    """Keep a sentence with figures that a test has measured."""
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(f"- {figures}\n")


def main() -> int:
    """Run every part, even after a failure, and return the exit code.

    If all have passed on an unchanged commit, keep the figures for ``make release``.
    """
    lines, before = [], state()
    FIGURES.unlink(missing_ok=True)
    for name, command in PARTS.items():
        began = time.monotonic()
        code = subprocess.run(command, check=False, cwd=ROOT).returncode
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        lines.append(f"{name:30} {minutes:3} min {seconds:2} s  {'failed' if code else 'passed'}")
    figures = FIGURES.read_text() if FIGURES.exists() else ""
    print("", *lines, "", figures, sep="\n")
    if any(line.endswith("failed") for line in lines):
        return 1
    if before == state() and re.fullmatch("[0-9a-f]{40}", before):
        proof_of(before).parent.mkdir(parents=True, exist_ok=True)
        proof_of(before).write_text(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
