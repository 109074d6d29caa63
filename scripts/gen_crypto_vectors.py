#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tests/goldens/crypto/*.json: hostile inputs for the cryptography that TLS uses.

The form is Project Wycheproof's, so that one reader serves both (tests/hosted/kernel/net/tls/vectors_test.cpp).
Verdicts follow from how a vector was made, and each is checked against Python's `cryptography`, another
implementation, before it is written. Run by hand: keys are made anew, so the files change each time.
"""
import json
import pathlib
import random

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/goldens/crypto"
RANDOM = random.Random(20261129)
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P25519 = 2**255 - 19
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def some(count: int) -> bytes:
    return RANDOM.randbytes(count)


def flip(data: bytes, bit: int) -> bytes:
    return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]


class Group:
    """Makes one group of vectors. `oracle` judges each of them and must agree with the vector's maker."""

    def __init__(self, head: dict, oracle) -> None:
        self.head, self.oracle, self.tests = head, oracle, []

    def add(self, comment: str, valid: bool, flags: tuple[str, ...] = (), **fields) -> None:
        raw = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
        said = self.oracle(**fields)
        if said != valid:
            raise SystemExit(f"{comment}: made to be {valid}, but the other implementation says {said}")
        self.tests.append({"comment": comment, "flags": list(flags), **raw, "result": "valid" if valid else "invalid"})


def write(name: str, groups: list[Group]) -> None:
    number, out = 0, []
    for group in groups:
        tests = []
        for test in group.tests:
            number += 1
            tests.append({"tcId": number, **test})
        out.append({**group.head, "tests": tests})
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps({"testGroups": out}, indent=1) + "\n")
    print(f"{name}: {number} vectors")


