#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Load and abuse of a running server's HTTP: short requests, slow clients, half-sent bodies, keys.

Usage: http_abuse.py [--base URL] [--requests 10000] [--aborts 1000] [--key KEY] [--only NAME]
       http_abuse.py --twin build/host/marrow --model FILE.gguf   (starts and stops the twin)
       http_abuse.py --guest virtio-net-pci|e1000e [--wire tap] [--arch aarch64] --model FILE.gguf
                     (the booted kernel; tap needs root)
Only the standard library.
Prints TAP; exit status 1 on failure.
"""
import argparse
import contextlib
import http.client
import json
import re
import socket
import struct
import sys
import threading
import time

import serving


class Server:
    def __init__(self, base, key):
        self.host, port = re.match(r"http://([^:/]+):(\d+)", base).groups()
        self.port, self.key, self.twin = int(port), key, 0  # twin: its process, when it is one

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def facts(self):
        c = http.client.HTTPConnection(self.host, self.port, timeout=30)
        c.request("GET", "/health")
        return json.loads(c.getresponse().read())

    def stats(self):
        return self.facts()["stats"]

    def memory(self):
        """Bytes in use: of the machine, or of the twin's process."""
        if self.twin:
            with open(f"/proc/{self.twin}/status", encoding="ascii") as status:
                return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024
        return self.facts()["memory"]["used_bytes"]

    def health(self):
        """Seconds to an answer. Connecting does not count: an emulator's forwarded port loses some, which come a second later."""
        c = http.client.HTTPConnection(self.host, self.port, timeout=30)
        c.connect()
        start = time.time()
        c.request("GET", "/health/live")
        assert c.getresponse().status == 200
        c.close()
        return time.time() - start


def short_requests(server, arguments):
    """64 connections, kept alive: every request is answered."""
    errors, per, ready = [], arguments.requests // 64, []
    for _ in range(64):  # one by one: an emulator's forwarded port loses connections that come in a burst
        ready.append(http.client.HTTPConnection(server.host, server.port, timeout=60))
        ready[-1].request("GET", "/health/live")
        ready[-1].getresponse().read()
    def work(c):
        try:
            for _ in range(per):
                c.request("GET", "/health/live")
                answer = c.getresponse()
                if answer.status != 200 or answer.read() != b'{"status":"live"}':
                    errors.append(answer.status)
        except OSError as error:
            errors.append(str(error))
    start = time.time()
    threads = [threading.Thread(target=work, args=(c,)) for c in ready]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in ready:
        c.close()
    print(f"#   {per * 64} requests in {time.time() - start:.1f} s, {len(errors)} errors {errors[:3]}")
    return not errors


def slow_clients(server, _):
    """64 half-sent heads and 64 half-sent bodies; a good client is served meanwhile."""
    held = []
    for i in range(128):
        s = server.connect()
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{" if i % 2 else b"GET / HT")
        held.append(s)
    worst = max(server.health() for _ in range(5))
    print(f"#   worst answer among 128 slow clients {worst * 1000:.1f} ms")
    for s in held:
        s.close()
    return worst < 1


def one_byte_writes(server, _):
    s = server.connect()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
        s.sendall(bytes([byte]))
    data = b""
    while part := s.recv(4096):
        data += part
    return data.startswith(b"HTTP/1.1 200 OK") and data.endswith(b'{"status":"live"}')


def pipelined(server, _):
    s = server.connect()
    s.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50 + b"garbage\r\n\r\n")
    data = b""
    while part := s.recv(65536):
        data += part
    return data.count(b"HTTP/1.1 200 OK") == 50 and data.count(b"HTTP/1.1 400") == 1


def deep_json(server, _):
    for body in (b"[" * 100, b"[" * 1_000_000, b'{"messages":' * 5000):
        c = http.client.HTTPConnection(server.host, server.port, timeout=30)
        start = time.time()
        headers = {"Authorization": "Bearer " + server.key} if server.key else {}
        c.request("POST", "/v1/chat/completions", body, headers)
        status = c.getresponse().status
        if status != 400 or time.time() - start > 2:
            print(f"#   {status} after {time.time() - start:.2f} s")
            return False
    return True


