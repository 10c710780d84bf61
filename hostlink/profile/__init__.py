"""Emission profiles: from what a person writes to the image a meter runs."""
