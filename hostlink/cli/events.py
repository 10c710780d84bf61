"""`tonne events`."""

import json

from rich.console import Console
from rich.table import Table

from hostlink import events, transport
from hostlink.cli.options import Address, Baud, Capture, Json, Port, Timeout
from hostlink.errors import ProofError
from hostlink.meter import connect
from protocol import events as layout


def show(
    port: Port,
    address: Address = 255,
    baud: Baud = transport.DEFAULT_BAUD,
    timeout: Timeout = None,
    capture: Capture = None,
    as_json: Json = False,
) -> None:
    """Read what happened to a meter: both event logs in order, their chains checked; ends 1 if a chain breaks."""
    with connect(port, address, baud, timeout, capture=capture) as meter:
        serial = meter.identify().serial
        logs = {log: list(events.read(meter, log)) for log in layout.LOGS}
    found = sorted((event for log in logs.values() for event in log), key=lambda event: (event.order, event.log))
    breaks = [f"{layout.LOGS[log]} log: {what}" for log, held in logs.items() for what in events.breaks(held)]
    lost = logs[layout.ORDINARY][0].sequence if logs[layout.ORDINARY] else 0
    if as_json:
        print(
            json.dumps(
                {"serial": serial, "lost": lost, "breaks": breaks, "events": [e.as_json() for e in found]}, indent=2
            )
        )
    else:
        Console(markup=False).print(_table(serial, found))
        print(f"{len(found)} events; {lost} older ordinary ones overwritten; chains {'BROKEN' if breaks else 'hold'}")
    if breaks:
        raise ProofError("; ".join(breaks[:5]))


def _table(serial: str, found: list[events.Event]) -> Table:
    table = Table(title=f"{serial}: events", title_justify="left")
    for column in ("time", "log", "event", "by", "details"):
        table.add_column(column)
    for event in found:
        log = layout.LOGS.get(event.log, str(event.log))
        table.add_row(f"{event.time:%Y-%m-%d %H:%M:%S}Z", log, event.name, event.by, event.details)
    return table
