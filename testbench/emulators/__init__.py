"""Emulated targets: real MicroPython images on silicon that needs no hardware."""
