"""Images: UF2, ROMFS, compiled packages, the cache's answers when there is no image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostlink.errors import CompileError
from hostlink.flash.compile import compile_packages
from hostlink.flash.linker.shorten import known
from testbench import images
from testbench.errors import ImageUnavailable
from testbench.images import manifest, mps2_image, pico_image, uf2
from testbench.images.mpy import romfs

FLASH_SIZE = 4096


@given(st.binary(min_size=1, max_size=FLASH_SIZE - 256))
def test_uf2_brings_a_flash_image_back(image: bytes) -> None:
    flash = bytearray(b"\xff" * FLASH_SIZE)
    uf2.write_flash(uf2.from_bin(image), flash)
    padded = image.ljust(-(-len(image) // 256) * 256, b"\0")
    assert flash == padded.ljust(FLASH_SIZE, b"\xff")


def test_uf2_refuses_what_is_not_for_this_chip() -> None:
    good = uf2.from_bin(b"meter")
    other_family = good[:28] + b"\x00\x00\x00\x01" + good[32:]
    outside = good[:12] + b"\x00\x00\x00\x20" + good[16:]
    for bad, said in [(b"", "0 bytes"), (good[:-1], "blocks of 512"), (b"\0" * 512, "magic"),
                      (other_family, "another chip"), (outside, "outside")]:  # fmt: skip
        flash = bytearray(FLASH_SIZE)
        with pytest.raises(ValueError, match=said):
            uf2.write_flash(bad, flash)
        assert flash == bytes(FLASH_SIZE)


def test_frozen_packages_are_named_in_the_manifest(tmp_path: Path) -> None:
    package = tmp_path / "pulse"
    package.mkdir()
    module = tmp_path / "main.py"
    text = manifest("pico", [package, module])
    assert 'freeze("$(PORT_DIR)/modules")' in text
    assert f"package('pulse', base_path={str(tmp_path)!r}, opt=3)" in text
    assert f"module('main.py', base_path={str(tmp_path)!r}, opt=3)" in text


def test_a_missing_image_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PICO_UF2", raising=False)
    monkeypatch.delenv("MPS2_ELF", raising=False)
    with pytest.raises(ImageUnavailable, match=r"run `make pico` .*PICO_UF2=path"):
        pico_image()
    with pytest.raises(ImageUnavailable, match=r"run `make mps2` .*MPS2_ELF=path"):
        mps2_image()


def test_a_named_image_is_used_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = tmp_path / "downloaded.uf2"
    monkeypatch.setenv("PICO_UF2", str(image))
    with pytest.raises(ImageUnavailable, match=r"PICO_UF2 names .*downloaded.uf2, which is not a file"):
        pico_image()
    image.write_bytes(uf2.from_bin(b"x"))
    assert pico_image() == image


def test_an_image_that_cannot_be_built_says_why_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MPS2_ELF", raising=False)
    with pytest.raises(ImageUnavailable) as caught:
        mps2_image(build=True)
    assert "\n" not in str(caught.value) and "cannot build the mps2 image" in str(caught.value)


def test_what_cannot_be_frozen_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailable, match=r"cannot freeze .*nothing"):
        pico_image([tmp_path / "nothing"])


def test_packages_compile_for_the_board_and_keep_their_paths(tmp_path: Path) -> None:
    package = tmp_path / "meter"
    (package / "drivers").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "drivers" / "pulse.py").write_text("@micropython.viper\ndef f(x: int) -> int:\n    return x + 1\n")
    files = compile_packages([package], "armv6m")
    assert list(files) == ["meter/__init__.mpy", "meter/drivers/pulse.mpy"]
    assert files["meter/drivers/pulse.mpy"] != compile_packages([package], "armv7m")["meter/drivers/pulse.mpy"]
    assert all(data[:2] == b"M\x06" for data in files.values())
    assert romfs(files)[:3] == b"\xd2\xcd\x31"


def test_a_module_that_does_not_compile_is_one_error(tmp_path: Path) -> None:
    module = tmp_path / "broken.py"
    module.write_text("def f(:\n")
    with pytest.raises(CompileError, match=r"cannot compile .*broken.py for armv6m"):
        compile_packages([module], "armv6m")


def test_the_linker_knows_every_identifier_of_the_image(pico_uf2: Path) -> None:
    """`names.txt` against the pool of the image that was built: an identifier missing there might be renamed under MicroPython."""
    tables = list(images._cache().glob("sources-*/pico/genhdr/qstrdefs.generated.h"))
    if not tables:
        pytest.skip("no build of the Pico's image here: make pico")
    pool = re.findall(r'QDEF[01]\(\S+, \d+, \d+, "([A-Za-z_]\w*)"\)', tables[0].read_text())
    assert len(pool) > 900 and set(pool) <= known()
