"""First module of the meter's image (`make image`): mounts the files, formats them where there are none. No boot.py after it."""

import micropython

micropython.kbd_intr(-1)  # without its files a meter takes itself for a new board, whose prompt is open

import rp2  # noqa: E402
import vfs  # noqa: E402

flash = rp2.Flash(start=8192, len=385024)
try:
    files = vfs.VfsLfs2(flash, progsize=256)
except OSError:
    vfs.VfsLfs2.mkfs(flash, progsize=256)
    files = vfs.VfsLfs2(flash, progsize=256)
vfs.mount(files, "/")
