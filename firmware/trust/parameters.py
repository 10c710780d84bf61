"""Parameters and the seal: what is of this meter, who may change it, and the mark that a change leaves."""

from protocol import events, messages, parameters, session
from protocol import status as codes
from protocol.parameters import CALIBRATED, CHANGEABLE, SEALED, TABLE
from protocol.registers import FRACTION_BITS

from ..refusal import Refusal

LONGEST_INTERVAL = 3600


class Parameters:
    """The values, as bytes by number, kept in `journal`; frozen ones come from `frozen`, integers by number.

    A journal of an older firmware ends before the parameters that came later: they are zero.
    """

    def __init__(self, journal, frozen):
        self._journal = journal
        self._frozen = frozen
        at = 0
        latest = (journal.latest or b"") + bytes(size())
        self.values = {}
        for number in CHANGEABLE:
            end = at + TABLE[number][0].size
            self.values[number] = latest[at:end]
            at = end

    def get(self, number):
        """The value as bytes. Raises KeyError."""
        if number in self._frozen:
            return TABLE[number][0].pack(self._frozen[number])
        return self.values[number]

    def set(self, number, value):
        """Keep another value: True once it is safe."""
        before = self.values[number]
        self.values[number] = bytes(value)
        if self._journal.append(b"".join([self.values[n] for n in CHANGEABLE])) is False:
            self.values[number] = before
            return False
        return True

    def digest(self):
        """SHA-256 over the sealed parameters."""
        return parameters.digest(self.values)

    def differs(self, image):
        """The first channel of a profile whose quantum is not the pulse weight set here, or -1."""
        for n in range(min(len(image.channels), parameters.CHANNELS)):
            mantissa, exponent, quantity, unit = TABLE[n + 1][0].unpack_from(self.values[n + 1])
            if mantissa:
                channel = image.channels[n]
                same = parameters.normal(mantissa, exponent) == parameters.normal(channel[4], channel[3])
                if not same or (quantity, unit) != (channel[0], channel[2]):
                    return n
        return -1


def size():
    """Bytes of the journal's payload."""
    return sum(TABLE[number][0].size for number in CHANGEABLE)


def frozen(signatures):
    """The values that come with this firmware."""
    return {
        parameters.FRACTION_BITS: FRACTION_BITS,
        parameters.LONGEST_INTERVAL: LONGEST_INTERVAL,
        parameters.SIGNATURES: signatures,
    }


class SealService:
    """Handlers for `link.Server`: parameters, and closing and breaking the seal.

    `show()` is called when the seal has changed; `image()` is the profile that governs, or will
    from the end of the running interval. `calibration` (`firmware.calibration.Calibration`) checks and applies adjustments.
    """

    def __init__(self, guard, keys, security, values, log, show, image, calibration):
        self._guard = guard
        self._keys = keys
        self._security = security
        self._parameters = values
        self._log = log
        self._show = show
        self._image = image
        self._calibration = calibration

    def table(self):
        """`{message: (request size or -1, handler)}`."""
        return {
            messages.PARAMETER_GET: (messages.PARAMETER_REQUEST.size, self.get),
            messages.PARAMETER_SET: (-1, self.set),
            messages.SEAL_CLOSE: (0, self.close),
            messages.SEAL_BREAK: (0, self.break_),
        }

    def get(self, body, out):
        return self._answer(self._known(body[0]), out)

    def set(self, body, out):
        if not len(body):
            raise Refusal(codes.WRONG_LENGTH, 1)
        number = self._known(body[0])
        value = body[1:]
        if len(value) != TABLE[number][0].size:
            raise Refusal(codes.WRONG_LENGTH, 1 + TABLE[number][0].size)
        kind = TABLE[number][1]
        if kind == parameters.FROZEN:
            raise Refusal(codes.NOT_ALLOWED, number)
        before = self._parameters.get(number)
        if bytes(value) != before:
            breaks = kind in (SEALED, CALIBRATED) and self._security.sealed
            if (breaks or kind == CALIBRATED) and not self._guard.allows(session.LABORATORY):
                raise Refusal(codes.SEALED if breaks else codes.NOT_ALLOWED, number)
            if kind == CALIBRATED:
                self._calibration.check(number, value)
            self._log.require_room(2 if breaks else 1)
            if breaks:
                self._break()
            self._note(events.CONFIGURATION, parameters.shown(before), parameters.shown(value), number)
            if not self._parameters.set(number, value):
                raise Refusal(codes.STORAGE)
            if kind == CALIBRATED:
                self._calibration.apply(number)
        return self._answer(number, out)

    def close(self, body, out):
        """Refused while the pulse weights and the profile do not agree: detail is the channel."""
        security = self._security
        if not self._keys.provisioned:
            raise Refusal(codes.NOT_READY, 0)
        channel = self._parameters.differs(self._image())
        if channel >= 0:
            raise Refusal(codes.BAD_VALUE, channel)
        if not security.sealed:
            self._log.require_room()
            self._note(events.SEAL_CLOSED, security.seal_counter, security.seal_counter)
            security.sealed = 1
            self._save()
        return self._seal(out)

    def break_(self, body, out):
        if self._security.sealed:
            self._log.require_room()
            self._break()
        return self._seal(out)

    def _known(self, number):
        if number not in TABLE:
            raise Refusal(codes.NOT_FOUND, number)
        return number

    def _answer(self, number, out):
        value = self._parameters.get(number)
        at = messages.PARAMETER_REPLY.pack_into(out, 0, number, TABLE[number][1])
        out[at : at + len(value)] = value
        return at + len(value)

    def _seal(self, out):
        return messages.SEAL_REPLY.pack_into(out, 0, self._security.sealed, self._security.seal_counter)

    def _break(self):
        security = self._security
        self._note(events.SEAL_OPENED, security.seal_counter, security.seal_counter + 1)
        security.sealed = 0
        security.seal_counter += 1
        self._save()

    def _save(self):
        saved = self._security.save()
        self._show()
        if not saved:
            raise Refusal(codes.STORAGE)

    def _note(self, kind, old, new, subject=0):
        """Log first: what is logged and then not done does no harm, what is done and not logged does."""
        if not self._log.log(kind, self._guard.role, old, new, subject):
            raise Refusal(codes.STORAGE)
