# Each goal does its own set-up: a fresh clone needs Python >= 3.11 and `make`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STUBS := $(VENV)/micropython-stubs
ESP32_STUBS := $(VENV)/esp32-stubs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test bench-store torture lint prove bench-device flash-emulated bench-pico pico-suite pico-updates million decades \
  bench-profiles attack bench-trust linked conformance conformance-pico defects healthy noise pico mps2 image clean bench-host fleet

demo: $(READY)
	$(BIN)/tonne demo

# Two at a time or more; a file's tests stay together, for they share a meter.
test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Programs, wear, records held and power-up of a full store, the last on the emulated Pico, too.
bench-store: $(READY) mps2
	$(BIN)/python -m testbench.bench.store --pico

# Power cut at every byte of every flash operation; see docs/store.md.
torture: $(READY)
	$(BIN)/python -m tests.torture

lint: $(READY) $(STUBS) $(ESP32_STUBS)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini
	$(BIN)/mypy --config-file firmware/esp32.ini

# The arithmetic of the device, for all inputs (docs/arithmetic.md).
prove: $(READY)
	$(BIN)/python -m testbench.proof

# Instructions and heap of the device's arithmetic, beside its peers; fails on 5 % more than the committed baseline.
bench-device: $(READY) mps2
	$(BIN)/python -m testbench.bench.device

# `tonne flash` end to end on emulated Picos, an energy chip calibrated, two boards as the laboratory's bench: some ten minutes.
flash-emulated: $(READY) pico
	$(BIN)/python -m pytest -m "" tests/hostlink/test_flash_pico.py tests/hostlink/test_calibrate_pico.py tests/testbench/test_rig_serial.py

# The suites of sessions, seal, statements, updates, power cuts and profiles on the linked application: some minutes.
linked: $(READY) mps2
	$(BIN)/python -m pytest -m "slow or not slow" tests/testbench/test_linked.py

# The whole meter on the emulated Pico: pulses, replies, start, heap, size. Some five minutes.
bench-pico: $(READY) pico
	$(BIN)/python -m testbench.bench.pico

# Store torture, no allocation, exactness, protocol and chips on the emulated Pico, whole: some fifteen minutes of a core.
pico-suite: $(READY) pico
	$(BIN)/python -m pytest -m "slow or not slow" tests/testbench/test_pico_suite.py tests/testbench/test_pico_chips.py

# Updates over the link on the emulated Pico, power cut at every stage: some ten minutes of a core.
pico-updates: $(READY) pico
	$(BIN)/python -m pytest -m slow tests/testbench/test_update_pico.py

# A million random steps over every kind of term, device against replay, on 64 and on 32 bits: some eight minutes.
million: $(READY) mps2
	TONNE_STEPS=1000000 $(BIN)/python -m pytest tests/firmware/test_terms.py tests/firmware/test_mps2.py

# Every ready profile at its highest rate over twenty simulated years, device against exact rationals within the certificate.
decades: $(READY)
	$(BIN)/python -m pytest -m "" tests/testbench/test_certificates.py

# The issue's numbers of profiles: bounds, sizes, times, golden values.
bench-profiles: $(READY)
	$(BIN)/python -m testbench.bench.profiles

# 100,000 mutated, replayed, reordered and forged privileged frames against the real firmware (docs/trust.md).
attack: $(READY)
	$(BIN)/python -m testbench.attack

# What a MAC and a signature cost on an emulated Cortex-M3, the MAC on an emulated Pico, too.
bench-trust: $(READY) pico
	$(BIN)/python -m testbench.bench.trust --pico

# The conformance suites on the demo meter, the report set in out/conformance, and the verdicts again from the captured bytes.
conformance: $(READY)
	$(BIN)/tonne conformance --fresh
	$(BIN)/tonne conformance --replay out/conformance

# A reduced plan on the Pico's own image, emulated, and its verdicts again from the captured bytes: some four minutes.
conformance-pico: $(READY) pico
	$(BIN)/tonne conformance --rig pico --plan reduced --out out/conformance-pico --fresh
	$(BIN)/tonne conformance --replay out/conformance-pico

# The suites against every faulty meter: which check finds it, and the rate; docs/defects.md. Ten to twenty minutes, goes on if interrupted.
defects: $(READY)
	$(BIN)/python -m testbench.defects --table docs/defects.md

# 100 seeded runs on a healthy meter, and how many raise a false alarm: an hour, goes on if interrupted.
healthy: $(READY)
	$(BIN)/python -m testbench.defects.healthy

# A million frames at a bit error rate of 1e-3, both ways: nothing wrong is accepted, every readout completes.
noise: $(READY)
	$(BIN)/python -m testbench.conformance.noise

# MicroPython images of the emulated targets, cached for this user. `image`: the meter's own, firmware frozen in.
pico mps2 image: $(READY)
	$(BIN)/python -m testbench.images $@

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[dev]'
	touch $@

# In a folder of their own: they stand in for the standard library, which the host's checks must not see.
$(STUBS): $(READY)
	$(PIP) --target $@ --upgrade 'micropython-rp2-stubs>=1.25,<2'
	touch $@

$(ESP32_STUBS): $(READY)
	$(PIP) --target $@ --upgrade 'micropython-esp32-stubs>=1.26,<2'
	touch $@

# The host's speed beside peers and the limit: out/bench-host/table.md and plot.png. FULL=--full verifies 10^8 records;
# FULL="--only bulk" runs one part.
bench-host: $(READY)
	$(PIP) --editable '.[bench]'
	$(BIN)/python -m testbench.bench.host $(FULL)

# A fleet of 1000 meters with planted faults: all found, nothing else, the same on Dask.
fleet: $(READY)
	$(BIN)/tonne synthesize -o out/fleet --meters 1000 --days 35 --faults all
	$(BIN)/tonne verify out/fleet --json > out/fleet.json; $(BIN)/python -m testbench.synthesize out/fleet out/fleet.json
	$(BIN)/tonne verify out/fleet --engine dask --json > out/dask.json; $(BIN)/python -m testbench.synthesize out/fleet out/dask.json
	cmp out/fleet.json out/dask.json

clean:
	rm -rf $(VENV) out build
