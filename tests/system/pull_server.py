# SPDX-License-Identifier: GPL-2.0-or-later
"""A server for test_pull.py and test_update.py whose answers go wrong in a way that the path names."""
import hashlib
import http.server
import json
import threading
import time

HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


class Quiet(http.server.ThreadingHTTPServer):
    """A server that says nothing of clients who leave or do not trust it."""
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Server:
    """Serves `body` on a free port of `host`. `seen` has each request: (path, headers)."""

    def __init__(self, body: bytes, tls=None, host: str = "127.0.0.1"):
        self.body, self.seen, self.counts = body, [], {}
        self.other = None  # the server that /away sends its clients to, and that gives tokens
        self.challenge = None  # with one, Ollama's registry wants a token: the header WWW-Authenticate
        self.tokens = 0  # given so far; only the last one is good
        self.digest = hashlib.sha256(body).hexdigest()
        self.http = Quiet((host, 0), type("Handler", (Handler,), {"own": self}))
        self.port = self.http.server_address[1]
        self.secure = tls is not None
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{path}"

    def requests(self, path: str) -> list[dict]:
        return [headers for seen, headers in self.seen if seen.split("?")[0] == path]


class Handler(http.server.BaseHTTPRequestHandler):
    """The first part of a path is the way of answering, the last one the name of the file."""
    protocol_version = "HTTP/1.1"
    own: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        own = self.own
        own.seen.append((self.path, dict(self.headers)))
        own.counts[self.path] = own.counts.get(self.path, 0) + 1
        way = self.path.split("/")[1].split("?")[0]
        try:
            getattr(self, f"way_{way}", self.way_missing)(own.body, own.counts[self.path])
        except OSError:
            pass  # the client has had enough
        self.close_connection = True

    def head(self, status: int, headers: dict) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def whole(self, body: bytes, **headers) -> None:
        """Answers with the file, or with the range that was asked for if If-Range allows it."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        etag = headers.setdefault("ETag", '"one"')
        wanted = self.headers.get("Range", "")
        if self.headers.get("If-Range", etag) != etag:
            wanted = ""
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers.setdefault("Content-Length", str(len(body) - start))
        headers = {name: value for name, value in headers.items() if value}
        self.head(206 if wanted else 200, headers)
        self.pour(body[start:])

    def pour(self, body: bytes) -> None:
        self.wfile.write(body)

    def way_missing(self, *_):
        self.head(404, {"Content-Length": "0"})

    def way_good(self, body, _):
        self.whole(body)

    def way_plain(self, body, _):
        """Chunks, and no length."""
        self.head(200, {"Transfer-Encoding": "chunked"})
        self.pour(b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1000], body[1000:])) + b"0\r\n\r\n")

    def cut(self, most: int) -> None:
        """Ends the connection behind so many bytes of the body."""
        self.pour = lambda data: Handler.pour(self, data[:most])

    def hold(self, most: int) -> None:
        """Sends so many bytes of the body, and waits until the client leaves."""
        self.pour = lambda data: (self.wfile.write(data[:most]), self.wfile.flush(), self.rfile.read(1))

    def way_cut(self, body, count):
        """Three connections end early, each a quarter further."""
        if count <= 3:
            self.cut(len(body) // 4)
        self.whole(body)

    def way_anonymous(self, body, count):
        """No mark of the version, and the first connection is cut."""
        if count == 1:
            self.cut(len(body) // 2)
        self.whole(body, ETag="")

    def way_deaf(self, body, count):
        """Cuts once, and ignores ranges."""
        del self.headers["Range"]
        if count == 1:
            self.cut(len(body) // 2)
        self.whole(body)

    def way_changed(self, body, count):
        """Cuts once, and has another version afterwards."""
        if count == 1:
            self.cut(len(body) // 2)
        self.whole(body, ETag='"one"' if count == 1 else '"two"')

    def way_short(self, body, count):
        """Says more than it has, every time."""
        self.cut(len(body) if count == 1 else 0)
        self.whole(body + bytes(1000))

    def way_brief(self, body, _):
        """Says less than it has."""
        self.whole(body[:-1000])

    def way_stingy(self, body, _):
        """Sends 4,096 bytes, and no more while the client waits."""
        self.hold(4096)
        self.whole(body)

    def way_weary(self, body, count):
        """Sends half and no more while the client waits, once."""
        if count == 1:
            self.hold(len(body) // 2)
        self.whole(body)

    def way_wrong(self, body, _):
        self.whole(body[:-1] + bytes([body[-1] ^ 1]))

    def way_html(self, *_):
        self.head(200, {"Content-Type": "text/html", "Content-Length": str(len(HTML))})
        self.wfile.write(HTML)

    def way_denied(self, *_):
        self.head(401, {"Content-Length": "0"})

    def way_broken(self, *_):
        self.head(500, {"Content-Length": "0"})

    def way_tired(self, body, count):
        """Is out of order twice."""
        if count <= 2:
            return self.way_broken()
        return self.whole(body)

    def way_stall(self, body, count):
        """Sends half and then nothing, once."""
        if count == 1:
            self.pour = lambda data: (self.wfile.write(data[:len(body) // 2]), self.wfile.flush(), time.sleep(5))
        self.whole(body)

    def way_slow(self, body, _):
        """Sends a little at a time."""
        def pour(data):
            for at in range(0, len(data), 30_000):
                self.wfile.write(data[at:at + 30_000])
                time.sleep(0.1)
        self.pour = pour
        self.whole(body)

    def way_circle(self, *_):
        self.head(302, {"Location": self.path, "Content-Length": "0"})

    def way_noise(self, *_):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    def way_away(self, *_):
        """Sends the client to another host, with a token of its own in the address."""
        self.head(302, {"Location": self.own.other.url("/signed/tiny.gguf?once=" + str(len(self.own.seen))),
                        "X-Linked-Etag": f'"{self.own.digest}"', "Content-Length": "0"})

    def way_signed(self, body, _):
        """An address that is good once, for half of the file."""
        if len(self.own.requests("/signed/tiny.gguf")) == 1:
            self.cut(len(body) // 2)
        self.whole(body)

    def way_owner(self, *_):
        """Hugging Face: /owner/repository/resolve/main/file."""
        if self.headers.get("Authorization") != "Bearer hf_secret":
            return self.way_denied()
        return self.way_away()

    def way_token(self, *_):
        """A token server."""
        self.own.tokens += 1
        text = json.dumps({"token": f"token-{self.own.tokens}"}).encode()
        self.head(200, {"Content-Length": str(len(text))})
        self.pour(text)

    def way_api(self, body, _):
        """Hugging Face: /api/models/owner/repository/tree/main."""
        files = [{"type": "file", "path": name, "size": len(body), "lfs": {"oid": self.own.digest, "size": len(body)}}
                 for name in ("README.md", "Tiny-Q8_0.gguf", "Tiny-Q4_K_M.gguf")]
        text = json.dumps(files).encode()
        self.head(200, {"Content-Length": str(len(text))})
        self.pour(text)

    def way_o(self, body, _):
        """Hugging Face, a repository for everybody: /o/Tiny-GGUF/resolve/main/file."""
        self.whole(body)

    def way_v2(self, body, count):
        """Ollama's registry. With a challenge, each of its addresses wants a new token when it is asked for the first time."""
        if self.own.challenge is not None:
            giver = self.own.other or self.own
            if count == 1 or self.headers.get("Authorization") != f"Bearer token-{giver.tokens}":
                return self.head(401, {"WWW-Authenticate": self.own.challenge, "Content-Length": "0"})
        if "/manifests/" in self.path:
            layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 5},
                      {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{self.own.digest}",
                       "size": len(body)}]
            if not self.path.startswith("/v2/library/tiny/"):
                return self.way_missing()
            text = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
            self.head(200, {"Content-Length": str(len(text))})
            return self.pour(text)
        return self.whole(body)
