"""Key files: what they give, what they refuse, and that their secrets stay in them."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hostlink import lms, update
from hostlink.cli import app
from hostlink.errors import UsageError
from hostlink.flash.compile import pico_application
from hostlink.keys import KeyFile
from testbench.micropython import device_root

WORDS = "correct horse"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    monkeypatch.setattr("hostlink.keys.UPDATE_HEIGHT", 5)
    return KeyFile.new(tmp_path / "maker.keys", WORDS)


def test_a_file_opens_again_with_its_passphrase_only(keys: KeyFile) -> None:
    again = KeyFile.open(keys.path, WORDS)
    assert again.key("installer", "A") == keys.key("installer", "A")
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="does not open"):
        KeyFile.open(keys.path, "wrong")
    data = bytearray(keys.path.read_bytes())
    data[-20] ^= 1
    keys.path.write_bytes(data)
    with pytest.raises(UsageError, match="or the file was altered"):
        KeyFile.open(keys.path, WORDS)


def test_what_is_no_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tonne keys new"):
        KeyFile.open(tmp_path / "none", WORDS)
    (tmp_path / "text").write_text("hello\nworld\nagain\n")
    with pytest.raises(UsageError, match="begins with 'TONNE KEYS 1'"):
        KeyFile.open(tmp_path / "text", WORDS)
    with pytest.raises(UsageError, match="an empty one"):
        KeyFile.new(tmp_path / "empty", "")
    with pytest.raises(UsageError, match="'boss'"):
        KeyFile.new(tmp_path / "boss", WORDS, ["boss"])


def test_nothing_is_overwritten_and_nothing_secret_shows(keys: KeyFile) -> None:
    with pytest.raises(UsageError, match="nothing was overwritten"):
        KeyFile.new(keys.path, WORDS)
    secret = keys.key("manufacturer", "A").secret
    shown = repr(keys) + json.dumps(keys.public()) + repr(keys.key("manufacturer", "A"))
    assert secret.hex() not in shown
    assert secret not in keys.path.read_bytes()


def test_every_meter_role_and_rotation_has_its_own_key(keys: KeyFile) -> None:
    found = {
        keys.key(role, serial, times).secret
        for role in ("installer", "laboratory", "manufacturer")
        for serial in ("A", "B")
        for times in (0, 1)
    }
    assert len(found) == 12
    keys.rotated("installer", "A", 1)
    keys.save()
    again = KeyFile.open(keys.path, WORDS)
    assert again.key("installer", "A") == keys.key("installer", "A", 1) != keys.key("installer", "A", 0)
    assert again.key("installer", "B") == keys.key("installer", "B", 0)


def test_a_file_handed_out_holds_no_more_than_it_should(keys: KeyFile, tmp_path: Path) -> None:
    keys.remember("A", bytes(60))
    one = keys.hand_out(tmp_path / "one.keys", "other", "installer", ["A"])
    assert one.key("installer", "A") == keys.key("installer", "A")
    for role, serial in (("installer", "B"), ("laboratory", "A")):
        with pytest.raises(UsageError, match="has masters of: none"):
            one.key(role, serial)
    with pytest.raises(UsageError, match="cannot sign update packages"):
        one.update_key()
    every = keys.hand_out(tmp_path / "all.keys", "other", "laboratory")
    assert every.key("laboratory", "Z") == keys.key("laboratory", "Z")
    assert every.highest("Z") == "laboratory"
    assert every.publics == {"A": bytes(60)}
    with pytest.raises(UsageError, match="name serial numbers"):
        one.hand_out(tmp_path / "more.keys", "other", "installer")


def test_another_public_key_for_a_known_meter_is_an_error(keys: KeyFile) -> None:
    keys.remember("A", bytes(60))
    keys.remember("A", bytes(60))
    with pytest.raises(UsageError, match="meter A shows key"):
        keys.remember("A", b"\1" * 60)


def test_the_signing_key_never_goes_back(keys: KeyFile) -> None:
    signer = keys.update_key()
    first = signer.sign(b"package")
    keys.keep_update_key(signer)
    again = KeyFile.open(keys.path, WORDS).update_key()
    assert again.next_leaf == 1
    assert again.sign(b"package") != first
    lms.verify(again.public, b"package", first)


def test_a_package_for_a_pico_is_its_compiled_application(
    keys: KeyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNE_PASSPHRASE", WORDS)
    out = tmp_path / "package.bin"
    root = str(device_root())
    arguments = ["update", "build", root, str(out), "--hardware", "pico", "--keys", str(keys.path), "--least", "0.1.0"]
    done = CliRunner().invoke(app(), arguments)
    assert done.exit_code == 0, done.output
    package = update.read(out.read_bytes(), keys.update_public)
    assert (package.hardware, package.version, package.least) == ("pico", (0, 1, 0), (0, 1, 0))
    assert package.files == pico_application()
