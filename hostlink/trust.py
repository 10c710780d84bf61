"""The part of the typed client that keys guard: provisioning, rotation, parameters, seal."""

import secrets
from dataclasses import dataclass
from typing import Any

from hostlink.errors import DataError, NoReply, UsageError
from hostlink.session import Session
from hostlink.tables import body_values, values
from protocol import messages, parameters
from protocol.lms import HSS_PUBLIC_SIZE


@dataclass(frozen=True)
class Trust:
    """Keys, session and seal of a meter; `public` verifies its statements, zeros until it is made."""

    provisioned: int
    role: int
    failures: int
    locked: int
    refused_macs: int
    sealed: int
    seal_counter: int
    levels: int
    signatures_left: int
    public: bytes


@dataclass(frozen=True)
class Parameter:
    """One parameter: its number and class (`protocol.parameters`), its name, its value by field, and as bytes."""

    number: int
    kind: int
    name: str
    fields: dict[str, Any]
    raw: bytes


class TrustClient:
    """What `hostlink.meter.Meter` says and does about trust. Methods raise LinkError and DataError."""

    session: Session | None

    def ask(self, message: int, body: bytes = b"", *, timeout: float | None = None, retries: int = 3) -> bytes:
        """Send one request; the reply's body."""
        raise NotImplementedError

    def trust(self) -> Trust:
        """Keys, session, seal and signing key: what the meter says of them."""
        return Trust(**body_values(messages.TRUST_REPLY, self.ask(messages.TRUST), "trust"))

    def provision(
        self,
        installer: bytes,
        laboratory: bytes,
        manufacturer: bytes,
        update: bytes = bytes(HSS_PUBLIC_SIZE),
        entropy: bytes | None = None,
    ) -> Trust:
        """Give a factory-new meter its keys (32 bytes each) and the HSS public key of its updates. Once; else Refused."""
        entropy = secrets.token_bytes(32) if entropy is None else entropy
        body = messages.KEYS_PROVISION_REQUEST.pack(installer, laboratory, manufacturer, update, entropy)
        return Trust(**body_values(messages.TRUST_REPLY, self.ask(messages.KEYS_PROVISION, body, retries=0), "trust"))

    def rotate_key(self, role: int, key: bytes, attempts: int = 3) -> None:
        """Replace the key of `role`, at most that of the open session, with `key`, which travels hidden. Raises Refused."""
        if self.session is None:
            raise UsageError("expected an open session: a key is rotated by who holds it, or a role above it")
        for attempt in range(attempts):
            try:
                body = messages.KEY_ROTATE_REQUEST.pack(role, self.session.cover(role, key))
                self.ask(messages.KEY_ROTATE, body, retries=0)
                return
            except NoReply:
                if attempt + 1 == attempts:
                    raise

    def parameter(self, number: int) -> Parameter:
        """The parameter of that number. Raises Refused (not found)."""
        return _parameter(self.ask(messages.PARAMETER_GET, messages.PARAMETER_REQUEST.pack(number)))

    def parameters(self) -> list[Parameter]:
        """All parameters that this host knows."""
        return [self.parameter(number) for number in sorted(parameters.TABLE)]

    def set_parameter(self, number: int, *fields: Any) -> Parameter:
        """Set a parameter; its value as the meter then has it. Raises Refused (sealed, not allowed)."""
        body = messages.PARAMETER_REQUEST.pack(number) + parameters.TABLE[number][0].pack(*fields)
        return _parameter(self.ask(messages.PARAMETER_SET, body))

    def close_seal(self) -> int:
        """Seal the meter; how often the seal was broken so far. Raises Refused (bad value: channel with another weight)."""
        return body_values(messages.SEAL_REPLY, self.ask(messages.SEAL_CLOSE), "seal")["counter"]

    def break_seal(self) -> int:
        """Break the seal; how often it was broken, this time included. Raises Refused."""
        return body_values(messages.SEAL_REPLY, self.ask(messages.SEAL_BREAK), "seal")["counter"]


def _parameter(body: bytes) -> Parameter:
    head = body_values(messages.PARAMETER_REPLY, body, "parameter", rest=True)
    number = head["number"]
    raw = body[messages.PARAMETER_REPLY.size :]
    if number not in parameters.TABLE or len(raw) != parameters.TABLE[number][0].size:
        raise DataError(f"expected a parameter that this host knows, got number {number} of {len(raw)} bytes")
    return Parameter(number, head["kind"], parameters.name_of(number), values(parameters.TABLE[number][0], raw), raw)
