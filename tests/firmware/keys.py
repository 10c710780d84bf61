"""What the tests of sessions, seal and statements share: the meter's profile and start, the keys of its roles, a refusal."""

from decimal import Decimal

import pytest

from hostlink.errors import Refused
from hostlink.session import Key
from testbench import attack
from testbench.demo import gas_profile

START = 1_767_225_600
SECRETS = attack.SECRETS
INSTALLER, LABORATORY, MANUFACTURER = (Key(role, secret) for role, secret in SECRETS.items())
IMAGE, _ = gas_profile(Decimal(10))


def refused(code: int) -> "pytest.RaisesContext[Refused]":
    return pytest.raises(Refused, check=lambda error: error.code == code)
