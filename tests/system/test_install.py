#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An image is installed on an empty disk, which then starts without it, by BIOS and by UEFI, and answers with its model.

cuts.py kills QEMU at random times during installations.
"""
import filecmp
import hashlib
import pathlib
import re
import subprocess
import tempfile

import tiny_gguf
from disk_images import disk, fsck_exfat, tool
from harness import PROMPT, ROOT, TWIN, Guest, case, check, main, small_iso, to_prompt
from machines import FIRMWARE

MIB = 1 << 20
CONFIG = "log=info\nnet=off\n"
MODEL = ROOT / "build/test/installed.gguf"


def empty_disk(folder: str, mib: int, name: str = "disk.img") -> pathlib.Path:
    image = pathlib.Path(folder) / name
    subprocess.run(["truncate", "-s", f"{mib}M", image], check=True)
    return image


def install(guest: Guest, name: str, answer: str | None = None) -> str:
    """Types `install NAME` and the consent; returns what the command has said."""
    begin = len(guest.output)
    guest.send(f"install {name}\r")
    guest.expect(r"Its name, to go on: |\nmarrow> ", 60, begin)
    if "Its name, to go on: " in guest.output[begin:]:
        guest.send((name if answer is None else answer) + "\r")
    guest.expect(r"\nmarrow> ", 120, begin)
    return guest.output[begin:]


def part_of(image: pathlib.Path, number: int, folder: str) -> pathlib.Path:
    """Copies a partition out of an image."""
    text = subprocess.run([tool("sgdisk"), "-i", str(number), image], capture_output=True, text=True, check=True).stdout
    first, last = (int(re.search(rf"{word} sector: (\d+)", text)[1]) for word in ("First", "Last"))
    part = pathlib.Path(folder) / f"part{number}.img"
    with image.open("rb") as source, part.open("wb") as target:
        source.seek(first * 512)
        target.write(source.read((last + 1 - first) * 512))
    return part


def judge(image: pathlib.Path, folder: str) -> None:
    """sgdisk and both fscks find nothing, and the kernel's copy is the one of the image."""
    text = subprocess.run([tool("sgdisk"), "-v", image], capture_output=True, text=True, check=True).stdout
    check("No problems found" in text, text)
    boot, data = part_of(image, 2, folder), part_of(image, 4, folder)
    done = subprocess.run([tool("fsck.fat"), "-n", boot], capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout)
    fsck_exfat(data)


def starts(firmware: str, image: pathlib.Path, device: str, model: str) -> None:
    """The disk starts without the image, finds its model on the data partition, and answers."""
    with Guest(boot=disk(image, device), extra=FIRMWARE[firmware]) as guest:
        check(to_prompt(guest, 150), guest.output)  # it would not talk without a model
        text = guest.command_output("models", 60)
        check(re.search(rf"/disk/\w+4/models/{model}/1/model.gguf", text) is not None, text)
        check("llm: done" in guest.command_output("llm hello 4", 60), guest.output[-2000:])


@case
def from_the_image_to_a_disk():
    """the image installs on NVMe; the disk starts by SeaBIOS and by OVMF, finds its model and answers"""
    with tempfile.TemporaryDirectory() as folder:
        image = empty_disk(folder, 160)
        model = tiny_gguf.write(MODEL)
        iso = small_iso("install", CONFIG, model)
        with Guest(iso=iso, extra=disk(image, "nvme")) as guest:
            to_prompt(guest, 120)
            guest.until("lsblk", "nvme0n1", 60)
            guest.until("mount", r"iso9660", 60)
            text = install(guest, "nvme0n1", "nvme0n2")
            check("nothing was changed" in text and image.read_bytes() == bytes(160 * MIB), text)
            text = install(guest, "nvme0n1")
            check("is complete and verified" in text and "nvme0n1 is complete" in text, text)
        judge(image, folder)
        for firmware in FIRMWARE:
            starts(firmware, image, "nvme", model.stem)


