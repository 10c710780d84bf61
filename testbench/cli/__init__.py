"""Subcommands of `tonne` that need the test bench."""
