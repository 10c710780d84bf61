"""What is certain of many records at once passes record by record, for every ready profile and for altered records."""

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostlink.profile import ready
from hostlink.profile.compiler import compile_profile
from hostlink.records import decode
from hostlink.replay import check_record, slot_value, surface_value
from hostlink.replay_columns import is_constant, times
from hostlink.replay_live import certain, slot_values, surface_values
from hostlink.verify import Shard, verify_shard
from protocol import image as layout
from protocol.image import Image
from testbench.synthesize.live import rows as rows_of
from tests.hostlink.test_verify import live_profile, slots_profile

COUNT = 300
wide = st.integers(0, (1 << 128) - 1)


@cache
def images() -> dict[str, Image]:
    found = {name: compile_profile(ready.load(name))[0].data for name in ready.names()}
    found |= {"pressure": live_profile(300), "slots": slots_profile()}
    made = {name: Image(bytes(data)) for name, data in found.items()}
    return {name: image for name, image in made.items() if not is_constant(image)}


@cache
def recorded(name: str) -> np.ndarray:
    return rows_of(images()[name], COUNT)


def told(image: Image, rows: np.ndarray, at: int) -> list[str]:
    shape = (len(image.channels), len(image.conditions), len(image.registers))
    before, record = (decode(rows[n].tobytes(), *shape) for n in (at - 1, at))
    return [text for text in check_record(image, before, record) if ": index" not in text]


@pytest.mark.parametrize("name", sorted(images()))
def test_honest_records_are_certain(name: str) -> None:
    image, rows = images()[name], recorded(name)
    assert [told(image, rows, at) for at in range(1, len(rows))] == [[]] * COUNT
    assert certain(image, rows).mean() > 0.9
    shape = (len(image.channels), len(image.conditions), len(image.registers))
    shard = Shard("M", {shape: rows[1:]}, {image.fingerprint[:8]: bytes(image.data)})
    assert not verify_shard(shard, chain=False).faults


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_is_certain_passes_one_by_one(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(images())))
    image, rows = images()[name], recorded(name)
    first = data.draw(st.integers(0, COUNT - 3))
    rows = rows[first : first + 4].copy()
    raw = rows.view("u1").reshape(len(rows), -1)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(8, raw.shape[1] - 5))
        raw[data.draw(st.integers(0, 3)), at] ^= data.draw(st.integers(1, 255))
    for n, sure in enumerate(certain(image, rows).tolist()):
        if sure:
            assert not told(image, rows, n + 1)


@given(wide, st.integers(0, (1 << 64) - 1))
def test_wide_product(a: int, b: int) -> None:
    whole, fraction = times((np.array([a >> 64], "u8"), np.array([a & (1 << 64) - 1], "u8")), np.array([b], "u8"))
    assert int(whole[0]) << 64 | int(fraction[0]) == a * b % (1 << 128)


def test_slots_and_surfaces_as_one_by_one() -> None:
    random_ = random.Random(3)
    kinds = set()
    for image in images().values():
        for kind, data in image.tables:
            kinds.add(kind)
            if kind == layout.TIME_OF_USE:
                times_ = np.array([random_.randrange(1_600_000_000, 2_200_000_000) for _ in range(500)])
                for offset in (-720, 0, 60, 840):
                    expected = [slot_value(data, int(time), offset) for time in times_]
                    assert slot_values(data, times_, offset).tolist() == expected
            elif kind == layout.SURFACE:
                _, _, nx, ny, x0, dx, y0, dy, _ = layout.SURFACE_HEAD.unpack_from(data)
                x = np.array([random_.randrange(x0, x0 + dx * (nx - 1) + 1) for _ in range(500)])
                y = np.array([random_.randrange(y0, y0 + dy * (ny - 1) + 1) for _ in range(500)])
                values, inside = surface_values(data, x, y)
                expected = [surface_value(data, *of) for of in zip(x.tolist(), y.tolist(), strict=True)]
                assert inside.all() and values.tolist() == expected
                assert not surface_values(data, x[:1] * 0 + x0 - 1, y[:1])[1].any()
    assert kinds == {layout.TIME_OF_USE, layout.SURFACE}
