#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Cuts the power at random times: cuts.py install|import|pull|update|trial [COUNT=50] [--seed N] [--from NUMBER]

  install  an image is installed on an empty disk: the disk has no partition table, or is a whole one
  import   a model comes from a stick to a disk with exFAT: it is there as a whole, or not seen; importing it again works
  pull     the same over the network
  update   a kernel is written to a slot: the old one starts, or the new one, which proves itself
  trial    GRUB takes a try back and starts the new kernel, which proves itself: the old one starts or the new one

QEMU is killed while that happens. The machine is prepared once, up to its prompt; each cut begins with a copy of its disks
and of its memory. The time of cut NUMBER is drawn from the seed and NUMBER, so `--from` goes on with an interrupted run. What
the killed QEMU has written is in the file, so a cut loses no write that the machine has made; `make test-hosted F=update` and
the tests of the file systems lose and reorder writes. A disk that fails is kept in build/test.
"""
import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import tiny_gguf
from disk_images import disk, exfat_disk, fat_disk, fsck_exfat, tool
from harness import FAILURES, ROOT, Guest, Monitor, check, small_iso, to_prompt
from machines import FIRMWARE
from pull_server import Server
from test_install import CONFIG, empty_disk, judge, part_of, starts
from test_update import Site

TOKENS = 2 * 4096  # of the vocabulary: a model of 2 MiB
MEMORY = "256M"


class Scene:
    """What is cut. `command` is typed at the prompt of the prepared machine, and is over when it has said `done`."""
    command, done = "", ""
    net = "none"
    answers = ()  # pairs of a question and what is typed then

    def __init__(self, folder: pathlib.Path):
        self.folder, self.image, self.memory = folder, folder / "disk.img", folder / "memory"
        self.start = folder / "start.img"  # the disk as each cut finds it

    def machine(self, *more: str) -> Guest:
        monitor = ["-monitor", f"unix:{self.folder}/monitor,server=on,wait=off"]
        return Guest(memory=MEMORY, net=self.net, extra=[*self.hardware(), *monitor, *more], **self.boots())

    def hardware(self) -> list[str]:
        return disk(self.image, "virtio-blk-pci")

    def boots(self) -> dict:
        return {}  # by -kernel

    def ready(self, guest: Guest) -> None:
        """Waits until the command can be typed."""

    def judge(self) -> str:
        """Says what the cut has left, and checks that it is nothing half."""
        raise NotImplementedError

    def prepare(self) -> float:
        """Returns how long the command takes without a cut."""
        with self.machine() as guest:
            self.ready(guest)
            guest.settle(0.5)
            Monitor(f"{self.folder}/monitor").say(f'migrate "exec:cat > {self.memory}"', 120)
        shutil.copyfile(self.image, self.start)
        with self.again() as guest:
            self.wake(guest)
            begin = time.monotonic()
            check(self.type(guest, 300), f"the command does not end:\n{guest.output[-2000:]}")
            return time.monotonic() - begin

    def again(self) -> Guest:
        shutil.copyfile(self.start, self.image)
        return self.machine("-incoming", f"exec:cat {self.memory}")

    def wake(self, guest: Guest) -> None:
        """Waits until the memory is there. What is typed before that is lost."""
        end = time.monotonic() + 60
        while "marrow> " not in guest.output:
            check(time.monotonic() < end, f"the machine does not go on:\n{guest.output[-2000:]}")
            guest.send("\r")
            guest.settle(0.3)

    def type(self, guest: Guest, seconds: float) -> bool:
        """Types the command. Returns True if it was over within so many seconds."""
        end, answers = time.monotonic() + seconds, list(self.answers)
        guest.send(self.command + "\r")
        while time.monotonic() < end:
            check(guest.pump(0.02), f"QEMU has ended:\n{guest.output[-2000:]}")
            if answers and re.search(answers[0][0], guest.output):
                guest.send(answers.pop(0)[1] + "\r")
            if re.search(self.done, guest.output):
                return True
        return False

    def cut(self, seconds: float) -> bool:
        with self.again() as guest:
            self.wake(guest)
            return self.type(guest, seconds)


class Arrival(Scene):
    """A model comes to an empty disk with exFAT."""
    done = r"models/tiny/1 is complete"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        exfat_disk(self.image, 32)
        self.model = tiny_gguf.write(folder / "tiny.gguf", TOKENS)

    def ready(self, guest: Guest) -> None:
        to_prompt(guest, 60)
        guest.until("mount", "/disk/vda", 60)

    def judge(self) -> str:
        with self.machine() as guest:
            self.ready(guest)
            text = guest.command_output("model list", 60).split("/disk/vdb")[0]
            state = "part" if "not complete" in text else "whole" if "tiny generation 1" in text else "absent"
            check((state == "absent") == ("no bundles" in text), text)
            if state != "whole":
                text = guest.command_output(self.command, 300)
                check(re.search(self.done, text) is not None, text)
            text = guest.command_output("bundle verify /disk/vda/models/tiny/1", 60)
            check("verified (sha256)" in text, text)
        fsck_exfat(self.image)
        return state


class Import(Arrival):
    command = "model import /disk/vdb/tiny.gguf --to vda"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.stick = fat_disk(folder / "stick.img", 64, self.model)

    def hardware(self) -> list[str]:
        stick = ["-drive", f"file={self.stick},format=raw,if=none,id=stick,readonly=on", "-device", "virtio-blk-pci,drive=stick"]
        return [*super().hardware(), *stick]

    def ready(self, guest: Guest) -> None:
        super().ready(guest)
        guest.until("mount", "/disk/vdb", 60)


class Pull(Arrival):
    net = ("-nic", "user,model=virtio-net-pci")

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.server = Server(self.model.read_bytes())
        self.command = f"model pull {self.server.url('/good/tiny.gguf', '10.0.2.2')} --to vda"

    def ready(self, guest: Guest) -> None:
        super().ready(guest)
        guest.until("ip", r"inet  10\.0\.2\.\d+", 60)


class Update(Scene):
    command, done = "update /disk/vdb/good.update", r"`reboot` tries it"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.site = Site(str(folder))
        update = self.site.update("good", self.site.kernel)
        self.image = self.site.image
        self.stick = fat_disk(folder / "stick.img", 64, update)

    def hardware(self) -> list[str]:
        return ["-drive", f"file={self.stick},format=raw,if=none,id=stick,readonly=on", "-device", "virtio-blk-pci,drive=stick"]

    def boots(self) -> dict:
        first = disk(self.image, "virtio-blk-pci")
        return {"boot": [*first[:-1], first[-1] + ",bootindex=0"]}

    def ready(self, guest: Guest) -> None:
        to_prompt(guest, 150)
        guest.until("mount", "/disk/vdb", 60)

    def judge(self) -> str:
        # A trial may fail for another reason than the cut, such as a machine that is too busy for its self-test.
        back = "the machine restarts with the kernel before it"
        with self.machine() as guest:
            if guest.expect(rf"^marrow> |^you> |{back}", 150)[0] == back:
                print("# " + re.search(r"this kernel has not proved itself: .*", guest.output)[0], flush=True)
                guest.wait_exit(60)  # QEMU ends where the machine would restart
                return self.judge_start()
            return self.judge_guest(guest)

    def judge_start(self) -> str:
        with self.machine() as guest:
            return self.judge_guest(guest)

    def judge_guest(self, guest: Guest) -> str:
        to_prompt(guest, 150)
        text = guest.command_output("update status", 60)
        check("PANIC" not in guest.output, guest.output[-2000:])
        if re.search(r"a +99\.1, runs \(.*\), starts\n", text):
            check("has proved itself and starts from now on" in guest.output or "before it" in text, guest.output[-2000:])
            return "new"
        check(re.search(r"installed +of the installation, runs \(.*\), starts\n", text) is not None, text)
        return "old, the new one was tried" if "was tried and has not proved itself" in text else "old"


class Trial(Update):
    """Begins with a machine that was switched on, and no memory."""
    done = r"has proved itself and starts from now on"

    def prepare(self) -> float:
        with self.machine() as guest:
            self.ready(guest)
            check(re.search(super().done, guest.command_output(super().command, 300)) is not None, guest.output[-2000:])
        shutil.copyfile(self.image, self.start)
        begin = time.monotonic()
        check(self.cut(300), "the new kernel has not proved itself")
        return time.monotonic() - begin

    def again(self) -> Guest:
        shutil.copyfile(self.start, self.image)
        return self.machine()

    def wake(self, guest: Guest) -> None:
        pass

    def type(self, guest: Guest, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not re.search(self.done, guest.output):
            check(guest.pump(0.02), f"QEMU has ended:\n{guest.output[-2000:]}")
        return time.monotonic() < end


class Install(Scene):
    command, done = "install vda", r"vda is complete"
    answers = ((r"Its name, to go on: ", "vda"),)

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        empty_disk(str(folder), 192)
        self.model = tiny_gguf.write(ROOT / "build/test/installed-large.gguf", TOKENS)
        self.iso = small_iso("install-cuts", CONFIG, self.model)
        kernel = folder / "kernel"
        subprocess.run([tool("xorriso"), "-osirrox", "on", "-indev", self.iso, "-extract", "/boot/marrow.elf", kernel], check=True,
                       capture_output=True)
        self.kernel = kernel.read_bytes()

    def boots(self) -> dict:
        return {"iso": self.iso}

    def ready(self, guest: Guest) -> None:
        to_prompt(guest, 120)
        guest.until("lsblk", "vda", 60)
        guest.until("mount", r"iso9660", 60)

    def judge(self) -> str:
        with self.image.open("rb") as file:
            if file.read(512) == bytes(512):
                return "empty"
        text = subprocess.run([tool("sgdisk"), "-v", self.image], capture_output=True, text=True, check=False).stdout
        check("No problems found" in text, text)
        boot = part_of(self.image, 2, str(self.folder))
        done = subprocess.run([tool("fsck.fat"), "-n", boot], capture_output=True, text=True, check=False)
        check(done.returncode == 0, done.stdout)
        there = self.folder / "marrow.elf"
        subprocess.run([tool("mcopy"), "-n", "-o", "-i", boot, "::/boot/marrow.elf", there], check=True)
        check(there.read_bytes() == self.kernel, "the kernel on the disk is another one")
        with Guest(boot=disk(self.image, "virtio-blk-pci"), memory=MEMORY) as guest:
            talks = to_prompt(guest, 150)
        return "boots, with its model" if talks else "boots, without a model"

    def finish(self) -> None:
        """The disk that was cut last is installed on again, and starts by every firmware."""
        with self.machine() as guest:
            self.ready(guest)
            check(self.type(guest, 600), guest.output[-2000:])
        judge(self.image, str(self.folder))
        for firmware in FIRMWARE:
            starts(firmware, self.image, "virtio-blk-pci", self.model.stem)


SCENES = {"install": Install, "import": Import, "pull": Pull, "update": Update, "trial": Trial}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("count", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=1, dest="first")
    words = parser.parse_args()
    left, failed = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        scene = SCENES[words.scene](pathlib.Path(folder))
        whole = scene.prepare()
        print(f"# {words.scene}, seed {words.seed}: {whole:.1f} s without a cut", flush=True)
        for number in range(words.first, words.count + 1):
            seconds = random.Random(f"{words.seed}/{number}").uniform(0, whole)
            try:
                over = scene.cut(seconds)
                state = scene.judge()
            except FAILURES as error:
                failed += 1
                kept = ROOT / f"build/test/cut-{words.scene}-{words.seed}-{number}.img"
                shutil.copyfile(scene.image, kept)
                print(f"not ok {number} - cut after {seconds:.2f} s; the disk is {kept.relative_to(ROOT)}", flush=True)
                print("\n".join(f"#   {line}" for line in str(error).splitlines()[-40:]), flush=True)
                continue
            left[state] = left.get(state, 0) + 1
            print(f"ok {number} - cut after {seconds:.2f} s{', when it was over' if over else ''}: {state}", flush=True)
        if isinstance(scene, Install):
            scene.finish()
    print("# " + ", ".join(f"{state}: {times}" for state, times in sorted(left.items())))
    print(f"{sum(left.values())} passed, {failed} failed")
    sys.exit(1 if failed or not left else 0)


if __name__ == "__main__":
    main()
