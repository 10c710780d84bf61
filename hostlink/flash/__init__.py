"""Boards made meters: found, flashed, provisioned, calibrated, tested, and recorded, several at once."""
