"""The host's speed, against peers and the limit in one run: `python -m testbench.bench.host [--full]`."""
