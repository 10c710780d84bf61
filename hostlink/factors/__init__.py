"""The factor library: emission factors and gas data as published, each with unit, 95 % bounds, source and place.

Facts only, in `data/*.csv`. An id never changes its meaning: a standard's new edition is a new set with ids of its own, and
sets that disagree stand side by side.
"""

from hostlink.factors.library import Composition, Entry, composition, compositions, entries, entry, gwp_sets, search

__all__ = ["Composition", "Entry", "composition", "compositions", "entries", "entry", "gwp_sets", "search"]
