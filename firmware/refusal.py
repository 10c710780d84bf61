"""How a handler refuses a request."""

from protocol import messages


class Refusal(Exception):
    """The request is refused with a code of `protocol.status` and a detail."""

    def __init__(self, code, detail=0):
        self.code = code
        self.detail = detail

    def pack_into(self, out):
        """Write the refusal's body; returns its size."""
        return messages.REFUSAL.pack_into(out, 0, self.code, self.detail)
