"""Two slots of firmware in two folders, and the file that says which one runs. Imports nothing of ours: the boot program
must run whatever is in the slots.

`boot.json` is replaced whole (a rename is atomic on littlefs and POSIX): `active` slot, "" for what was there at the factory;
`trial`, the slot on trial, or ""; `tries` starts that the trial has left; `failed`, the tag of a trial that did not prove
healthy; `tag`, `before`, `least` of the newest update; `kept`: that it was kept has still to be told; `factory`: what was there
at the factory when the slots were filled.
"""

import json
import os

NAMES = ("a", "b")
TRIES = 3
"""Starts that a trial is given: a power cut within it is not held against it at once."""
FRESH = {
    "active": "", "trial": "", "tries": 0, "failed": "", "tag": "", "before": "", "least": [0, 0, 0], "kept": False
}
SYNCED = 4096
"""Bytes of a package between two that are safe from a power cut: a block of the Pico's flash, erased once each."""


def load(folder):
    """The state kept in `folder`."""
    try:
        with open(folder + "/boot.json") as file:
            return json.load(file)
    except (OSError, ValueError):
        return dict(FRESH)


def save(folder, state):
    """Replace the state in `folder`."""
    with open(folder + "/boot.new", "w") as file:
        json.dump(state, file)
        file.flush()
    os.rename(folder + "/boot.new", folder + "/boot.json")


def choose(folder, factory=""):
    """The slot to start, counted: the one on trial while it has tries left, else the active one again.

    `factory` names what is there without a slot: if that is another than before, a new image came onto the board, and it starts.
    """
    state = load(folder)
    if state.get("factory", factory) != factory:
        state = dict(FRESH)
        state["factory"] = factory
        save(folder, state)
    state["factory"] = factory
    if state["trial"]:
        if state["tries"] > 0:
            state["tries"] -= 1
            save(folder, state)
            return state["trial"]
        state["failed"] = state["tag"]
        state["trial"] = ""
        save(folder, state)
    return state["active"]


class Slots:
    """The slots as the running firmware sees them; `running` is the slot it came from."""

    def __init__(self, folder, running):
        self.folder = folder
        self.running = running
        self.state = load(folder)
        self.size = self.received = 0
        self.digest = b""
        self._file = None
        self._resume()

    @property
    def on_trial(self):
        """What runs has still to prove itself."""
        return self.running != "" and self.state["trial"] == self.running

    @property
    def spare(self):
        """The folder of the slot that does not run."""
        return self.folder + "/" + NAMES[self.running == NAMES[0]]

    @property
    def package(self):
        """The file that a package comes into."""
        return self.folder + "/incoming.bin"

    def begin(self, size, digest):
        """Expect a package; going on with the one that was begun if it is the same."""
        if (size, digest) == (self.size, self.digest):
            return
        make_folders(self.folder, "incoming.json")
        self.drop()
        with open(self.folder + "/incoming.json", "w") as file:
            json.dump([size, digest.hex()], file)
        self.size, self.digest = size, digest

    def write(self, data):
        """Append `data`."""
        if self._file is None:
            self._file = open(self.package, "ab")
        self._file.write(data)
        if self.received // SYNCED != (self.received + len(data)) // SYNCED:
            self._file.flush()
        self.received += len(data)
        if self.received == self.size:
            self.close()

    def close(self):
        """All that was received is in the file."""
        file = self._file
        self._file = None
        if file is not None:
            file.close()

    def drop(self):
        """Forget what is on its way."""
        try:
            self.close()
        except OSError:
            pass
        for name in ("incoming.json", "incoming.bin"):
            try:
                os.remove(self.folder + "/" + name)
            except OSError:
                pass
        self.size = self.received = 0
        self.digest = b""

    def clear(self):
        """Empty the slot that does not run."""
        remove(self.spare)
        os.mkdir(self.spare)

    def arm(self, tag, before, least):
        """Let the slot that does not run be tried from the next start on."""
        self.state = load(self.folder)
        trial = NAMES[self.running == NAMES[0]]
        self.state.update({"trial": trial, "tries": TRIES, "failed": "", "kept": False})
        self.state.update({"tag": tag, "before": before, "least": least})
        self.state["active"] = self.running
        save(self.folder, self.state)
        self.drop()

    def commit(self):
        """What runs has proved healthy: it is the active one from now on."""
        self.state["active"] = self.running
        self.state["trial"] = ""
        self.state["kept"] = True
        save(self.folder, self.state)

    def told(self):
        """How the trial ended has been told."""
        self.state["failed"] = ""
        self.state["kept"] = False
        save(self.folder, self.state)

    def _resume(self):
        try:
            with open(self.folder + "/incoming.json") as file:
                size, digest = json.load(file)
            self.size, self.digest = size, bytes.fromhex(digest)
            self.received = os.stat(self.package)[6]
        except (OSError, ValueError):
            self.received = 0
        if self.received > self.size:
            self.drop()


def make_folders(root, name):
    """Make folder `root` and the folders above file `name` below it."""
    path = root
    for part in name.split("/"):
        try:
            os.mkdir(path)
        except OSError:
            pass
        path += "/" + part


def remove(path):
    """Remove a folder and all in it, if it is there."""
    try:
        entries = os.listdir(path)
    except OSError:
        return
    for name in entries:
        inner = path + "/" + name
        if os.stat(inner)[0] & 0x4000:
            remove(inner)
        else:
            os.remove(inner)
    os.rmdir(path)
