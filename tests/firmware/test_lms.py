"""The meter's signatures: the RFC's key and signature bit for bit, leaves burned before use, and a 32-bit target that agrees."""

import json
import struct

import hsslms
import pyhsslms

from protocol import lms
from testbench.emulators.mps2 import Mps2
from testbench.micropython import run
from tests.protocol.test_lms import case

LEVELS = 2
LEAVES = 32**LEVELS

RFC_TREE = """
from binascii import unhexlify, hexlify
from firmware.trust.hasher import Hasher
from firmware.trust.lms import Signature, Tree
seed = unhexlify("558b8966c48ae9cb898b423c83443aae014a72f1b1ab5cc85cf1d892903b5439")
tree = Tree(Hasher(), 10, unhexlify("d08fabd4a2091ff0a8cb4ed834e74534"), seed)
steps = 1
while not tree.step():
    steps += 1
assert steps == 68 * 1024, steps
signature = Signature(10)
signature.begin(tree, {q}, unhexlify("{message}"), unhexlify("{randomizer}"))
while not signature.step():
    pass
print(hexlify(tree.public()).decode())
print(hexlify(signature.data).decode())
"""
"""SEED and I of the top tree: RFC 8554, Appendix F, test case 2."""

SIGN = """
from binascii import hexlify
from firmware.trust.signer import Exhausted, Signer
burned = []
def burn(leaf):
    burned.append(leaf)
    return True
signer = Signer(b"s" * 32, {first}, burn, levels={levels})
while signer.step():
    pass
print(hexlify(signer.public).decode())
for message in {messages}:
    try:
        leaf = signer.begin(message)
    except Exhausted:
        print("exhausted")
        continue
    assert burned[-1] == leaf + 1
    steps = 0
    while signer.signing:
        signer.step()
        steps += 1
    parts = b"".join([bytes(part) for part in signer.certificates]) + bytes(signer.signature)
    print(leaf, steps, hexlify(parts).decode())
    while signer.step():
        pass
print("burned", burned)
"""


def signed(printed: str) -> tuple[bytes, list[tuple[int, int, bytes]], list[str]]:
    """Public key, (leaf, steps, HSS signature) and the remaining lines that SIGN printed."""
    lines = printed.split("\n")
    found = []
    rest = []
    for line in filter(None, lines[1:]):
        words = line.split()
        if words[0].isdigit():
            found.append((int(words[0]), int(words[1]), struct.pack(">I", LEVELS - 1) + bytes.fromhex(words[2])))
        else:
            rest.append(line)
    return bytes.fromhex(lines[0]), found, rest


def test_the_rfc_key_and_signature_bit_for_bit() -> None:
    public, _, signature = case(2)
    size = lms.signature_size(3, 10)
    (q,) = struct.unpack_from(">I", signature, 4)
    message = signature[4 + size : 4 + size + lms.PUBLIC_SIZE]
    code = RFC_TREE.format(q=q, message=message.hex(), randomizer=signature[12:44].hex())
    got_public, got_signature = run(code, heap="4m").split()
    assert bytes.fromhex(got_public) == public[4:]
    assert bytes.fromhex(got_signature) == signature[4 : 4 + size]


def test_signatures_across_a_tree_hold_for_all_three_verifiers() -> None:
    messages = [b"one", b"two", b"three"]
    public, found, rest = signed(run(SIGN.format(first=31, levels=LEVELS, messages=messages)))
    assert [leaf for leaf, _, _ in found] == [31, 32, 33]
    assert rest == ["burned [32, 33, 34]"]
    for message, (_, steps, signature) in zip(messages, found, strict=True):
        assert steps == 68
        assert lms.verify(public, message, signature)
        assert not lms.verify(public, b"four", signature)
        assert pyhsslms.HssPublicKey.deserialize(public).verify(message, signature)
        hsslms.HSS_Pub(public).verify(message, signature)


def test_the_last_leaf_signs_and_then_it_says_no() -> None:
    messages = [b"last", b"never"]
    public, found, rest = signed(run(SIGN.format(first=LEAVES - 1, levels=LEVELS, messages=messages)))
    assert [leaf for leaf, _, _ in found] == [LEAVES - 1]
    assert lms.verify(public, b"last", found[0][2])
    assert rest == ["exhausted", f"burned [{LEAVES}]"]


def test_after_a_power_cut_no_leaf_signs_again_and_the_trees_above_say_the_same() -> None:
    _, before, _ = signed(run(SIGN.format(first=5, levels=LEVELS, messages=[b"before"])))
    _, after, _ = signed(run(SIGN.format(first=6, levels=LEVELS, messages=[b"after"])))
    size = 4 + lms.signature_size(3, 5) + lms.PUBLIC_SIZE
    assert before[0][2][:size] == after[0][2][:size]
    assert (before[0][0], after[0][0]) == (5, 6)


def test_a_32_bit_target_signs_the_same_bytes(mps2: Mps2) -> None:
    code = SIGN.format(first=31, levels=LEVELS, messages=[b"one", b"two"])
    assert mps2.run(code) == run(code)


def test_a_step_is_bounded_and_leaves_little_behind(mps2: Mps2) -> None:
    setup = """
from firmware.trust.hasher import Hasher
from firmware.trust.lms import Signature, Tree
import gc
tree = Tree(Hasher(), 5, b"i" * 16, b"s" * 32)
assert tree.chains._hasher.again
for _ in range(68): tree.step()
"""
    assert mps2.count("tree.step()", setup) < 200_000
    printed = mps2.run(
        setup
        + """
while not tree.step(): pass
signature = Signature(5)
signature.begin(tree, 3, b"message")
gc.collect()
gc.disable()
before = gc.mem_alloc()
while not signature.step(): pass
print(gc.mem_alloc() - before)
gc.enable()
"""
    )
    assert json.loads(printed) < 70_000
