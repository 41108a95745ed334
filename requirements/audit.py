"""Asks the package index which locked versions have known vulnerabilities (`make audit`), by pip-audit.

It ends with 1 when one has, and with 2 when the index did not answer for any: no answer is not a clean one.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCKS = ("runtime", "dev", "uv")


def judged(dependencies: Iterable[dict[str, Any]]) -> tuple[list[str], int]:
    """What to say about these findings of pip-audit, and the exit code."""
    found = list(dependencies)
    asked = [one for one in found if "skip_reason" not in one]
    said = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'none yet'}"
        for one in asked
        for fault in one["vulns"]
    ]
    if said:
        return said, 1
    if len(asked) < len(found):
        return [f"The package index did not answer for {len(found) - len(asked)} of {len(found)} packages: audit"
                " again where pypi.org can be reached, or look them up at osv.dev."], 2  # fmt: skip
    return [f"{len(found)} packages, no known vulnerability."], 0


def asked(lock: Path) -> list[dict[str, Any]]:
    """pip-audit's findings about a lock. Raises OSError when there are none."""
    command = [Path(sys.executable).with_name("pip-audit"), "--disable-pip", "--require-hashes", "-r", lock]
    run = subprocess.run(  # noqa: S603
        [*command, "-f", "json", "--progress-spinner", "off"], check=False, capture_output=True, text=True, timeout=900
    )
    try:
        found: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except ValueError:
        raise OSError(run.stderr.strip().rpartition("\n")[2] or "pip-audit said nothing") from None
    return found


def main() -> int:
    """Audit every lock; the exit code is the worst."""
    worst = 0
    for name in LOCKS:
        try:
            lines, code = judged(asked(HERE / f"{name}.txt"))
        except OSError as error:
            lines, code = [f"could not be audited: {error}. Try again where pypi.org can be reached."], 2
        for line in lines:
            sys.stdout.write(f"{name}.txt: {line}\n")
        worst = 1 if 1 in (worst, code) else max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
