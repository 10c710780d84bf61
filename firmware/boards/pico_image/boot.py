"""Stands in for any boot.py on the files: they hold data, never code."""
