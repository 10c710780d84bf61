"""`python -m testbench.images pico|mps2|image [FROZEN ...]`: build the image if need be and print its path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testbench.errors import ImageUnavailable
from testbench.images import meter_image, mps2_image, pico_image


def main() -> int:
    parser = argparse.ArgumentParser(prog="testbench.images", description="Build a MicroPython image, print its path.")
    parser.add_argument("port", choices=["pico", "mps2", "image"])
    parser.add_argument("frozen", nargs="*", type=Path, help="packages or modules to freeze into the image")
    asked = parser.parse_args()
    try:
        if asked.port == "image":
            print(meter_image(build=True))
        else:
            print({"pico": pico_image, "mps2": mps2_image}[asked.port](asked.frozen, build=True))
    except ImageUnavailable as error:
        print(f"make {asked.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
