"""libmbus, the M-Bus decoder in C, as a peer: built for this measurement from the source that the npm package node-mbus carries.

libmbus is under a BSD licence (Raditex AB and contributors); nothing of it is kept.
"""

import ctypes
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

PACKAGE = "node-mbus@2.2.6"
SECONDS = 120
PARTS = ("mbus-protocol", "mbus-protocol-aux", "mbus-serial", "mbus-tcp")
LOOP = """
#include <string.h>
#include "mbus-protocol.h"
#include "mbus-protocol-aux.h"

int decode(unsigned char *data, size_t size, int count) {
    int records = 0;
    for (int n = 0; n < count; n++) {
        mbus_frame frame;
        mbus_frame_data values;
        memset(&frame, 0, sizeof frame);
        memset(&values, 0, sizeof values);
        if (mbus_parse(&frame, data, size) != 0 || mbus_frame_data_parse(&frame, &values) != 0) return -1;
        for (mbus_data_record *each = values.data_var.record; each; each = each->next) {
            mbus_record *record = mbus_parse_variable_record(each);
            records += record != NULL;
            mbus_record_free(record);
        }
        mbus_data_record_free(values.data_var.record);
    }
    return records;
}
"""


def build(folder: Path) -> Callable[[bytes, int], int]:
    """Fetch and compile in `folder`: a function of a frame and a number of times, each time to records with value and unit,
    that gives how many records there were. Raises OSError with the reason if this machine cannot."""
    npm, compiler = shutil.which("npm"), shutil.which("cc")
    if not npm or not compiler:
        raise OSError("expected npm and a C compiler")
    _do([npm, "pack", "--silent", PACKAGE], folder)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    source = folder / "package/libmbus"
    (source / "loop.c").write_text(LOOP)
    parts = [f"mbus/{part}.c" for part in PARTS]
    _do([compiler, "-O2", "-w", "-shared", "-fPIC", "-I.", "-Imbus", "-o", "peer.so", "loop.c", *parts, "-lm"], source)
    call = ctypes.CDLL(str(source / "peer.so")).decode
    call.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    return lambda data, count: int(call(data, len(data), count))


def _do(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.CalledProcessError as error:
        raise OSError(f"{Path(command[0]).name} failed: {error.stderr.strip()[:200]}") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{Path(command[0]).name} took more than {SECONDS} s") from None
