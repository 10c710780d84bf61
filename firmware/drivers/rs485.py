"""A UART on RS-485: the driver is on only while this end sends."""


class Rs485:
    """`uart` with `direction`, the pin of DE and /RE joined (called with 1 to send), or None for RS-232 and TTL."""

    def __init__(self, uart, direction=None):
        self.stream = uart
        """For `select.poll`."""
        self._direction = direction
        self.any = uart.any
        self.readinto = uart.readinto
        if direction:
            direction(0)

    def write(self, data, meanwhile=None):
        """Send `data`; on RS-485 returns when its last stop bit has left, so that the line is free for the answer.

        `meanwhile()`, if given, is called while it leaves.
        """
        if self._direction:
            self._direction(1)
        self.stream.write(data)
        if meanwhile:
            meanwhile()
        if self._direction:
            self.stream.flush()
            self._direction(0)
