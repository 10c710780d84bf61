# boot.py: mount the meter's files, blocks 2 to 95 (firmware/boards/pico_flash.py). At most 512 bytes.
import rp2
import vfs

b = rp2.Flash(start=8192, len=385024)
try:
    f = vfs.VfsLfs2(b, progsize=256)
except OSError:
    vfs.VfsLfs2.mkfs(b, progsize=256)
    f = vfs.VfsLfs2(b, progsize=256)
vfs.umount("/")
vfs.mount(f, "/")