def signed_bundle(folder: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the folder of a signed bundle, and the public key."""
    bundle, seed, key = (pathlib.Path(folder) / name for name in ("bundles/signed/3", "site.seed", "site.pub"))
    bundle.mkdir(parents=True)
    tiny_gguf.write(bundle / "model.gguf")
    for words in (("keygen", seed, key), ("make", bundle), ("sign", bundle, seed)):
        subprocess.run([TWIN, "bundle", *words], stdin=subprocess.DEVNULL, check=True, capture_output=True)
    return bundle, key


def check_sums(folder: pathlib.Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)


def judge_boot(image: pathlib.Path, folder: str) -> None:
    """Any system can check the boot volume's files, and the manual, the licences, the bill of materials and the key are there."""
    files = pathlib.Path(folder) / "boot volume"
    files.mkdir()
    subprocess.run([tool("mcopy"), "-s", "-i", part_of(image, 2, folder), "::/", files], check=True, capture_output=True)
    check_sums(files)
    listed = (files / "SHA256SUMS").read_text()
    there = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    changing = {"SHA256SUMS", "boot/medium.id", "boot/grub/grubenv", "boot/a/marrow.elf", "boot/b/marrow.elf"}
    check(there - set(re.findall(r"  (\S+)$", listed, re.M)) == changing, f"{there}\n{listed}")
    for name in ("boot/marrow.elf", "boot/manifest.json", "boot/keys/site.pub", "manual/Install.html", "licences/README", "sbom.spdx.json"):
        check(f"  {name}\n" in listed, f"{name} is not in SHA256SUMS:\n{listed}")
    (files / "marrow.cfg").write_text("log=debug\n")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=files, capture_output=True, text=True, check=False)
    check(done.returncode == 1 and "marrow.cfg: FAILED" in done.stdout, done.stdout)


def judge_data(guest: Guest, files: dict[str, bytes]) -> None:
    """The data volume's list has these files, and the manifests, with their hashes."""
    point = re.search(r"(/disk/\w+4) +exfat", guest.command_output("mount"))[1]
    rows = re.findall(r"^([0-9a-f]{64})  (\S+)$", guest.command_output(f"cat {point}/SHA256SUMS"), re.M)
    listed = {path: digest for digest, path in rows}
    for path, data in files.items():
        check(listed.get(path) == hashlib.sha256(data).hexdigest(), f"{path}: {listed}")
    check(len(listed) == len(files), f"{listed}")


def damage(image: pathlib.Path, name: str, folder: str) -> None:
    """Changes a byte of a file of the boot volume."""
    place, changed = f"{image}@@{2 * MIB}", pathlib.Path(folder) / "changed"
    data = bytearray(subprocess.run([tool("mtype"), "-i", place, f"::/{name}"], capture_output=True, check=True).stdout)
    data[0] ^= 1
    changed.write_bytes(data)
    subprocess.run([tool("mcopy"), "-o", "-i", place, changed, f"::/{name}"], check=True)


def judge_evidence(image: pathlib.Path, folder: str) -> None:
    """What `support` has written tells the damaged file from the others, and the bundle with a good signature."""
    subprocess.run([tool("mcopy"), "-s", "-i", part_of(image, 2, folder), "::/marrow-support-1", folder], check=True, capture_output=True)
    evidence = pathlib.Path(folder) / "marrow-support-1"
    check_sums(evidence)
    files = (evidence / "image.txt").read_text()
    check(re.findall(r"^(?:WRONG|MISSING).*", files, re.M) == re.findall(r"^WRONG .*/licences/README$", files, re.M), files)
    check(re.search(r"^WRONG .*/licences/README$", files, re.M) and re.search(r"^right .*  /boot/marrow.elf$", files, re.M), files)
    bundles = (evidence / "bundles.txt").read_text()
    check(re.search(r"/models/signed/3 verified \(ed25519\+sha256\), key", bundles), bundles)
    check("no trusted key vouches" in bundles and "[signature" in bundles, bundles)  # the other one is not signed
    report = (evidence / "report.txt").read_text()
    for part in ("keys", "dmesg", "update status", "selftest"):
        check(f"\n## {part}\n" in report, report[:500])
    check("# end of the report" in report and '"install"' in (evidence / "manifest.json").read_text(), report[-500:])


