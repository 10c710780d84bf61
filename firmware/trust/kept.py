"""Small state that must outlive a power cut: one layout in one journal, read at start and written whole."""

from protocol.layout import Layout


class Kept:
    """The fields of `text` as attributes; `save()` makes what they hold the journal's newest payload."""

    text = ""

    def __init__(self, journal):
        self._journal = journal
        self._layout = Layout(self.text)
        self._names = [field.split("/")[0] for field in self.text.split()]
        latest = journal.latest
        self.fresh = latest is None
        payload = bytes(self._layout.size) if latest is None else bytes(latest)
        for name, value in zip(self._names, self._layout.unpack_from(payload)):
            setattr(self, name, value)

    @classmethod
    def size(cls):
        """Bytes of the payload."""
        return Layout(cls.text).size

    def save(self):
        """Keep the fields: True once they are safe."""
        return self._journal.append(self._layout.pack(*[getattr(self, name) for name in self._names])) is not False


class Keys(Kept):
    """The meter's secrets. `leaf` is the first unused one of its signing key."""

    text = "provisioned/u8 installer/b32 laboratory/b32 manufacturer/b32 update/b60 secret/b32 leaf/u32"
    provisioned = leaf = 0
    installer = laboratory = manufacturer = update = secret = b""


class Security(Kept):
    """What has happened to this meter: its seal, failed proofs in a row, and the lowest version an update may have."""

    text = "sealed/u8 seal_counter/u32 failures/u16 major/u8 minor/u8 patch/u8"
    sealed = seal_counter = failures = major = minor = patch = 0
