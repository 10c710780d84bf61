"""Our signer and verifier against two others, both ways: `pyhsslms` (Vigil Security) and `hsslms` (M. Vögeler)."""

import hsslms
import pyhsslms
import pytest

from hostlink import lms
from hostlink.errors import DataError, ProofError, UsageError

MESSAGE = b"1,234,567 mg CO2"


def test_others_verify_ours_and_we_verify_ours() -> None:
    key = lms.PrivateKey(bytes(32), height=5)
    for _ in range(3):
        signature = key.sign(MESSAGE)
        lms.verify(key.public, MESSAGE, signature)
        assert pyhsslms.HssPublicKey.deserialize(key.public).verify(MESSAGE, signature)
        hsslms.HSS_Pub(key.public).verify(MESSAGE, signature)
    with pytest.raises(hsslms.INVALID):
        hsslms.HSS_Pub(key.public).verify(MESSAGE + b"!", signature)


@pytest.mark.parametrize("ots", [pyhsslms.lmots_sha256_n32_w4, pyhsslms.lmots_sha256_n32_w2])
def test_we_verify_pyhsslms(ots: bytes) -> None:
    key = pyhsslms.HssPrivateKey(levels=2, lms_type=pyhsslms.lms_sha256_m32_h5, lmots_type=ots)
    signature = key.sign(MESSAGE)
    public = key.publicKey().serialize()
    lms.verify(public, MESSAGE, signature)
    with pytest.raises(ProofError, match="the statement does not hold under key"):
        lms.verify(public, MESSAGE + b"!", signature, "the statement")


def test_we_verify_hsslms() -> None:
    types = [hsslms.LMS_ALGORITHM_TYPE.LMS_SHA256_M32_H5] * 2
    key = hsslms.HSS_Priv(types, hsslms.LMOTS_ALGORITHM_TYPE.LMOTS_SHA256_N32_W8, num_cores=1)
    lms.verify(key.gen_pub().get_pubkey(), MESSAGE, key.sign(MESSAGE))


def test_the_key_goes_on_where_it_was_and_ends() -> None:
    first = lms.PrivateKey(b"s" * 32, height=5)
    signatures = [first.sign(MESSAGE) for _ in range(2)]
    again = lms.PrivateKey(b"s" * 32, height=5, next_leaf=1)
    assert again.public == first.public
    assert again.sign(MESSAGE) == signatures[1]
    again.next_leaf = 32
    with pytest.raises(UsageError, match="exhausted"):
        again.sign(MESSAGE)
    with pytest.raises(UsageError, match="height 5, 10 or 15, got 20"):
        lms.PrivateKey(b"s" * 32, height=20)


def test_a_key_that_is_none_is_told() -> None:
    with pytest.raises(DataError, match="60 bytes, got 3"):
        lms.verify(b"key", MESSAGE, b"")