def aes_gcm() -> list[Group]:
    def opens(key, iv, aad, msg, ct, tag):
        try:
            return AESGCM(key).decrypt(iv, ct + tag, aad) == msg and len(tag) == 16
        except (InvalidTag, ValueError):
            return False

    groups = []
    for bits in (128, 256):
        group = Group({"ivSize": 96, "keySize": bits, "tagSize": 128}, opens)
        for size in (0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200):
            key, iv, aad, msg = some(bits // 8), some(12), some(RANDOM.choice((0, 5, 13, 16, 33))), some(size)
            sealed = AESGCM(key).encrypt(iv, msg, aad)
            ct, tag = sealed[:-16], sealed[-16:]
            row = {"key": key, "iv": iv, "aad": aad, "msg": msg}
            group.add(f"{size} bytes", True, **row, ct=ct, tag=tag)
            for bit in (0, 63, 64, 127):
                group.add(f"bit {bit} of the tag", False, **row, ct=ct, tag=flip(tag, bit))
            group.add("a tag of 12 bytes", False, **row, ct=ct, tag=tag[:12])
            group.add("no tag", False, **row, ct=ct, tag=b"")
            group.add("a tag of zeros", False, **row, ct=ct, tag=bytes(16))
            if ct:
                group.add("the last bit", False, **row, ct=flip(ct, len(ct) * 8 - 1), tag=tag)
                group.add("a byte less", False, **row, ct=ct[:-1], tag=tag)
            group.add("a zero more", False, **row, ct=ct + b"\0", tag=tag)
            group.add("the end of the data in the message", False, **{**row, "aad": aad + ct[:1] + b"x"}, ct=ct[1:], tag=tag)
        # All counters of 32 bits, and a key of zeros.
        for iv in (b"\xff" * 12, bytes(12)):
            key, msg = bytes(bits // 8), some(100)
            sealed = AESGCM(key).encrypt(iv, msg, b"")
            group.add("plain key and nonce", True, key=key, iv=iv, aad=b"", msg=msg, ct=sealed[:-16], tag=sealed[-16:])
        groups.append(group)
    return groups


def x25519_shares() -> list[Group]:
    def agrees(public, private, shared):
        try:
            key = x25519.X25519PrivateKey.from_private_bytes(private)
            return key.exchange(x25519.X25519PublicKey.from_public_bytes(public)) == shared
        except ValueError:
            return False

    group = Group({"curve": "curve25519"}, agrees)
    private = some(32)

    def shared(public: bytes) -> bytes:
        key = x25519.X25519PrivateKey.from_private_bytes(private)
        return key.exchange(x25519.X25519PublicKey.from_public_bytes(public))

    def little(number: int) -> bytes:
        return number.to_bytes(32, "little")

    order_8 = (325606250916557431795983626356110631294008115727848805560023387167927233504,
               39382357235489614581723060781553021112529911719440698176882885853963445705823)
    for u in (0, 1, *order_8, P25519 - 1, P25519, P25519 + 1):
        group.add(f"a point of small order, {u & 0xffff:x}", False, ("ZeroSharedSecret",), public=little(u),
                  private=private, shared=bytes(32))
    for _ in range(12):
        public = x25519.X25519PrivateKey.from_private_bytes(some(32)).public_key().public_bytes_raw()
        group.add("any", True, public=public, private=private, shared=shared(public))
    for u in (2, 3, 9, 16, P25519 - 2):
        group.add(f"small or large, {u & 0xffff:x}", True, public=little(u), private=private, shared=shared(little(u)))
    for size in (0, 31, 33):
        group.add(f"{size} bytes", False, public=some(size), private=private, shared=bytes(32))
    return [group]


def der_integer(number: int, pad: int = 0) -> bytes:
    body = number.to_bytes(max(1, number.bit_length() // 8 + 1), "big", signed=False)
    while len(body) > 1 and body[0] == 0 and body[1] < 0x80:
        body = body[1:]
    body = bytes(pad) + body
    return b"\x02" + bytes([len(body)]) + body


def der_pair(r: bytes, s: bytes) -> bytes:
    return b"\x30" + bytes([len(r) + len(s)]) + r + s


def ecdsa() -> list[Group]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()

    def verifies(msg, sig):
        try:
            public.verify(sig, msg, ec.ECDSA(hashes.SHA256()))
            return True
        except InvalidSignature:
            return False

    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    group = Group({"sha": "SHA-256", "publicKey": {"uncompressed": point.hex()}}, verifies)
    for size in (0, 1, 20, 64, 100, 1000):
        msg = some(size)
        r, s = decode_dss_signature(key.sign(msg, ec.ECDSA(hashes.SHA256())))
        R, S = der_integer(r), der_integer(s)
        group.add("good", True, msg=msg, sig=der_pair(R, S))
        group.add("the other s", True, msg=msg, sig=der_pair(R, der_integer(N256 - s)))
        group.add("another message", False, msg=msg + b"x", sig=der_pair(R, S))
        group.add("r and s changed places", False, msg=msg, sig=der_pair(S, R))
        group.add("r + n", False, msg=msg, sig=der_pair(der_integer(r + N256), S))
        group.add("s + n", False, msg=msg, sig=der_pair(R, der_integer(s + N256)))
        group.add("s + 2^256", False, msg=msg, sig=der_pair(R, der_integer(s + 2**256)))
        group.add("a bit of s", False, msg=msg, sig=der_pair(R, der_integer(s ^ 1)))
        group.add("cut", False, msg=msg, sig=der_pair(R, S)[:-1])
        group.add("a length that lies", False, msg=msg, sig=b"\x30\x7f" + R + S)
    for name, value in (("0", 0), ("1", 1), ("n - 1", N256 - 1), ("n", N256), ("n + 1", N256 + 1), ("2^256 - 1", 2**256 - 1),
                        ("2^256", 2**256), ("2^1000", 2**1000)):
        for other_name, other in (("0", 0), ("1", 1), ("n", N256)):
            group.add(f"r = {name}, s = {other_name}", False, msg=b"", sig=der_pair(der_integer(value), der_integer(other)))
    for sig in (b"", b"\x30\x00", b"\x30", b"\x02\x01\x01", b"\x30\x80\x00\x00", b"\x30\x06\x02\x01\x01\x02\x01", bytes(64)):
        group.add("no signature", False, msg=b"", sig=sig)
    return [group]


def rsa_group(key, oracle) -> Group:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Group({"sha": "SHA-256", "keySize": 2048, "publicKeyDer": der.hex()}, oracle)


def sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def raw_sign(key, block: bytes) -> bytes:
    numbers = key.private_numbers()
    return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")


def rsa_pkcs1() -> list[Group]:
    key = rsa.generate_private_key(3, 2048)  # with a small exponent forgeries are cheapest

    def verifies(msg, sig):
        try:
            key.public_key().verify(sig, msg, padding.PKCS1v15(), hashes.SHA256())
            return True
        except (InvalidSignature, ValueError):
            return False

    group = rsa_group(key, verifies)
    msg = b"hostile"
    info = SHA256_INFO + sha256(msg)
    fill = 256 - 3 - len(info)
    good = b"\0\1" + b"\xff" * fill + b"\0" + info
    group.add("good", True, msg=msg, sig=raw_sign(key, good))
    blocks = {
        "another type of block": b"\0\2" + good[2:],
        "type 0": b"\0\0" + good[2:],
        "a padding byte of another value": good[:50] + b"\xfe" + good[51:],
        "a zero within the padding": good[:50] + b"\0" + good[51:],
        "no zero after the padding": good[:2 + fill] + b"\xff" + info,
        "eight bytes of padding and then anything": b"\0\1" + b"\xff" * 8 + b"\0" + info + some(256 - 11 - len(info)),
        "no padding, zeros behind": b"\0\1\0" + info + bytes(256 - 3 - len(info)),
        "a byte more behind the digest": b"\0\1" + b"\xff" * (fill - 1) + b"\0" + info + b"\0",
        "no algorithm": b"\0\1" + b"\xff" * (256 - 3 - 32) + b"\0" + sha256(msg),
        "another algorithm": good.replace(bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040202")),
        "a length of the long form": b"\0\1" + b"\xff" * (fill - 1) + b"\0" + b"\x30\x81\x31" + info[2:],
        "garbage in the parameters": b"\0\1" + b"\xff" * (fill - 20) + b"\0" + b"\x30\x45\x30\x21" + info[4:15] + b"\x04\x14" + some(20) + info[17:],
        "a cut digest": b"\0\1" + b"\xff" * (fill + 1) + b"\0" + info[:-1],
        "the first byte not 0": b"\1" + good[1:],
        "all ff": b"\0" + b"\xff" * 255,
        "all zero": bytes(256),
        "1": bytes(255) + b"\1",
    }
    for name, block in blocks.items():
        group.add(name, False, msg=msg, sig=raw_sign(key, block))
    sig = raw_sign(key, good)
    n = key.private_numbers().public_numbers.n
    group.add("another message", False, msg=b"hostilf", sig=sig)
    group.add("a zero before", False, msg=msg, sig=b"\0" + sig)
    group.add("a zero behind", False, msg=msg, sig=sig + b"\0")
    group.add("cut", False, msg=msg, sig=sig[:-1])
    group.add("nothing", False, msg=msg, sig=b"")
    if int.from_bytes(sig, "big") + n < 2**2048:
        group.add("the modulus added", False, msg=msg, sig=(int.from_bytes(sig, "big") + n).to_bytes(256, "big"))
    group.add("the modulus", False, msg=msg, sig=n.to_bytes(256, "big"))
    group.add("the modulus less 1", False, msg=msg, sig=(n - 1).to_bytes(256, "big"))
    return [group]


def mgf1(seed: bytes, count: int) -> bytes:
    out = b""
    while len(out) < count:
        out += sha256(seed + (len(out) // 32).to_bytes(4, "big"))
    return out[:count]


def pss_block(msg: bytes, salt: bytes, **change) -> bytes:
    digest = sha256(bytes(8) + sha256(msg) + salt)
    db = bytes(256 - 33 - len(salt) - 1) + b"\1" + salt
    db = change.get("db", lambda x: x)(db)
    masked = bytes(a ^ b for a, b in zip(db, mgf1(digest, len(db))))
    masked = bytes([masked[0] & 0x7F if change.get("clear", True) else masked[0] & 0x7F | 0x80]) + masked[1:]
    return masked + digest + change.get("end", b"\xbc")


def rsa_pss() -> list[Group]:
    key = rsa.generate_private_key(65537, 2048)

    def verifies(msg, sig):
        try:
            key.public_key().verify(sig, msg, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            return True
        except (InvalidSignature, ValueError):
            return False

    group = rsa_group(key, verifies)
    msg, salt = b"hostile", some(32)
    group.add("good", True, msg=msg, sig=raw_sign(key, pss_block(msg, salt)))
    group.add("a salt of zeros", True, msg=msg, sig=raw_sign(key, pss_block(msg, bytes(32))))
    for size in (0, 1, 20, 31, 33, 64, 222):
        group.add(f"a salt of {size} bytes", False, msg=msg, sig=raw_sign(key, pss_block(msg, some(size))))
    blocks = {
        "another end": pss_block(msg, salt, end=b"\xbd"),
        "a one before the salt is missing": pss_block(msg, salt, db=lambda x: x[:-33] + b"\0" + salt),
        "a two before the salt": pss_block(msg, salt, db=lambda x: x[:-33] + b"\2" + salt),
        "padding that is not zero": pss_block(msg, salt, db=lambda x: x[:20] + b"\1" + x[21:]),
        "another salt than the digest's": pss_block(msg, salt, db=lambda x: x[:-1] + bytes([x[-1] ^ 1])),
        "all zero": bytes(256),
        "1": bytes(255) + b"\1",
        "PKCS #1 v1.5": b"\0\1" + b"\xff" * (256 - 3 - 51) + b"\0" + SHA256_INFO + sha256(msg),
    }
    for name, block in blocks.items():
        group.add(name, False, msg=msg, sig=raw_sign(key, block))
    top = pss_block(msg, salt, clear=False)  # may be above the modulus: then it is not what is signed
    if int.from_bytes(top, "big") < key.private_numbers().public_numbers.n:
        group.add("the top bit set", False, msg=msg, sig=raw_sign(key, top))
    sig = raw_sign(key, pss_block(msg, salt))
    group.add("another message", False, msg=b"hostilf", sig=sig)
    group.add("cut", False, msg=msg, sig=sig[:-1])
    group.add("a zero behind", False, msg=msg, sig=sig + b"\0")
    group.add("nothing", False, msg=msg, sig=b"")
    return [group]


def main() -> None:
    for name, make in (("aes_gcm", aes_gcm), ("x25519", x25519_shares), ("ecdsa_p256", ecdsa), ("rsa_pkcs1", rsa_pkcs1),
                       ("rsa_pss", rsa_pss)):
        write(name, make())


if __name__ == "__main__":
    main()
