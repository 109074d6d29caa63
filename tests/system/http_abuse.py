#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Load and abuse of a running server's HTTP: short requests, slow clients, half-sent bodies, keys.

Usage: http_abuse.py [--base URL] [--requests 10000] [--key KEY]. Only the standard library.
Prints TAP; exit status 1 on failure.
"""
import argparse
import http.client
import re
import socket
import sys
import threading
import time


class Server:
    def __init__(self, base, key):
        self.host, port = re.match(r"http://([^:/]+):(\d+)", base).groups()
        self.port, self.key = int(port), key

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def health(self):
        start = time.time()
        c = http.client.HTTPConnection(self.host, self.port, timeout=30)
        c.request("GET", "/health/live")
        assert c.getresponse().status == 200
        c.close()
        return time.time() - start


def short_requests(server, count):
    """64 connections, kept alive: every request is answered."""
    errors, per = [], count // 64
    def work():
        try:
            c = http.client.HTTPConnection(server.host, server.port, timeout=60)
            for _ in range(per):
                c.request("GET", "/health/live")
                answer = c.getresponse()
                if answer.status != 200 or answer.read() != b'{"status":"live"}':
                    errors.append(answer.status)
        except OSError as error:
            errors.append(str(error))
    start = time.time()
    threads = [threading.Thread(target=work) for _ in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"#   {per * 64} requests in {time.time() - start:.1f} s, {len(errors)} errors {errors[:3]}")
    return not errors


def slow_clients(server, _):
    """64 half-sent heads and 64 half-sent bodies; a good client is served meanwhile."""
    held = []
    for i in range(128):
        s = server.connect()
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{" if i % 2 else b"GET / HT")
        held.append(s)
    worst = max(server.health() for _ in range(5))
    print(f"#   worst answer among 128 slow clients {worst * 1000:.1f} ms")
    for s in held:
        s.close()
    return worst < 1


def one_byte_writes(server, _):
    s = server.connect()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /health/live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":
        s.sendall(bytes([byte]))
    data = b""
    while part := s.recv(4096):
        data += part
    return data.startswith(b"HTTP/1.1 200 OK") and data.endswith(b'{"status":"live"}')


def pipelined(server, _):
    s = server.connect()
    s.sendall(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n" * 50 + b"garbage\r\n\r\n")
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


def keys(server, _):
    if not server.key:
        return True
    def status(**headers):
        c = http.client.HTTPConnection(server.host, server.port, timeout=30)
        c.request("GET", "/v1/models", headers=headers)
        return c.getresponse().status
    return (status(), status(Authorization="Bearer x"), status(Authorization="Bearer " + server.key)) == (401, 401, 200)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="http://127.0.0.1:8080")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--key", default="")
    arguments = parser.parse_args()
    server, failed = Server(arguments.base, arguments.key), 0
    tests = [short_requests, slow_clients, one_byte_writes, pipelined, deep_json, keys]
    for number, test in enumerate(tests, 1):
        good = test(server, arguments.requests)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - http_abuse.{test.__name__}", flush=True)
    print(f"1..{len(tests)}\n{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
