"""The contract between a meter and its host. Runs unchanged on MicroPython and CPython, opens nothing, waits for nothing."""
