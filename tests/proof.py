"""The long proofs, one part after the other, with the time that each took: ``make proof``.

Races run for 50 rounds. A race that is lost once in 20 rounds escapes one round with a chance of
0.95, so 50 rounds catch it with a chance of 92 % (20 rounds: 64 %, 59 rounds: 95 %).
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-o", "faulthandler_timeout=900", "--durations=10"]
PARTS = {
    "races and long inputs": [*PYTEST, "-n", "2", "--dist", "load", "-m", "proof and not alone"],
    "scanners, renewals, timing": [*PYTEST, "-m", "proof and alone"],
    "defences taken out": [sys.executable, "tests/sabotage/run.py"],
}


def main() -> int:
    """Run every part, whatever the others did, and return the exit code."""
    lines = []
    for name, command in PARTS.items():
        began = time.monotonic()
        code = subprocess.run(command, check=False, cwd=ROOT).returncode
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        lines.append(f"{name:30} {minutes:3} min {seconds:2} s  {'failed' if code else 'passed'}")
    print("", *lines, sep="\n")
    return int(any(line.endswith("failed") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
