"""The event logs: two chained rings, one that forgets the oldest and one that refuses (`protocol.events`)."""

from protocol import events, messages
from protocol import status as codes

from .refusal import Refusal


class Events:
    """`rings` are the ordinary and the legal log (`store.ring.Ring`, the latter without wrap), entries of `ENTRY.size`.

    `actor` is the role behind the request being served, 0 for nobody: the link's guard sets it. Events show the flags of `meter`.
    """

    def __init__(self, rings, clock):
        self.rings = rings
        self.actor = 0
        self.meter = None
        self._clock = clock
        self._entry = bytearray(events.ENTRY.size)
        self._links = [self._link_of(ring) for ring in rings]

    def log(self, kind, actor=0, old=0, new=0, subject=0):
        """Keep an event; `old` and `new` are whole numbers or up to 8 bytes. False if it was not kept: a full log or a fault."""
        log = events.log_of(kind)
        ring = self.rings[log]
        if log == events.LEGAL and not ring.room:
            return False
        status = self.meter.status if self.meter else 0
        values = (ring.next, self.count, self._clock.time(), kind, actor, status, subject, _raw(old), _raw(new))
        events.ENTRY.pack_into(self._entry, 0, *values, bytes(events.LINK_SIZE))
        link = events.chain(self._links[log], self._entry)
        self._entry[-events.LINK_SIZE :] = link
        if not ring.append(self._entry):
            return False
        self._links[log] = link
        return True

    @property
    def count(self):
        """Events logged so far, in both logs."""
        return self.rings[0].next + self.rings[1].next

    @property
    def room(self):
        """Legally relevant events that can still be logged: with none left, whatever causes one has to be refused."""
        return self.rings[events.LEGAL].room

    def require_room(self, entries=1):
        """Raise Refusal unless so many legally relevant events can be logged."""
        if self.room < entries:
            raise Refusal(codes.EXHAUSTED, self.room)

    def prepare(self):
        """Erase ahead of time; True if that took a moment."""
        return self.rings[0].prepare() or self.rings[1].prepare()

    def link(self, log):
        """The newest link of a log: the head of its chain."""
        return self._links[log]

    def table(self):
        """`{message: (request size, handler)}` for `link.Server`."""
        return {messages.EVENTS: (messages.EVENTS_REQUEST.size, self.read)}

    def read(self, body, out):
        log, first, count = messages.EVENTS_REQUEST.unpack_from(body)
        if log >= len(self.rings):
            raise Refusal(codes.BAD_VALUE, len(self.rings) - 1)
        ring = self.rings[log]
        if not ring.oldest <= first < ring.next:
            raise Refusal(codes.NOT_FOUND, ring.next if first >= ring.next else ring.oldest)
        head = at = messages.EVENTS_REPLY.size
        size = events.ENTRY.size
        count = min(count, ring.next - first, (len(out) - head) // size)
        for sequence in range(first, first + count):
            if not ring.read_into(sequence, out[at : at + size]):
                break
            at += size
        if at == head:
            raise Refusal(codes.STORAGE if count else codes.BAD_VALUE, first)
        messages.EVENTS_REPLY.pack_into(out, 0, log, first, ring.oldest, ring.next, (at - head) // size)
        return at

    def _link_of(self, ring):
        if ring.next and ring.read_into(ring.next - 1, self._entry):
            return bytes(self._entry[-events.LINK_SIZE :])
        return events.CHAIN_START


def _raw(value):
    return value.to_bytes(8, "little") if isinstance(value, int) else bytes(value[:8]) + bytes(8 - len(value[:8]))
