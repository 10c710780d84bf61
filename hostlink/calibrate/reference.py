"""What a reference standard measured, from a laboratory's own program."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from hostlink.errors import DataError


def printed(command: Sequence[str]) -> Fraction:
    """The number, decimal and JSON, in the last line that `command` prints. Raises DataError with what came instead."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    except OSError as error:
        raise DataError(f"cannot run {command[0]}: {error.strerror}") from None
    lines = done.stdout.strip().splitlines()
    try:
        number = json.loads(lines[-1], parse_float=Decimal) if lines and not done.returncode else None
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, (int, Decimal)):
        words = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        raise DataError(f"expected a number from {command[0]}, got exit code {done.returncode}: {words[0]}")
    return Fraction(number)
