"""Starts the unix board from one of two slots: the only program that an update does not replace.

micropython firmware/boards/unix_boot.py CONFIG.json
"""

import json
import sys


def main(path):
    sys.path.insert(0, __file__.rsplit("/", 1)[0])
    import slots  # type: ignore[import-not-found]

    with open(path) as file:
        folder = json.load(file)["slots"]
    root = folder + "/" + (slots.choose(folder) or slots.NAMES[0])
    sys.path.pop(0)
    del sys.modules["slots"]
    names = {"__name__": "board"}  # type: dict
    with open(root + "/firmware/boards/unix.py") as file:
        exec(file.read(), names)
    names["main"](path, root)


main(sys.argv[1])
