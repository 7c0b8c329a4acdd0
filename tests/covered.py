"""Whether the tests covered what they must: `python -m tests.covered FOLDER`.

Reads what slipcover wrote, of the tests and of the processes they started, and fails where the
rules are not covered whole, or all of `app` not enough.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RULES = ("app/domain/", "app/workflow/", "app/auth.py")
ALL_OF_IT = 95.0


def main(folder: Path) -> int:
    met: dict[str, set[Any]] = defaultdict(set)
    there: dict[str, set[Any]] = defaultdict(set)
    for report in folder.glob("*.json"):
        for path, found in json.loads(report.read_text())["files"].items():
            # Processes of their own run elsewhere, and say the path from there.
            name = "app/" + path.rsplit("app/", 1)[1]
            met[name] |= _points(found["executed_lines"], found["executed_branches"])
            there[name] |= _points(found["missing_lines"], found["missing_branches"])
    missed = {name: there[name] - met[name] for name in there}
    total = sum(len(there[name] | met[name]) for name in there)
    percent = 100 * (1 - sum(map(len, missed.values())) / total)
    uncovered = {n: m for n, m in missed.items() if m and n.startswith(RULES)}
    for name, points in sorted(uncovered.items()):
        _say(f"{name}: {_listed(points)}")
    _say(
        f"Covered: {percent:.1f} % of lines and branches; {len(uncovered)} files of rules miss some"
    )
    return 1 if uncovered or percent < ALL_OF_IT else 0


def _points(lines: Iterable[int], branches: Iterable[list[int]]) -> set[Any]:
    return {*lines, *(tuple(branch) for branch in branches)}


def _listed(points: set[Any]) -> str:
    lines = sorted(point for point in points if isinstance(point, int))
    branches = sorted(point for point in points if isinstance(point, tuple))
    return ", ".join([*map(str, lines), *(f"{a}->{b or 'end'}" for a, b in branches)])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
