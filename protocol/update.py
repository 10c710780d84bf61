"""The update package: firmware as the manufacturer signed it.

    HEADER | signature_size u16 | HSS signature (RFC 8554) of HEADER | for each file ENTRY, name, content

`content` in HEADER is the SHA-256 of everything behind the signature, so the signature covers every file.
"""

from .layout import Layout

MAGIC = b"TNUP"
FORMAT = 1
LARGEST = 1 << 20

HEADER = Layout(
    "magic/b4 format/u16 hardware/b12 major/u8 minor/u8 patch/u8 least_major/u8 least_minor/u8 least_patch/u8"
    " files/u16 content/b32"
)
"""`hardware` as IDENTIFY tells it. Once the update has proved healthy, nothing below `least` is taken any more."""
SIGNATURE = Layout("size/u16")
ENTRY = Layout("size/u32 name_size/u8")


def is_safe(name):
    """Whether a file's name stays within its slot: a relative path of plain parts."""
    parts = name.split("/")
    return all(part and part != "." and part != ".." and "\\" not in part and ":" not in part for part in parts)
