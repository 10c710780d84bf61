"""The host's end of the Pico's USB serial port."""

from __future__ import annotations

from rp2040py.rp2040 import RP2040
from rp2040py.usb.cdc import USBCDC

_CONTROL = 0


class UsbSerial:
    """`received` gathers what the Pico sends; `send` queues bytes that go out as fast as it takes them.

    rp2040py's host answers every armed OUT endpoint at once, with an empty packet if it has nothing, so the firmware
    takes interrupts without end. A host with nothing to send sends nothing: the answer waits here for bytes.
    """

    def __init__(self, chip: RP2040) -> None:
        self.received = bytearray()
        self.connected = False
        self._outgoing = bytearray()
        self._waiting: tuple[int, int] | None = None
        self._cdc = USBCDC(chip.usb_ctrl)
        self._cdc.on_serial_data = self.received.extend
        self._cdc.on_device_connected = self._on_connected
        answer = chip.usb_ctrl.on_endpoint_read
        assert answer is not None
        self._answer = answer
        self._on_reset = chip.usb_ctrl.on_reset
        chip.usb_ctrl.on_endpoint_read = self._on_read
        chip.usb_ctrl.on_reset = self._on_dropped

    def send(self, data: bytes) -> None:
        """Queue `data` for the Pico."""
        self._outgoing += data
        self._deliver()

    def _on_connected(self) -> None:
        self.connected = True

    def _on_dropped(self) -> None:
        self.connected = False
        self._waiting = None
        self._outgoing.clear()
        if self._on_reset:
            self._on_reset()

    def _on_read(self, endpoint: int, size: int) -> None:
        if endpoint == _CONTROL:
            self._answer(endpoint, size)
        else:
            self._waiting = (endpoint, size)
            self._deliver()

    def _deliver(self) -> None:
        if self._waiting and self._outgoing:
            endpoint, size = self._waiting
            self._waiting = None
            packet = self._outgoing[:size]
            del self._outgoing[:size]
            for byte in packet:
                self._cdc.send_serial_byte(byte)
            self._answer(endpoint, size)
