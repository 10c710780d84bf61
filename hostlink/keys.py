"""Key files: the secrets of a manufacturer, laboratory or installer, encrypted under a passphrase.

A file holds a master secret for each role its owner plays. A meter's key follows from the master, the meter's serial
number and how often that key was rotated, so forty boards need one file and one lost board gives nothing away about the
others. Encryption is `cryptography`'s Fernet under a key that scrypt (RFC 7914) makes of the passphrase.
"""

import base64
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hostlink.errors import UsageError
from hostlink.lms import PrivateKey, fingerprint
from hostlink.meter import Meter
from hostlink.session import Key, Privileged
from protocol import session

HEADING = b"TONNE KEYS 1"
COST = 1 << 15
"""scrypt's N; with r 8 and p 1 it takes 32 MiB and a tenth of a second."""
SALT_SIZE = 16
UPDATE_HEIGHT = 10
ROLES = {name: role for role, name in session.ROLES.items() if role}


class KeyFile:
    """The keys in a file. `save` after every change; the signing key's next leaf is one.

    Methods raise UsageError for what cannot be used as given.
    """

    def __init__(self, path: Path, passphrase: str, content: dict[str, Any]) -> None:
        self.path = path
        self._passphrase = passphrase
        self._content = content
        self._salt = secrets.token_bytes(SALT_SIZE)

    def __repr__(self) -> str:
        return f"KeyFile({self.path}: {', '.join(self.roles)})"

    @classmethod
    def new(cls, path: Path, passphrase: str, roles: Iterable[str] = tuple(ROLES)) -> Self:
        """Fresh secrets for `roles`, saved. A manufacturer's file also gets a key that signs update packages."""
        if path.exists():
            raise UsageError(f"expected a new file, {path} is there already; nothing was overwritten")
        if not passphrase:
            raise UsageError("expected a passphrase, got an empty one")
        masters = {}
        for role in roles:
            _number(role)
            masters[role] = secrets.token_hex(session.KEY_SIZE)
        content: dict[str, Any] = {"masters": masters, "keys": {}, "rotations": {}, "public": {}}
        if "manufacturer" in masters:
            secret = secrets.token_bytes(32)
            public = PrivateKey(secret, UPDATE_HEIGHT).public
            content["update"] = {"secret": secret.hex(), "height": UPDATE_HEIGHT, "next": 0, "public": public.hex()}
        made = cls(path, passphrase, content)
        made.save()
        return made

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Decrypt a file."""
        try:
            heading, salt, token = path.read_bytes().split(b"\n", 2)
        except FileNotFoundError:
            raise UsageError(f"expected a key file, {path} does not exist; `tonne keys new` makes one") from None
        except (OSError, ValueError):
            raise UsageError(f"expected a key file, {path} is none") from None
        if heading != HEADING:
            raise UsageError(f"expected a key file that begins with {HEADING.decode()!r}, {path} does not")
        try:
            content = json.loads(_cipher(passphrase, base64.b64decode(salt)).decrypt(token.strip()))
        except (InvalidToken, ValueError):
            raise UsageError(f"the passphrase does not open {path}, or the file was altered") from None
        return cls(path, passphrase, content)

    def save(self) -> None:
        """Write the file anew: whole or not at all, readable by its owner only."""
        token = _cipher(self._passphrase, self._salt).encrypt(json.dumps(self._content).encode())
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            fresh.touch(stat.S_IRUSR | stat.S_IWUSR)
            with fresh.open("wb") as file:
                file.write(b"\n".join((HEADING, base64.b64encode(self._salt), token)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}; nothing was changed") from None

    @property
    def roles(self) -> list[str]:
        """The roles that this file has a master secret for."""
        return list(self._content["masters"])

    def key(self, role: str, serial: str, rotations: int | None = None) -> Key:
        """The key of `role` for one meter, as rotated so often, by default as often as this file knows."""
        number = _number(role)
        given = self._content["keys"].get(serial, {}).get(role)
        if given and rotations is None:
            return Key(number, bytes.fromhex(given))
        master = self._content["masters"].get(role)
        if master is None:
            held = ", ".join(self.roles) or "none"
            raise UsageError(f"expected the key of the {role} for {serial}, {self.path} has masters of: {held}")
        times = self.rotations(role, serial) if rotations is None else rotations
        data = b"tonne meter key" + serial.encode() + b"\0" + times.to_bytes(4, "little")
        return Key(number, hmac.digest(bytes.fromhex(master), data, "sha256"))

    def highest(self, serial: str) -> str:
        """The most powerful role that this file can play towards a meter."""
        for role in reversed(ROLES):
            if role in self.roles or role in self._content["keys"].get(serial, {}):
                return role
        raise UsageError(f"expected a key for {serial}, {self.path} has none")

    def rotations(self, role: str, serial: str) -> int:
        """How often the key of `role` was rotated on a meter."""
        return self._content["rotations"].get(serial, {}).get(role, 0)

    def rotated(self, role: str, serial: str, times: int) -> None:
        """Note that a meter's key of `role` was rotated so often."""
        self._content["rotations"].setdefault(serial, {})[role] = times

    @property
    def publics(self) -> dict[str, bytes]:
        """The public keys of meters, by serial number."""
        return {serial: bytes.fromhex(public) for serial, public in self._content["public"].items()}

    def remember(self, serial: str, public: bytes) -> None:
        """Note the public key that a meter's statements are verified with. Another one for a known meter is an error."""
        known = self.publics.get(serial)
        if known not in (None, public):
            raise UsageError(f"meter {serial} shows key {fingerprint(public)}, {self.path} knows {fingerprint(known)}")
        self._content["public"][serial] = public.hex()

    @property
    def update_public(self) -> bytes:
        """The public key that a meter verifies update packages with."""
        return bytes.fromhex(self._update()["public"])

    def update_key(self) -> PrivateKey:
        """The manufacturer's signing key, seconds to make; `keep_update_key` before a signature is given away."""
        held = self._update()
        return PrivateKey(bytes.fromhex(held["secret"]), held["height"], held["next"])

    def _update(self) -> dict[str, Any]:
        if "update" not in self._content:
            raise UsageError(f"expected the manufacturer's key file, {self.path} cannot sign update packages")
        return self._content["update"]

    def keep_update_key(self, key: PrivateKey) -> None:
        """Save how far the signing key has been used."""
        self._content["update"]["next"] = key.next_leaf
        self.save()

    def hand_out(self, path: Path, passphrase: str, role: str, serials: Iterable[str] = ()) -> "KeyFile":
        """A new file for somebody who plays `role`: for all meters, or for those named, then without the master."""
        if path.exists():
            raise UsageError(f"expected a new file, {path} is there already; nothing was overwritten")
        named = list(serials)
        keys = {serial: {role: self.key(role, serial).secret.hex()} for serial in named}
        if not named and role not in self._content["masters"]:
            raise UsageError(f"expected a master secret of the {role}, {self.path} has none; name serial numbers")
        masters = {} if named else {role: self._content["masters"][role]}
        kept = {s: {role: r[role]} for s, r in self._content["rotations"].items() if role in r and not named}
        public = {s: p for s, p in self._content["public"].items() if not named or s in named}
        made = KeyFile(path, passphrase, {"masters": masters, "keys": keys, "rotations": kept, "public": public})
        made.save()
        return made

    def public(self) -> dict[str, Any]:
        """What may be shown to everybody: fingerprints of the masters, and the public keys."""
        found: dict[str, Any] = {
            "masters": {
                role: hmac.digest(bytes.fromhex(master), b"tonne fingerprint", "sha256").hex()[:16]
                for role, master in self._content["masters"].items()
            },
            "meters": {serial: public.hex() for serial, public in sorted(self.publics.items())},
        }
        if "update" in self._content:
            held = self._update()
            found["update"] = {"public": held["public"], "signatures_left": (1 << held["height"]) - held["next"]}
        return found


def enter(meter: Meter, keys: KeyFile, role: str | None = None) -> Privileged:
    """A session as `role`, by default the most powerful that the file can play, for `with`.

    If a rotation was cut off, the meter may still have the key before: it is tried too. Raises UsageError, LinkError.
    """
    serial = meter.identify().serial
    acting = role or keys.highest(serial)
    times = keys.rotations(acting, serial)
    fallback = keys.key(acting, serial, times - 1) if times else None
    return Privileged(meter, keys.key(acting, serial), fallback)


def _number(role: str) -> int:
    if role not in ROLES:
        raise UsageError(f"expected one of {', '.join(ROLES)}, got {role!r}")
    return ROLES[role]


def _cipher(passphrase: str, salt: bytes) -> Fernet:
    derived = Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