@case
def image_by_the_twin():
    """the twin makes the same image twice, never over a file; with its lists of hashes, a signed bundle and the key; it starts from a stick"""
    with tempfile.TemporaryDirectory() as folder:
        model, image = tiny_gguf.write(MODEL), pathlib.Path(folder) / "made.img"
        bundle, key = signed_bundle(folder)
        iso = small_iso("install-twin", CONFIG, [model, bundle], [key])

        def twin(size: int, status: int, image=image) -> str:
            words = [TWIN, f"run=install --to-image {image} --from {iso} --size {size}; poweroff"]
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
            check(done.returncode == status, f"status {done.returncode}\n{done.stdout}{done.stderr}")
            return done.stdout + done.stderr

        check("the image is too small" in twin(40, 1) and not image.exists(), "a small image")
        check("made.img is complete: 160 MiB" in twin(160, 0), "no image")
        check("is there already" in twin(160, 1), "an image was overwritten")
        again = pathlib.Path(folder) / "again.img"
        twin(160, 0, again)
        check(filecmp.cmp(image, again, shallow=False), "two images of one ISO differ")
        judge(image, folder)
        judge_boot(image, folder)
        damage(image, "licences/README", folder)
        stick = ["-device", "qemu-xhci", "-drive", f"file={image},format=raw,if=none,id=stick", "-device", "usb-storage,drive=stick,bootindex=0"]
        with Guest(boot=stick) as guest:
            check(to_prompt(guest, 150), guest.output)
            text = guest.command_output("models", 60)
            check(re.search(rf"/disk/\w+4/models/{model.stem}/1/model.gguf", text) is not None, text)
            text = guest.command_output("model load signed", 60) + guest.command_output("dmesg", 60)
            check(re.search(r"bundle signed generation 3 verified \(ed25519\+sha256\)", text) is not None, text)
            manifest = guest.command_output(f"cat /disk/sda4/models/{model.stem}/1/manifest.toml").split("\n", 1)[1].rstrip("\n") + "\n"
            judge_data(guest, {f"models/{model.stem}/1/model.gguf": model.read_bytes(),
                               f"models/{model.stem}/1/manifest.toml": manifest.encode(),
                               "models/signed/3/model.gguf": (bundle / "model.gguf").read_bytes(),
                               "models/signed/3/manifest.toml": (bundle / "manifest.toml").read_bytes()})
            check("/disk/sda2/marrow-support-1" in guest.command_output("support sda2", 120), guest.output[-2000:])
            guest.send("poweroff\r")
            guest.wait_exit(60)
        judge_evidence(image, folder)


@case
def disks_that_are_refused():
    """a disk that is too small is refused with the numbers, and so is the stick that Marrow was started from"""
    with tempfile.TemporaryDirectory() as folder:
        small = empty_disk(folder, 40)
        iso = small_iso("install-small", CONFIG)
        stick = pathlib.Path(folder) / "stick.img"
        stick.write_bytes(iso.read_bytes())
        boot = ["-device", "qemu-xhci", "-drive", f"file={stick},format=raw,if=none,id=stick",
                "-device", "usb-storage,drive=stick,bootindex=0"]
        with Guest(boot=boot, extra=disk(small, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 120)
            guest.until("mount", r"iso9660", 60)
            text = install(guest, "vda")
            check(re.search(r"vda has 40.0 MiB; this image needs \d+\.\d MiB", text) is not None, text)
            check("the disk is too small" in text and small.read_bytes() == bytes(40 * MIB), text)
            text = install(guest, "sda")
            check("Marrow was started from this disk" in text, text)
            check("no such disk" in install(guest, "vdx"), guest.output[-500:])
        check(stick.read_bytes() == iso.read_bytes(), "the stick was written")


@case
def without_an_image():
    """a kernel that no image has started says from what one can install"""
    with tempfile.TemporaryDirectory() as folder:
        with Guest(extra=disk(empty_disk(folder, 160), "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            guest.until("lsblk", "vda", 60)
            check("make one with create_iso.sh" in install(guest, "vda"), guest.output[-1000:])


if __name__ == "__main__":
    main()
