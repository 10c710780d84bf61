"""A meter put together from what a board brings; every board calls `assemble` and then only feeds the server and samples."""

from .blobs import BlobService, RamBlobs
from .link import Server
from .meter import Meter
from .service import MeterService


class Assembly:
    """A meter at work: `meter` counts and keeps, `server` answers."""

    def __init__(self, meter, server):
        self.meter = meter
        self.server = server


def assemble(image, clock, drivers, inputs, identity, address):
    """Put a meter together.

    `image` is the profile that governs (`protocol.image.Image`), `clock` a `firmware.clock.Clock`, `drivers` one a channel and
    `inputs` one a condition's source (`firmware.meter.Meter`), `identity` of `firmware.identity`, `address` that of the link.
    """
    meter = Meter(image, clock, drivers, identity, inputs)
    service = MeterService(meter)
    handlers = service.table()
    handlers.update(BlobService(meter, RamBlobs()).table())
    server = Server(address, handlers)
    service.server = server
    return Assembly(meter, server)
