"""Time-of-use tables: which factor holds at which hour of which kind of day in which month."""

import re
from datetime import date

from hostlink.profile.document import Document, Table
from hostlink.profile.model import TimeOfUse

KINDS = {"workday": 0, "saturday": 1, "sunday": 2, "holiday": 3}
"""Kinds of day in the image's order; a workday is Monday to Friday that is no holiday."""
_SPAN = re.compile(r"\s*(\d+)\s*-\s*(\d+)\s+(\w+)\s*")
_UNSET = -1


def read_tables(document: Document) -> dict[str, TimeOfUse]:
    """`[tables.*]`. Raises ProfileError for an hour, month or kind of day without a slot, or with two."""
    return {name: _table(document, name) for name in document.table("tables").values}


def _table(document: Document, name: str) -> TimeOfUse:
    table = document.table("tables", name)
    days = table.take("days", list)
    slots: list[str] = []
    rows: list[tuple[int, ...]] = []
    calendar = [_UNSET] * 48
    for n in range(len(days)):
        entry = document.table("tables", name, "days", n)
        row = tuple(_hours(entry, slots))
        for month in _months(entry):
            for kind in entry.take("kinds", list, list(KINDS)):
                if kind not in KINDS:
                    entry.fail("kinds", f"expected some of {', '.join(KINDS)}, got {kind!r}")
                at = 4 * (month - 1) + KINDS[kind]
                if calendar[at] != _UNSET:
                    entry.fail("", f"month {month}, {kind} is given twice")
                calendar[at] = n
        entry.done()
        rows.append(row)
    if _UNSET in calendar:
        at = calendar.index(_UNSET)
        table.fail("days", f"month {at // 4 + 1}, {list(KINDS)[at % 4]} has no hours")
    holidays = table.take("holidays", list, [])
    if not all(type(day) is date for day in holidays):
        table.fail("holidays", "expected dates such as 2026-10-01")
    found = TimeOfUse(name, tuple(slots), table.text("fallback"), tuple(rows), tuple(calendar), tuple(sorted(holidays)))
    table.done()
    return found


def _hours(entry: Table, slots: list[str]) -> list[int]:
    """24 slot numbers of `0-8 valley, 8-12 peak, …`; new names are appended to `slots`."""
    row = [_UNSET] * 24
    for part in entry.text("hours").split(","):
        found = _SPAN.fullmatch(part)
        if not found or not 0 <= int(found.group(1)) < int(found.group(2)) <= 24:
            entry.fail("hours", f'expected spans such as "0-8 valley, 8-24 peak", got {part.strip()!r}')
        slot = found.group(3)
        if slot not in slots:
            slots.append(slot)
        for hour in range(int(found.group(1)), int(found.group(2))):
            if row[hour] != _UNSET:
                entry.fail("hours", f"hour {hour} is given twice")
            row[hour] = slots.index(slot)
    if _UNSET in row:
        entry.fail("hours", f"hour {row.index(_UNSET)} has no factor")
    return row


def _months(entry: Table) -> list[int]:
    months = entry.take("months", list, list(range(1, 13)))
    if not all(isinstance(month, int) and 1 <= month <= 12 for month in months):
        entry.fail("months", "expected months 1 to 12")
    return months
