"""Rigs, references, conformance suites and reports: what proves a meter right, or wrong."""
