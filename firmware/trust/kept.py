"""Small state that must outlive a power cut: one layout in one journal, read at start and written whole."""

from protocol.layout import Layout, field_names

_KEYS = "provisioned/u8 installer/b32 laboratory/b32 manufacturer/b32 update/b60 secret/b32 leaf/u32"
_SECURITY = "sealed/u8 seal_counter/u32 failures/u16 major/u8 minor/u8 patch/u8"


class Kept:
    """The fields of `layout`, `names`, as attributes; `save()` makes what they hold the journal's newest payload."""

    layout = Layout("")
    names = ()  # type: tuple

    def __init__(self, journal):
        self._journal = journal
        latest = journal.latest
        self.fresh = latest is None
        payload = bytes(self.layout.size) if latest is None else bytes(latest)
        for name, value in zip(self.names, self.layout.unpack_from(payload)):
            setattr(self, name, value)

    def save(self):
        """Keep the fields: True once they are safe."""
        return self._journal.append(self.layout.pack(*[getattr(self, name) for name in self.names])) is not False


class Keys(Kept):
    """The meter's secrets. `leaf` is the first unused one of its signing key."""

    layout = Layout(_KEYS)
    names = field_names(_KEYS)
    provisioned = leaf = 0
    installer = laboratory = manufacturer = update = secret = b""


class Security(Kept):
    """What has happened to this meter: its seal, failed proofs in a row, and the lowest version an update may have."""

    layout = Layout(_SECURITY)
    names = field_names(_SECURITY)
    sealed = seal_counter = failures = major = minor = patch = 0
