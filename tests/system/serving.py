# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared by the suites of the API server: servers to test (the twin, a guest, any other), and TAP."""
import argparse
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

# The server needs this option: the test of retries fills its queue.
QUEUE = 12
OPTIONS = f"auth=none admin=open http.queue={QUEUE}"


_tests = []  # of the suite that this process runs


def test(function):
    """Makes a function a case of the suite."""
    _tests.append(function)
    return function


def expect_error(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def twin(program, model, options=OPTIONS, before=()):
    """The hosted twin as a server: (base URL, process). `before` is a command that starts it, such as taskset."""
    port = free_port()
    process = subprocess.Popen([*before, program, f"model={model}", f"http.port={port}", *options.split(), "run=serve"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if '"event":"ready"' in line:
                break
        else:
            raise SystemExit("the twin ended before it was ready")
        threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def forwarded(card):
    """QEMU's user network with one forwarded port of this machine: (arguments, URL, options, description)."""
    port = free_port()
    yield (("-nic", f"user,id=n0,model={card},hostfwd=tcp:127.0.0.1:{port}-:8080"), f"http://127.0.0.1:{port}", "",
           r"net: eth0: .* by DHCP")


@contextlib.contextmanager
def tapped(card):
    """A TAP device to this machine's own TCP/IP; needs root. Returns the same tuple as forwarded()."""
    name = f"marrow{free_port()}"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.77.0.1/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        nic = ("-netdev", f"tap,id=n0,ifname={name},script=no,downscript=no", "-device", f"{card},netdev=n0")
        yield nic, "http://10.77.0.2:8080", "net=10.77.0.2/24,10.77.0.1", r"net: eth0: 10\.77\.0\.2/24"
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


WIRES = {"user": forwarded, "tap": tapped}


@contextlib.contextmanager
def guest(card, model, options=OPTIONS, memory="1G", wire="user", arch=""):
    """The booted kernel of `arch` or MARROW_KERNEL as a server behind `card` ("virtio-net-pci", "e1000e"): (base URL, guest)."""
    from harness import KERNEL, PROMPT, Guest
    from qemu_test import MACHINES, machine_of
    kernel = MACHINES[arch].kernel if arch else KERNEL
    with WIRES[wire](card) as (nic, base, own, up), \
            Guest(f"log=info ntp=off model={machine_of(kernel).ramdisk} {own} {options}", cpus=2, memory=memory, net=nic,
                  model=model, kernel=kernel) as machine:
        machine.expect(PROMPT, 60)
        machine.expect(up, 30)
        machine.send("serve start\r")
        machine.expect(r'"event":"ready"', 120)
        # The guest's output must be read all the time: it stops when the pipe is full.
        done = threading.Event()
        reader = threading.Thread(target=lambda: [machine.pump(0.2) for _ in iter(done.is_set, True)], daemon=True)
        reader.start()
        try:
            yield base, machine
        finally:
            done.set()
            reader.join()


class Place:
    """A running server, for suites without a client of their own."""

    def __init__(self, base):
        self.base = base
        self.host, self.port = re.match(r"http://([^:/]+):(\d+)", base).groups()

    def get(self, path):
        with urllib.request.urlopen(self.base + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, body, content_type="application/json"):
        data = json.dumps(body).encode() if content_type == "application/json" else body.encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read().decode()

    def model(self):
        return json.loads(self.get("/v1/models"))["data"][0]["id"]

    def context(self):
        return json.loads(self.get("/props"))["default_generation_settings"]["n_ctx"]

    def running(self):
        stats = json.loads(self.get("/health"))["stats"]
        return stats["requests_active"] + stats["requests_queued"]

    def wait_idle(self, seconds=60):
        end = time.time() + seconds
        while self.running() > 0:
            assert time.time() < end, "requests stay at work"
            time.sleep(0.05)

    @contextlib.contextmanager
    def full_queue(self):
        """Fills the queue with endless streams; they end a second after the block begins to wait."""
        body = json.dumps({"prompt": "Once upon a time", "n_predict": 100_000, "ignore_eos": True, "stream": True}).encode()
        head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        held = []
        for _ in range(QUEUE):
            s = socket.create_connection((self.host, int(self.port)), timeout=60)
            s.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            held.append(s)
        end = time.time() + 30
        while self.running() < QUEUE:
            assert time.time() < end, f"the queue is not full: the server wants http.queue={QUEUE}"
            time.sleep(0.01)
        closer = threading.Timer(1.0, lambda: [s.close() for s in held])
        closer.start()
        try:
            yield
        finally:
            closer.join()


def run_suite(name, tests, make_context):
    """Runs every test of a suite against --base; prints TAP, returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="http://127.0.0.1:8080")
    parser.add_argument("--twin")
    parser.add_argument("--model")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    own = twin(arguments.twin, arguments.model) if arguments.twin else contextlib.nullcontext((arguments.base, None))
    failed = number = 0
    with own as (base, _):
        context = make_context(base)
        for function in tests:
            if arguments.only not in function.__name__:
                continue
            number += 1
            start = time.time()
            try:
                function(context)
                print(f"ok {number} - {name}.{function.__name__} # {time.time() - start:.1f} s", flush=True)
            except Exception:  # a test may fail in any way; the others still run
                failed += 1
                print("#   " + traceback.format_exc().strip().replace("\n", "\n#   "))
                print(f"not ok {number} - {name}.{function.__name__}", flush=True)
    print(f"1..{number}\n{number - failed} passed, {failed} failed")
    return 1 if failed or number == 0 else 0


def suite_exit(name, make_context):
    sys.exit(run_suite(name, _tests, make_context))
