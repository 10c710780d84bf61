"""What a station is told for the boards of these tests."""

from hostlink.flash.plan import Plan
from testbench import series as measured
from testbench.demo import gas_profile
from testbench.rigs.pico import board_config, boot_file

PROFILE, _ = gas_profile(measured.CUBIC_FOOT)
CONFIG = {key: value for key, value in board_config().items() if key != "serial"}


def plan(**changed: object) -> Plan:
    given: dict = {"application": {}, "boot": boot_file(), "profile": PROFILE, "config": CONFIG, "pattern": "TN-{:06d}"}
    return Plan(**given | changed)
