#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs README's two commands on bare Debian systems, as a newcomer would. Needs root, and Debian.

Usage: test_fresh.py [--release 12|13] [--command run|test] [--plant PACKAGE] [--keep]

Each release is bootstrapped into a folder: Debian's smallest set of packages, git and make. The last
commit of this tree is cloned into it; apt and pip are set up there as on this machine. `make run` must
then reach the chat, answer a question and power off, and `make test` must end with `N passed, 0 failed`.
A table gives each step's minutes, and its processor minutes: half of these is the least that two quiet
processors need.

  --release   only Debian 12, or only Debian 13
  --command   only one of the two commands
  --plant     takes PACKAGE's rows out of the clone's scripts/setup.sh: passes if a command then fails for want of it
  --keep      leaves the systems under build/fresh, to look into
"""
import argparse
import contextlib
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from fetch_third_party import KEYS, sources_of
from qemu_test import PATIENCE, Guest, Hang

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/fresh"
RELEASES = {"12": "bookworm", "13": "trixie"}
CLONE = "root/marrow"
# The settings with which this machine's clients reach their registries: proxies, certificates, names, passwords.
VARIABLES = re.compile(r"(https?|ftp|no|all)_proxy|PIP_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.I)
CLIENT_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d", "/etc/pip.conf",
                "/root/.config/pip", "/root/.pip", "/root/.netrc", "/usr/local/share/ca-certificates",
                "/etc/ssl/certs/ca-certificates.crt")
APT_OPTION = re.compile(r'Acquire::(?!IndexTargets|CompressionTypes|Changelogs|cdrom)[^ ]+ "(.*)";')
HOUR = 3600 / PATIENCE  # as Guest.expect counts
ANSWERED = r"^\[[^\n]*tokens, [^\n]*context \d+ of \d+\]$"


class Failed(Exception):
    """Raised when a step did not do what README says. The message is the reason."""


class Terminal:
    """The near side of a pseudo-terminal, with the methods that Guest needs of its pipes."""

    def __init__(self, number: int):
        self.number = number

    def fileno(self) -> int:
        return self.number

    def read(self) -> bytes:
        try:
            return os.read(self.number, 1 << 16)
        except OSError:  # EIO: the far side is closed
            return b""

    def write(self, data: bytes) -> None:
        os.write(self.number, data)

    def flush(self) -> None:
        pass


class Shell(Guest):
    """Runs a command on a pseudo-terminal, which is read and typed to like a machine's console."""

    def __init__(self, command: list[str], log: pathlib.Path):
        self.command, self.log, self.raw, self.output = command, log, b"", ""

    def __enter__(self):
        terminal, child = pty.openpty()
        self.start = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=child, stdout=child, stderr=child, start_new_session=True)
        os.close(child)
        self.process.stdin = self.process.stdout = Terminal(terminal)
        self.watch()
        return self

    def __exit__(self, *reason):
        super().__exit__(*reason)
        os.close(self.process.stdout.fileno())

    def pump(self, wait: float) -> bool:
        had = len(self.raw)
        more = super().pump(wait)
        with self.log.open("ab") as log:
            log.write(self.raw[had:])
        return more


class Clock:
    """The rows of the table: a name, minutes on the wall, minutes of processors."""

    def __init__(self):
        self.rows, self.wall, self.used = [], time.monotonic(), processor_seconds()

    def lap(self, name: str) -> None:
        wall, used = time.monotonic(), processor_seconds()
        self.rows.append((name, (wall - self.wall) / 60, (used - self.used) / 60))
        print(f"fresh: {name}: {self.rows[-1][1]:.1f} min", flush=True)
        self.wall, self.used = wall, used


def processor_seconds() -> float:
    """Returns the processor time of every process in this namespace, including running ones."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def setup_rows() -> list[str]:
    return (ROOT / "scripts/setup.sh").read_text().splitlines()


def package_of(row: str) -> str | None:
    """Returns the package that a row of the set-up's table installs, or None for any other line."""
    fields = [field.strip() for field in row.split("|")]
    return fields[2] if len(fields) == 4 else None


def run(command: list[str], log: pathlib.Path) -> None:
    with log.open("ab") as out:
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode:
            raise Failed(f"`{' '.join(command)}` failed; {log.relative_to(ROOT)} says why")