def smuggling(server, _):
    """Requests that two HTTP parsers could split differently: each is refused and its connection closed."""
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
    inner = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    pairs = [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
             b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
             b"Content-Length: 0, 5\r\n\r\n", b"Content-Length: +5\r\n\r\n", b"Content-Length: 0x5\r\n\r\n",
             b"Content-Length: -1\r\n\r\n", b"Content-Length: 99999999999999999999\r\n\r\n",
             b"Transfer-Encoding: xchunked\r\n\r\n", b"Transfer-Encoding : chunked\r\n\r\n",
             b"Transfer-Encoding: chunked, identity\r\n\r\n", b"Transfer-Encoding:\x0bchunked\r\n\r\n",
             b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", b"X: a\nContent-Length: 0\r\n\r\n",
             b"X: a\r\rContent-Length: 0\r\n\r\n", b"X\0: a\r\n\r\n",
             b"Transfer-Encoding: chunked\r\n\r\n5;a=\"\n\"\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n",
             b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"]
    for pair in pairs:
        with server.connect() as s:
            s.sendall(head + pair + inner)
            data = b""
            try:
                while part := s.recv(65536):
                    data += part
            except ConnectionResetError:
                pass
        if data.count(b"HTTP/1.1 ") != 1 or data.split(b" ")[1] not in (b"400", b"411", b"413", b"501"):
            print(f"#   {pair!r}: {data[:80]!r}")
            return False
    return True


def large_json(server, _):
    """A body of 16 MB, which is allowed, and one of a byte more, which is not."""
    headers = {"Content-Type": "application/json"}
    if server.key:
        headers["Authorization"] = "Bearer " + server.key
    for size, wanted in ((16 * 1024 * 1024 - 20, (200, 400)), (16 * 1024 * 1024 + 1, (413,))):
        body = b'{"content":"' + b"a" * (size - 14) + b'"}'
        c = http.client.HTTPConnection(server.host, server.port, timeout=600)
        try:
            c.request("POST", "/tokenize", body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused by its head: the answer has been sent and can be read
        status = c.getresponse().status
        c.close()
        if status not in wanted:
            print(f"#   {size} bytes: {status}")
            return False
    return server.health() < 5


def half_open(server, _):
    """64 connections that say nothing, 64 that vanish with a reset in mid-request."""
    held = [server.connect() for _ in range(64)]
    for _ in range(64):
        s = server.connect()
        s.sendall(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    worst = max(server.health() for _ in range(5))
    for s in held:
        s.close()
    return worst < 2


def aborts(server, arguments):
    """Streams whose client leaves after the first bytes: the server stops their work and serves a good client."""
    body = b'{"prompt":"Once upon a time","n_predict":200,"stream":true}'
    key = f"Authorization: Bearer {server.key}\r\n".encode() if server.key else b""
    head = b"POST /completion HTTP/1.1\r\nHost: localhost\r\n" + key + b"Content-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    worst = 0.0
    for number in range(arguments.aborts):
        with server.connect() as s:
            s.sendall(request)
            if number % 3:
                s.recv(1 + number % 300)
        if number % 50 == 0:
            worst = max(worst, server.health())
    end = time.time() + 30
    while (active := server.stats()["requests_active"]) and time.time() < end:
        time.sleep(0.1)
    print(f"#   {arguments.aborts} aborts, worst /health {worst * 1000:.0f} ms, {active} still at work")
    return active == 0 and worst < 5


def memory_is_flat(server, arguments):
    """A second run of the same requests takes no more memory."""
    before = server.memory()
    short_requests(server, arguments)
    pipelined(server, arguments)
    after = server.memory()
    print(f"#   {before} bytes in use, then {after}")
    return after - before < 1024 * 1024


def status_of(server, request):
    """Returns the status of the reply to these bytes (0 without a reply) and its headers."""
    with server.connect() as s:
        s.sendall(request)
        data = b""
        try:
            while b"\r\n\r\n" not in data and (part := s.recv(65536)):
                data += part
        except ConnectionResetError:
            pass
    return int(data.split(b" ")[1]) if data.startswith(b"HTTP/1.") else 0, data


def echo_flood(server, _):
    """A stream whose first chunk exceeds what a client may leave unread is dropped; the server goes on."""
    body = json.dumps({"prompt": [" " * 70_000] * 64, "echo": True, "stream": True, "max_tokens": 1}).encode()
    key = f"Authorization: Bearer {server.key}\r\n".encode() if server.key else b""
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + key
    for _ in range(3):
        with server.connect() as s:
            s.settimeout(600)
            try:
                s.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                while s.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass
        server.health()
    end = time.time() + 60
    while (active := server.stats()["requests_active"]) and time.time() < end:
        time.sleep(0.1)
    return active == 0


def refused_by_the_head(server, _):
    """A request that its head already forbids is refused before a byte of its body has arrived."""
    long = b"Content-Length: 16000000\r\n\r\n"
    rows = [(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n", 404), (b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\n", 405)]
    post = b"POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
    if server.key:
        rows += [(post + b"Host: localhost\r\n", 401), (post + b"Host: localhost\r\nAuthorization: " + server.key.encode() + b"\r\n", 401)]
    else:
        rows += [(post + b"Host: evil.example\r\n", 403), (post + b"Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
                 (post + b"Host: localhost\r\nOrigin: null\r\n", 403),
                 (b"POST /v1/models/load HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", 403),
                 (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n", 415)]
    for head, wanted in rows:
        for more in (long, b"Expect: 100-continue\r\n" + long, b"Transfer-Encoding: chunked\r\n\r\n"):
            got, data = status_of(server, head + more)
            if got != wanted or b"Connection: close" not in data:
                print(f"#   {head + more!r}: {data[:300]!r}")
                return False
    return True


def half_bodies(server, _):
    """40 bodies of 16 MB, a quarter of each: at most http.bodies_mb= is kept, and the others are told to retry."""
    key = f"Authorization: Bearer {server.key}\r\n".encode() if server.key else b""
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + key + \
        b"Content-Length: 16000000\r\n\r\n"
    before, held, told = server.memory(), [], 0
    for _ in range(40):
        s = server.connect()
        held.append(s)
        try:
            s.sendall(head + b" " * 4_000_000)
        except (ConnectionResetError, BrokenPipeError):
            pass
    worst = server.health()
    taken = server.memory() - before
    for s in held:
        s.settimeout(0.2)
        try:
            data = s.recv(4096)
            told += data.startswith(b"HTTP/1.1 503") and b"Retry-After: 1" in data
        except OSError:
            pass
        s.close()
    print(f"#   {taken} bytes taken, {told} of 40 told to come back, /health in {worst * 1000:.0f} ms")
    return told >= 10 and taken < 128 * 1024 * 1024 and worst < 5


def keys(server, _):
    if not server.key:
        return True
    def status(**headers):
        c = http.client.HTTPConnection(server.host, server.port, timeout=30)
        c.request("GET", "/v1/models", headers=headers)
        return c.getresponse().status
    return (status(), status(Authorization="Bearer x"), status(Authorization="Bearer " + server.key)) == (401, 401, 200)


@contextlib.contextmanager
def started(arguments):
    """Returns the server to test, and its process when it is the twin."""
    if arguments.twin:
        with serving.twin(arguments.twin, arguments.model, "") as (base, process):
            yield base, process.pid
    elif arguments.guest:
        with serving.guest(arguments.guest, arguments.model, "auth=none", wire=arguments.wire, arch=arguments.arch) as (base, _):
            yield base, 0
    else:
        yield arguments.base, 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="http://127.0.0.1:8080")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--key", default="")
    parser.add_argument("--aborts", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--twin")
    parser.add_argument("--guest")
    parser.add_argument("--wire", default="user", choices=serving.WIRES)
    parser.add_argument("--arch", default="", choices=("x86_64", "aarch64"), help="of the guest's kernel (else MARROW_KERNEL)")
    parser.add_argument("--model")
    arguments = parser.parse_args()
    tests = [short_requests, slow_clients, one_byte_writes, pipelined, deep_json, large_json, smuggling, half_open,
             echo_flood, refused_by_the_head, half_bodies, aborts, memory_is_flat, keys]
    tests = [test for test in tests if arguments.only in test.__name__]
    failed = 0
    with started(arguments) as (base, process):
        server = Server(base, arguments.key)
        server.twin = process
        for number, test in enumerate(tests, 1):
            good = test(server, arguments)
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} - http_abuse.{test.__name__}", flush=True)
    print(f"1..{len(tests)}\n{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
