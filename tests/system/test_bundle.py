#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Signed models: the host's tool, the twin and the machine, with a newest generation that was damaged after it was signed."""
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import tempfile
import urllib.request

import serving
from disk_images import disk, exfat_disk, fsck_exfat, tool
from harness import PATIENCE, PROMPT, TWIN, Guest, case, check, main, small_iso

WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT = 64, 64, 1, 2, 1, 320, 64


def checkpoint(seed: int) -> bytes:
    """Returns a llama2.c checkpoint (version 0) with random weights and one matrix for input and output."""
    chance = random.Random(seed)
    count = VOCABULARY * WIDTH + (2 * LAYERS + 1) * WIDTH + CONTEXT * WIDTH // HEADS + LAYERS * (
        2 * WIDTH * WIDTH + 2 * WIDTH * (WIDTH * KV_HEADS // HEADS) + 3 * WIDTH * HIDDEN)
    head = struct.pack("<7i", WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT)
    return head + struct.pack(f"<{count}f", *(chance.uniform(-0.5, 0.5) for _ in range(count)))


def tokenizer() -> bytes:
    """Returns tokenizer.bin: three control tokens, the 256 bytes, and characters of ASCII."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *(chr(33 + i) for i in range(VOCABULARY - 259))]
    return struct.pack("<I", 8) + b"".join(struct.pack("<fI", -i, len(p)) + p.encode() for i, p in enumerate(pieces))


def tool_of_host(*words, status: int = 0) -> str:
    done = subprocess.run([TWIN, "bundle", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * PATIENCE, check=False)
    check(done.returncode == status, f"bundle {words}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Site:
    """A folder with a key and two signed generations of a bundle; the payload of the second one is damaged."""

    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder)
        self.seed, self.key = self.folder / "site's \"own\".seed", self.folder / "site.pub"
        self.bundle = self.folder / "disk/models/tiny"
        tool_of_host("keygen", self.seed, self.key)
        for number in (1, 2):
            generation = self.bundle / str(number)
            generation.mkdir(parents=True)
            (generation / "model.bin").write_bytes(checkpoint(number))
            (generation / "tokenizer.bin").write_bytes(tokenizer())
            tool_of_host("make", generation)
            tool_of_host("sign", generation, self.seed)
            tool_of_host("verify", generation, self.key)
        damaged = bytearray((self.bundle / "2/model.bin").read_bytes())
        damaged[len(damaged) // 2] ^= 1
        (self.bundle / "2/model.bin").write_bytes(damaged)

    def twin(self, *words: str, status: int = 0) -> str:
        done = subprocess.run([TWIN, "log=info", f"trust.keys={self.key}", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120 * PATIENCE, check=False)
        check(done.returncode == status, f"status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr


@case
def tool_and_fallback():
    """the tool makes, signs and verifies; the twin falls back to generation 1 and answers with it"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        check(site.seed.stat().st_mode & 0o777 == 0o600, oct(site.seed.stat().st_mode))
        check("is not overwritten" in tool_of_host("keygen", site.seed, site.folder / "b.pub", status=1), "seed overwritten")
        text = tool_of_host("verify", site.bundle / "2", site.key, status=1)
        check("SHA-256 is not that of its manifest" in text, text)
        check("keygen SEED PUB" in tool_of_host("--help"), "no help")
        for mode in ("require", "prefer"):
            text = site.twin(f"verify={mode}", f"run=model load {site.bundle}; llm ab 5; poweroff")
            check("trust root loaded" in text and "generation 2 rejected (model size/sha256 mismatch)" in text, text)
            check("bundle tiny generation 1 verified (ed25519+sha256)" in text and "llm: done" in text, text)
        (site.bundle / "1/tokenizer.bin").write_bytes(tokenizer()[:-1] + b"~")
        text = site.twin("verify=require", f"run=model load {site.bundle}; poweroff", status=1)
        check("generation 1 rejected (tokenizer size/sha256 mismatch)" in text, text)
        check("no verifiable model bundle generation" in text, text)


@case
def raw_files():
    """a file outside of bundles: verify=require refuses it, verify=off loads it and says so"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        for name in ("model.bin", "tokenizer.bin"):
            shutil.copy(site.bundle / "1" / name, site.folder / name)
        line = f"run=model load {site.folder}/model.bin; llm ab 5; poweroff"
        text = site.twin("verify=require", line, status=1)
        check("is refused: it is in no bundle" in text and "llm: done" not in text, text)
        text = site.twin("verify=off", line)
        check("is loaded unverified: verify=off" in text and "llm: done" in text, text)
        text = site.twin("verify=prefer", line)
        check("is loaded unsigned and unverified" in text and "llm: done" in text, text)


@case
def shown_to_clients():
    """/health and /v1/models say by what a model was verified, and by which key"""
    with tempfile.TemporaryDirectory() as folder:
        site, port = Site(folder), serving.free_port()
        words = [TWIN, f"trust.keys={site.key}", "verify=require", f"http.port={port}", f"model={site.bundle}/1/model.bin", "run=serve"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for line in iter(process.stdout.readline, ""):
                if '"event":"ready"' in line:
                    break
            base = f"http://127.0.0.1:{port}"
            health = json.load(urllib.request.urlopen(f"{base}/health", timeout=60 * PATIENCE))
            row = json.load(urllib.request.urlopen(f"{base}/v1/models", timeout=60 * PATIENCE))["data"][0]
            for told in (health, row):
                check(told.get("verified") == "ed25519" and re.fullmatch("[0-9a-f]{16}", told.get("key_id", "")), str(told))
            check(row["id"] == "tiny", str(row))
        finally:
            process.kill()
            process.wait()


@case
def rotated_and_revoked():
    """the tool rotates and revokes keys; the twin follows trust.toml, refuses what is revoked, and /health has its version"""
    with tempfile.TemporaryDirectory() as folder:
        site, port = Site(folder), serving.free_port()
        trust = site.folder / "disk/models/trust.toml"
        root, other = site.folder / "root.seed", site.folder / "other.seed"
        ids = [re.search(r"key ([0-9a-f]{16})", tool_of_host("keygen", seed, seed.with_suffix(".pub")))[1] for seed in (root, other)]
        site_id = re.search(r"signed by ([0-9a-f]{16})", tool_of_host("sign", site.bundle / "1", site.seed))[1]
        # the image's key makes `root` the root key, and stays the one that signs models
        text = tool_of_host("rotate", trust, "--root", root.with_suffix(".pub"), "--model", site.key, root, site.seed)
        check("is version 1: signed by 1 of its root keys, 1 must" in text, text)
        load = f"run=model load {site.bundle}/1; keys; poweroff"
        text = site.twin("verify=require", load)
        check("trust.toml version 1 is accepted" in text and "generation 1 verified (ed25519+sha256)" in text, text)
        check(f"{ids[0]}  root" in text and f"{site_id}  model" in text, text)
        # signed by the new root key only: not enough for the version before
        tool_of_host("rotate", trust, "--root", other.with_suffix(".pub"), "--drop", ids[0], other)
        text = site.twin("verify=require", load)
        check("trust.toml version 2 rejected" in text and "too few root keys of the version before" in text, text)
        check("lacks signatures" in tool_of_host("revoke", trust, "--key", site_id, other, status=1), "an unfinished version was followed")
        check("signed by 1 of its root keys, 1 must; by 1 of version 1, 1 must" in tool_of_host("sign", trust, root), "not complete")
        text = site.twin("verify=require", load)
        check("trust.toml version 2 is accepted" in text and "generation 1 verified (ed25519+sha256)" in text, text)
        tool_of_host("revoke", trust, "--key", site_id, other)
        for mode in ("require", "prefer"):
            text = site.twin(f"verify={mode}", load, status=1)
            check("generation 1 rejected (manifest signed by a revoked key)" in text, text)
            check("trust.toml version 3, threshold 1" in text and f"revoked key  {site_id}" in text, text)
        check("is loaded all the same" in site.twin("verify=off", load), "verify=off is silent")
        words = [TWIN, f"trust.keys={site.key}", f"http.port={port}", f"model={site.bundle}/1", "verify=off", "run=serve"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for line in iter(process.stdout.readline, ""):
                if '"event":"ready"' in line:
                    break
            health = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60 * PATIENCE))
            check(health.get("trust") == {"version": 3, "threshold": 1} and health.get("verified") == "no", str(health))
        finally:
            process.kill()
            process.wait()


@case
def machine_with_a_disk():
    """the machine finds the bundle on FAT32, rejects generation 2 and answers with generation 1; its key is a boot module"""
    with tempfile.TemporaryDirectory() as folder:
        site, image = Site(folder), pathlib.Path(folder) / "disk.img"
        subprocess.run(["truncate", "-s", "40M", image], check=True)
        subprocess.run([tool("mkfs.vfat"), "-F", "32", "-s", "1", image], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool("mcopy"), "-s", "-i", image, site.folder / "disk/models", "::/models"], check=True)
        # a key on the disk is no key
        subprocess.run([tool("mcopy"), "-i", image, site.key, "::/boot.pub"], check=True)
        for key, found in ((site.key, True), (None, False)):
            with Guest(append="log=info verify=require", model=key, extra=disk(image, "virtio-blk-pci")) as guest:
                guest.expect(PROMPT, 60)
                text = guest.command_output("keys; llm ab 5", 60) + guest.output
                check(("trust root loaded" in text) == found and ("llm: done" in text) == found, text)
                check(("bundle tiny generation 1 verified (ed25519+sha256)" in text) == found, text)
                if found:
                    check("generation 2 rejected (model size/sha256 mismatch)" in text, text)
                else:
                    check("verify=require without a trusted key" in text and "no key is trusted" in text, text)


@case
def import_in_the_twin():
    """the twin copies models into a folder as bundles, refuses what verify= forbids, and removes them"""
    with tempfile.TemporaryDirectory() as folder:
        site, place = Site(folder), pathlib.Path(folder) / "place"
        place.mkdir()
        text = site.twin("verify=require", f"run=model import {site.bundle}/1 --to {place}; poweroff")
        check("is complete and verified" in text and "MiB/s" in text, text)
        for name in ("model.bin", "tokenizer.bin", "manifest.toml"):
            check((place / "models/tiny/1" / name).read_bytes() == (site.bundle / "1" / name).read_bytes(), name)
        check("nothing was copied" in site.twin(f"run=model import {site.bundle}/1 --to {place}; poweroff"), "copied twice")
        text = site.twin(f"run=model import {site.bundle}/2 --to {place}; poweroff", status=1)
        check("SHA-256 is not that of its manifest" in text and not (place / "models/tiny/2").exists(), text)
        text = site.twin("verify=require", f"run=model import {site.bundle}/1/model.bin --to {place} --name x; poweroff", status=1)
        check("a bundle keeps its name" in text, text)
        for name in ("model.bin", "tokenizer.bin"):
            shutil.copy(site.bundle / "1" / name, site.folder / name)
        loose = f"run=model import {site.folder}/model.bin --to {place} --name loose; poweroff"
        text = site.twin("verify=require", loose, status=1)
        check("only bundles with a good signature are copied" in text, text)
        check("models/loose/1 is complete" in site.twin(loose), "a loose model was not copied")
        text = site.twin(f"run=model load {place}/models/loose; llm ab 5; poweroff")
        check("bundle loose generation 1 verified (sha256)" in text and "llm: done" in text, text)
        text = site.twin(f"run=model remove loose --from {place}; poweroff")
        check("is removed" in text and not (place / "models/loose").exists() and (place / "models/tiny/1").exists(), text)
        check("no disk has such a model" in site.twin(f"run=model remove loose --from {place}; poweroff", status=1), "removed twice")


@case
def import_from_a_stick():
    """the machine copies a bundle from FAT32 to exFAT, loads it there without the stick, and removes it"""
    with tempfile.TemporaryDirectory() as folder:
        site, stick = Site(folder), pathlib.Path(folder) / "stick.img"
        inner = exfat_disk(pathlib.Path(folder) / "inner.img", 64)
        subprocess.run(["truncate", "-s", "40M", stick], check=True)
        subprocess.run([tool("mkfs.vfat"), "-F", "32", "-s", "1", stick], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool("mcopy"), "-s", "-i", stick, site.folder / "disk/models", "::/models"], check=True)
        both = disk(stick, "usb-storage") + disk(inner, "virtio-blk-pci")
        with Guest(append="log=info verify=require", model=site.key, extra=["-device", "qemu-xhci", *both]) as guest:
            guest.expect(PROMPT, 60)
            guest.until("mount", r"/disk/sd", 60)
            point = re.search(r"/disk/sd\w*", guest.output)[0]
            text = guest.command_output(f"model import {point}/models/tiny/1", 120)
            check("/disk/vda/models/tiny/1 is complete and verified" in text, text)
            text = guest.command_output(f"model import {point}/models/tiny/2", 120)
            check("SHA-256 is not that of its manifest" in text, text)
            text = guest.command_output("model list", 30)
            check(re.search(r"/disk/vda \(exfat, .*\n  tiny generation 1,", text) is not None and "not complete" not in text, text)
        fsck_exfat(inner)
        with Guest(append="log=info verify=require", model=site.key, extra=disk(inner, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            text = guest.command_output("llm ab 5", 60) + guest.output
            check("bundle tiny generation 1 verified (ed25519+sha256)" in text and "llm: done" in text, text)
            text = guest.command_output("model remove tiny", 30)
            check("the model is loaded" in text, text)
            text = guest.command_output("model unload; model remove tiny; ls /disk/vda/models", 30)
            check("/disk/vda/models/tiny/1 is removed" in text, text)
        fsck_exfat(inner)


@case
def import_and_power_cuts():
    """the power goes at random times while a model is copied to exFAT: it is whole or not there, and the next import goes on"""
    with tempfile.TemporaryDirectory() as folder:
        size, chance = 24 << 20, random.Random(5)
        inner = exfat_disk(pathlib.Path(folder) / "inner.img", 64)
        source = pathlib.Path(folder) / "big.gguf"
        source.write_bytes(b"GGUF" + chance.randbytes(size - 4))
        stick = pathlib.Path(folder) / "stick.img"
        subprocess.run(["truncate", "-s", "64M", stick], check=True)
        subprocess.run([tool("mkfs.vfat"), "-F", "32", stick], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool("mcopy"), "-i", stick, source, "::/big.gguf"], check=True)
        both = disk(stick, "nvme") + disk(inner, "virtio-blk-pci")
        complete = False
        for cut in (0.1, 0.4, 1.2, None):
            with Guest(append="log=info", extra=both) as guest:
                guest.expect(PROMPT, 60)
                guest.until("mount", r"/disk/nvme0n1", 60)
                text = guest.command_output("model list", 30)
                check(not complete or "big generation 1, 24" in text, text)
                if cut is None:
                    text = guest.command_output("model import /disk/nvme0n1/big.gguf", 120)
                    check("/disk/vda/models/big/1 is complete" in text or "nothing was copied" in text, text)
                    text = guest.command_output("model list", 30)
                    check("big generation 1, 24" in text and "not complete" not in text, text)
                else:
                    guest.send("model import /disk/nvme0n1/big.gguf\r")
                    guest.settle(cut + chance.random() / 4)
                    complete = "is complete" in guest.output
        fsck_exfat(inner)
        check(source.read_bytes()[:1 << 20] in inner.read_bytes(), "the disk does not have the model")


@case
def image_with_keys():
    """create_iso.sh -p puts keys and a trust.toml into an image, and refuses what is no key"""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        short = site.folder / "short.pub"
        short.write_bytes(b"x" * 31)
        done = subprocess.run(["scripts/create_iso.sh", "-p", short, "-o", site.folder / "x.iso"], capture_output=True,
                              text=True, check=False, cwd=TWIN.parent.parent.parent)
        check(done.returncode == 1 and "it has 32 bytes" in done.stderr, done.stderr)
        trust, root = site.folder / "trust.toml", site.folder / "root.seed"
        tool_of_host("keygen", root, root.with_suffix(".pub"))
        tool_of_host("rotate", trust, "--root", root.with_suffix(".pub"), "--model", site.key, root, site.seed)
        with Guest(iso=small_iso("keys", "log=info\n", keys=[site.key, trust])) as guest:
            guest.expect(PROMPT, 120)
            text = guest.command_output("keys", 30)
            check(site.key.read_bytes().hex() in text and "trust.toml version 1" in text and "/boot/trust.toml" in text, text)


if __name__ == "__main__":
    main()
