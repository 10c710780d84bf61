"""Field tables: a message's fields declared once, as text, read by device and host alike.

    Layout("time/u32/s status/u16 volume/u48/register")

Each field is `name/type` or `name/type/unit`. Types: `u8 i8 u16 i16 u32 i32 u48 u64`, `bN` for N raw bytes, and `fx128`
for an accumulator (`protocol.registers`), 16 raw bytes to the device. All are little-endian and unaligned. The device packs with
`struct`; the host derives its `construct` description and its NumPy dtype from the same text (`hostlink.tables`).
"""

import struct

_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u48": "IH", "u64": "Q", "fx128": "16s"}


PARSES = True
"""False in a linked application: there every table has become the code of `struct`."""


def field_names(text):
    """The names of the fields of `text`."""
    return tuple([field.split("/")[0] for field in text.split()])


def struct_code(text):
    """`struct`'s code for the fields of `text`, and which of the values are split in two (u48)."""
    code = "<"
    wide = []
    for at, field in enumerate(text.split()):
        kind = field.split("/")[1]
        code += kind[1:] + "s" if kind[0] == "b" else _CODES[kind]
        if kind == "u48":
            wide.append(at)
    return code, tuple(wide)


class Layout:
    """One message body, or one entry of a message's list. `size` in bytes; values in the order of the fields.

    Linked for a device, `text` is the code that `struct` has for the fields, and `wide` says which values are split in two.
    """

    def __init__(self, text, wide=()):
        self.text = text
        self.code = text
        self._wide = wide
        if PARSES:
            self.code, self._wide = struct_code(text)
        self.size = struct.calcsize(self.code)

    def pack_into(self, buffer, at, *values):
        """Write `values` at `buffer[at:]`; returns the offset behind them."""
        if self._wide:
            split = list(values)
            for field in reversed(self._wide):
                value = split[field]
                split[field : field + 1] = [value & 0xFFFFFFFF, value >> 32]
            values = tuple(split)
        struct.pack_into(self.code, buffer, at, *values)
        return at + self.size

    def pack(self, *values):
        """The fields as bytes."""
        buffer = bytearray(self.size)
        self.pack_into(buffer, 0, *values)
        return bytes(buffer)

    def unpack_from(self, buffer, at=0):
        """The field values at `buffer[at:]` as a tuple."""
        values = struct.unpack_from(self.code, buffer, at)
        if self._wide:
            joined = list(values)
            for field in self._wide:
                joined[field : field + 2] = [joined[field] | joined[field + 1] << 32]
            values = tuple(joined)
        return values