class System:
    """A bare Debian in a folder."""

    def __init__(self, number: str, folder: pathlib.Path, plant: str | None):
        self.number, self.release, self.root = number, RELEASES[number], folder / number
        self.log = FOLDER / (f"{number}-without-{plant}.log" if plant else f"{number}.log")
        self.sources = [line for line in sources_of(self.release) if line.startswith("deb ")]
        self.log.write_bytes(b"")
        self.clock = Clock()

    def bootstrap(self) -> None:
        mirror = next(line.split()[2] for line in self.sources if line.split()[3] == self.release)
        run(["debootstrap", "--variant=minbase", f"--keyring={KEYS}", "--include=git,make,ca-certificates", self.release,
             str(self.root), mirror], self.log)
        for kind, path in (("proc", "proc"), ("sysfs", "sys")):
            run(["mount", "-t", kind, kind, str(self.root / path)], self.log)
        run(["mount", "--rbind", "/dev", str(self.root / "dev")], self.log)

    def configure(self) -> None:
        """apt's and pip's settings are this machine's; what apt does besides fetching stays Debian's."""
        files = {pathlib.Path(path) for path in CLIENT_FILES}
        options = []
        for line in subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout.splitlines():
            if match := APT_OPTION.fullmatch(line):
                options.append(line + "\n")
                files |= {pathlib.Path(match[1])} if match[1].startswith("/") else set()
        for path in sorted(file for file in files if file.exists()):
            target = self.root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True) if target.is_symlink() else None
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, target)
        (self.root / "etc/apt/apt.conf.d/00host").write_text("".join(options))
        (self.root / "etc/apt/sources.list").write_text("\n".join(self.sources) + "\n")

    def clone(self) -> None:
        run(["git", "clone", "-q", str(ROOT), str(self.root / CLONE)], self.log)

    def plant(self, package: str) -> None:
        """Takes the package's rows out of the clone's set-up."""
        table = self.root / CLONE / "scripts/setup.sh"
        table.write_text("".join(row for row in table.read_text().splitlines(keepends=True) if package_of(row) != package))

    def misses(self, package: str) -> bool:
        """Returns true if the package caused the failure: something that it installs is reported as missing."""
        said = self.log.read_text(errors="replace")
        names = [re.escape(row.split("|")[1].strip().rsplit("/", 1)[-1]) for row in setup_rows() if package_of(row) == package]
        return any(re.search(rf"\b{name}\b.*(not found|No such file|missing)|No (such file|rule).*\b{name}\b", said) for name in names)

    def shell(self, line: str) -> Shell:
        variables = [f"{name}={value}" for name, value in os.environ.items() if VARIABLES.fullmatch(name)]
        return Shell(["chroot", str(self.root), "env", "-i", "HOME=/root", "TERM=vt100", "LANG=C.UTF-8",
                      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *variables,
                      "sh", "-c", f"cd /{CLONE} && exec {line}"], self.log)

    def command_run(self) -> None:
        with self.shell("make run") as shell:
            for pattern, step in ((r"^setup: done$", "set-up"), (r"^qemu-system-x86_64 ", "download and build"),
                                  (r"^you> $", "boot")):
                shell.expect(pattern, 2 * HOUR)
                self.clock.lap(f"make run: {step}")
            shell.send("What is the capital of France?\r")
            answer = shell.expect(ANSWERED, HOUR / 4)
            self.clock.lap("make run: an answer")
            shell.expect(r"^you> $", HOUR / 4, answer.end())
            shell.send("/exit\r")
            shell.expect(r"^marrow> $", HOUR / 4)
            shell.send("poweroff\r")
            status = shell.wait_exit(HOUR / 4)
        if status != 0:
            raise Failed(f"make run ended with status {status}")
        if "Paris" not in shell.output[:answer.end()]:
            raise Failed("the answer does not name Paris")

    def command_test(self) -> None:
        with self.shell("make test") as shell:
            verdict = shell.expect(r"^\d+ passed, (\d+) failed(, \d+ skipped)?$", 4 * HOUR)
            status = shell.wait_exit(HOUR / 4)
        self.clock.lap("make test")
        if verdict[1] != "0" or status != 0:
            raise Failed(f"make test failed:\n{shell.output[-3000:]}")
        print(f"fresh: {verdict[0]}")


COMMANDS = {"run": System.command_run, "test": System.command_test}


def try_system(system: System, options: argparse.Namespace) -> bool:
    """Returns true if everything requested passed. With a plant: if it failed because the package is missing."""
    try:
        system.bootstrap()
        system.configure()
        system.clone()
        if options.plant:
            system.plant(options.plant)
        system.clock.lap("bare system")
        for name in [options.command] if options.command else COMMANDS:
            COMMANDS[name](system)
    except (Failed, Hang) as reason:
        print(f"fresh: Debian {system.number}: failed: {reason}", flush=True)
        return options.plant is not None and system.misses(options.plant)
    return options.plant is None


def inside(options: argparse.Namespace) -> int:
    """In the namespace: every release in turn. Returns the exit status."""
    systems = [System(number, pathlib.Path(options.folder), options.plant)
               for number in ([options.release] if options.release else RELEASES)]
    passed = 0
    for system in systems:
        print(f"fresh: Debian {system.number}: all that is said goes to {system.log.relative_to(ROOT)}", flush=True)
        system.clock = Clock()
        good = try_system(system, options)
        passed += good
        if options.plant:
            print(f"fresh: without {options.plant} the command {'fails because of it, as it must' if good else 'does not fail because of it'}")
    print(f"\n{'':12}{'step':34}{'minutes':>9}{'processor minutes':>20}")
    for system in systems:
        for name, wall, used in system.clock.rows:
            print(f"Debian {system.number:5}{name:34}{wall:9.1f}{used:20.1f}")
    print(f"test-fresh: {passed} passed, {len(systems) - passed} failed")
    return 1 if passed < len(systems) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", choices=RELEASES)
    parser.add_argument("--command", choices=COMMANDS)
    parser.add_argument("--plant")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # for the process in the namespace
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.folder:
        sys.exit(inside(options))
    if options.plant and options.plant not in map(package_of, setup_rows()):
        sys.exit(f"test_fresh: no row of scripts/setup.sh brings {options.plant}")
    if os.geteuid() != 0:
        sys.exit("test_fresh: this makes mounts and changes root: run it as root")
    if subprocess.run(["git", "-C", str(ROOT), "status", "--porcelain"], capture_output=True, check=True).stdout:
        print("fresh: tests the last commit; uncommitted changes are left out")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("test_fresh: ended by a signal"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="", dir=FOLDER))
    # Mounts and processes live in namespaces of their own: they end with the command below, however it ends.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv,
               "--folder", str(folder)]
    status = 1
    try:
        status = subprocess.run(command, check=False).returncode
    finally:
        if options.keep:
            print(f"fresh: the systems and their logs are in {folder}")
        else:
            remove(folder)
    sys.exit(status)


def remove(folder: pathlib.Path) -> None:
    """Removes a folder, trying again because a killed process may still write for a moment."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.5)
    sys.exit(f"test_fresh: {folder} could not be removed")


if __name__ == "__main__":
    main()
