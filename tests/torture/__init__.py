"""Power cuts at every byte of every flash operation. What runs here runs on MicroPython too."""
