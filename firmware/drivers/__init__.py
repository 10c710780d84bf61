"""Drivers: what a board's inputs measure. Buses and pins are passed in; nothing here opens one.

A counting driver has `take(counts, at)`: put what it counted since the last call into the two limbs at `counts[at]`, and return
the status flags to raise, most often 0. A measuring driver has `.value`: a small integer in the unit its docstring names, or
MISSING. Both allocate nothing and touch no bus that could make them wait. A driver that must ask its chip has `poll(passed)`,
called often with the milliseconds since the last call; it never waits, counts what went wrong in `errors`, and is `healthy`
while its chip's last answer was good.
"""
