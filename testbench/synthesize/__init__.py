"""Synthetic fleets: archives of many meters, seeded, with faults to order and the list of what was planted."""
