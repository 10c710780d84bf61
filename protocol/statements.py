"""The statement: what a meter says once a day under its signature, so that a third party needs its public key alone.

    statement = PAYLOAD | the interval record that ends the period | HSS signature (RFC 8554) of both

The record brings the registers at the period's end; `record_head` is the whole head of the record chain behind it.
"""

from .layout import Layout

MAGIC = b"TNST"
FORMAT = 1

PAYLOAD = Layout(
    "magic/b4 format/u8 sequence/u32 leaf/u32 serial/b16 start/u32/s end/u32/s made/u32/s first/u32 next/u32 record_head/b32"
    " profile/b32 major/u8 minor/u8 patch/u8 software/b32 sealed/u8 seal_counter/u32 parameters/b32"
    " ordinary_next/u32 ordinary_head/b32 legal_next/u32 legal_head/b32"
    " channels/u8 conditions/u8 registers/u8 record_size/u16"
)
"""`sequence` counts statements without a gap; `leaf` is that of the signature. The period goes from the end of the statement
before to `end`, the end of its last record; `made` is when it was made. `first` and `next - 1` are the records of the
period. `parameters` is `protocol.parameters.digest`. The event logs have so many entries and end with that link."""
