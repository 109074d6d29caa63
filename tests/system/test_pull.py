#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`model pull` from a server that cuts, redirects, lies, stalls and sends wrong bytes: the twin, and a machine with exFAT."""
import json
import os
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import tiny_gguf
from disk_images import disk, exfat_disk, fsck_exfat, tool
from harness import PROMPT, ROOT, TWIN, Guest, Skip, case, check, main
from pull_server import Server
from serving import free_port

SIZE = 1_234_567
BODY = b"GGUF" + random.Random(1).randbytes(SIZE - 4)
QUICK = ("pull.pause=0", "pull.timeout=30", "pull.tries=3")


class Place:
    """A folder that models are pulled into."""

    def __init__(self, folder: str):
        self.folder = pathlib.Path(folder)

    def command(self, source: str, *words: str) -> list[str]:
        options = [word for word in words if "=" in word]
        rest = " ".join(word for word in words if "=" not in word)
        return [TWIN, "log=warn", *QUICK, *options, f"run=model pull {source} --to {self.folder} {rest}; poweroff"]

    def pull(self, source: str, *words: str, status: int = 0) -> str:
        done = subprocess.run(self.command(source, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        text = done.stdout + done.stderr
        check(done.returncode == status, f"model pull {source} {words}: status {done.returncode}\n{text}")
        return text

    def file(self, generation: int = 1, name: str = "tiny") -> pathlib.Path:
        return self.folder / f"models/{name}/{generation}/model.gguf"

    def has(self, generation: int = 1, name: str = "tiny") -> bool:
        """Whether the model is there as a whole: its bytes, a manifest, and no mark of an attempt."""
        file = self.file(generation, name)
        beside = {path.name for path in file.parent.iterdir()} if file.parent.exists() else set()
        return beside == {"model.gguf", "manifest.toml"} and file.read_bytes() == BODY


def place_and_server():
    return tempfile.TemporaryDirectory(), Server(BODY)


@case
def whole_and_again():
    """a model comes as a bundle; the same bytes are not fetched twice, and a good generation is never overwritten"""
    folder, server = place_and_server()
    with folder as path, server:
        place = Place(path)
        text = place.pull(server.url("/good/tiny.gguf"))
        check("models/tiny/1 is complete (no SHA-256 was known" in text and "MiB/s" in text and place.has(), text)
        check(server.seen[0][1]["Host"] == f"127.0.0.1:{server.port}", str(server.seen))
        text = place.pull(server.url("/good/tiny.gguf"), "--sha256", server.digest)
        check("nothing was fetched" in text and not place.file(2).exists(), text)
        server.body = BODY[:-1] + b"!"
        text = place.pull(server.url("/good/tiny.gguf"))
        check("models/tiny/2 is complete" in text and place.has(1) and place.file(2).read_bytes() == server.body, text)
        server.body = BODY
        text = place.pull(server.url("/good/x.gguf"), "--name", "other")
        check(place.has(1, "other"), text)
        text = place.pull(server.url("/good/y.gguf"), "--sha256", server.digest.upper())
        check("models/y/1 is complete and verified" in text and place.has(1, "y"), text)


@case
def connections_that_break():
    """cut, anonymous, deaf to ranges, out of order, silent: the file comes as a whole, and only its rest is fetched again"""
    for way, tries in (("cut", 4), ("anonymous", 2), ("deaf", 2), ("tired", 3), ("stall", 2)):
        folder, server = place_and_server()
        with folder as path, server:
            place = Place(path)
            # A busy machine may be silent for more than two seconds once more.
            words, most = (("pull.timeout=2",), tries + 4) if way == "stall" else ((), tries)
            text = place.pull(server.url(f"/{way}/tiny.gguf"), *words)
            check(place.has(), f"{way}: {text}")
            asked = server.requests(f"/{way}/tiny.gguf")
            check(tries <= len(asked) <= most and text.count("trying again") == len(asked) - 1, f"{way}: {asked}\n{text}")
            ranges = [headers.get("Range") for headers in asked]
            if way in ("cut", "stall"):
                check(all(ranges[1:]) and asked[1]["If-Range"] == '"one"', f"{way}: {asked}")
                check(text.count("fetched in") == 1 and "1.2 MiB fetched" in text, f"{way}: {text}")
            if way == "anonymous":
                check(not any(ranges), str(ranges))


@case
def later():
    """a pull that gave up, one that was stopped and one that was killed are gone on with by the same command"""
    folder, server = place_and_server()
    with folder as path, server:
        place = Place(path)
        text = place.pull(server.url("/short/tiny.gguf"), status=1)
        check("given up; what has come stays" in text and text.count("trying again") == 2, text)
        check((place.folder / "models/tiny/1/partial").exists(), text)
        text = place.pull(server.url("/good/tiny.gguf"))  # another address: something else
        check(place.has() and "on the disk already" not in text, text)
    for how in (signal.SIGINT, signal.SIGKILL):
        folder, server = place_and_server()
        with folder as path, server:
            place = Place(path)
            process = subprocess.Popen(place.command(server.url("/slow/tiny.gguf")), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            end = time.monotonic() + 30
            while not (place.file().exists() and place.file().stat().st_size > 0) and time.monotonic() < end:
                time.sleep(0.05)
            process.send_signal(how)
            text = process.communicate(timeout=30)[0]
            check(how != signal.SIGINT or "stopped; what has come stays" in text, text)
            there = place.file().stat().st_size
            check(0 < there < SIZE, f"{how}: {there}: {text}")
            text = place.pull(server.url("/slow/tiny.gguf"))
            check("on the disk already" in text and place.has(), text)
            last = server.requests("/slow/tiny.gguf")[-1]
            check(last["Range"] == f"bytes={there}-", str(last))


@case
def refused_by_name():
    """wrong bytes, web pages, lies, denials, circles and noise: a sentence for each, and nothing stays"""
    rows = (("wrong", "not the bytes that were wanted", ("--sha256", "{digest}")), ("html", "is a web page, not a model", ()),
            ("changed", "changed on the server", ()), ("missing", "no such file (404)", ()), ("denied", "wants a token (401)", ()),
            ("broken", "out of order (5xx)", ()), ("circle", "redirects in a circle", ()), ("noise", "not HTTP/1.1", ()),
            ("plain", "does not tell the file's length", ()), ("good", "64 hexadecimal digits", ("--sha256", "12")),
            ("good", "verify=require", ("verify=require",)), ("good", "cannot be a model's name", ("--name", "..")))
    folder, server = place_and_server()
    with folder as path, server:
        place = Place(path)
        for way, sentence, words in rows:
            words = [word.format(digest=server.digest) for word in words]
            text = place.pull(server.url(f"/{way}/tiny.gguf"), *words, status=1)
            check(sentence in text, f"{way}: {text}")
            check(not (place.folder / "models/tiny").exists(), f"{way}: {list(place.folder.rglob('*'))}")
        text = place.pull(server.url("/good/big-00001-of-00002.gguf"), status=1)
        check("in several files cannot be pulled" in text, text)
    folder, server = place_and_server()
    with folder as path:
        server.__exit__()
        text = Place(path).pull(server.url("/good/tiny.gguf"), status=1)
        check("refuses the connection" in text and "check the address" in text, text)
        text = Place(path).pull("http://name.invalid/tiny.gguf", status=1)
        check("name is not known" in text, text)


@case
def hugging_face():
    """hf: a redirect to another host, whose address is good once; the token stays with the first one; the hash is checked"""
    folder, server = place_and_server()
    with folder as path, server, Server(BODY) as other:
        server.other, place = other, Place(path)
        source, point = "hf:owner/repository/tiny.gguf", f"pull.hf={server.url('/')}"
        text = place.pull(source, point, status=1)
        check("wants a token (401)" in text, text)
        text = place.pull(source, point, "pull.token=hf_secret")
        check(place.has() and text.count("trying again") == 1, text)
        check(all(h.get("Authorization") == "Bearer hf_secret" for _, h in server.seen[1:]), str(server.seen))
        check(len(other.seen) == 2 and not any("Authorization" in headers for _, headers in other.seen), str(other.seen))
        check(other.seen[0][0] != other.seen[1][0], "the old signed address was used again")
        check("nothing was fetched" in place.pull(source, point, "--token", "hf_secret"), "fetched twice")
        server.digest = "0" * 64
        text = place.pull(source, point, "--token", "hf_secret", "--name", "x", status=1)
        check("not the bytes that were wanted" in text and not (place.folder / "models/x").exists(), text)


@case
def ollama_and_catalogue():
    """ollama: manifest, then the blob by its digest; names of the catalogue, with and without a hash"""
    folder, server = place_and_server()
    with folder as path, server:
        place, point = Place(path), f"pull.ollama={server.url('')}"
        text = place.pull("ollama:tiny:1b", point)
        check(place.has(1, "tiny-1b"), text)
        check("manifest.v2+json" in server.seen[0][1]["Accept"], str(server.seen))
        check("no such file (404)" in place.pull("ollama:other", point, status=1), "another model was found")
        check("ollama:MODEL:TAG" in place.pull("ollama:a/b/c", point, status=1), "a wrong name was taken")
        text = subprocess.run([TWIN, "run=model pull; poweroff"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=30, check=True).stdout
        check("smollm2-135m-instruct-q4_1" in text and "not pinned" in text, text)
        point = f"pull.hf={server.url('')}"
        check("catalogue has no such model" in place.pull("nobody", status=1), "an unknown name was taken")
        text = place.pull("stories260k", point, status=1)
        check("nothing was fetched" in text and "not pinned" in text, text)
        check("404" in place.pull("stories260k", point, "--yes", status=1), "not asked for")


@case
def names_of_hugging_face():
    """hf:OWNER/REPOSITORY:QUANT and hf.co/… find the file in the repository's list, whose hash is checked"""
    folder, server = place_and_server()
    with folder as path, server:
        place, point = Place(path), f"pull.hf={server.url('')}"
        text = place.pull("hf:o/Tiny-GGUF:q8_0", point)
        check("complete and verified" in text and place.has(1, "Tiny-q8_0"), text)
        check(server.seen[-1][0] == "/o/Tiny-GGUF/resolve/main/Tiny-Q8_0.gguf", str(server.seen))
        text = place.pull("hf.co/o/Tiny-GGUF", point)
        check(place.has(1, "Tiny") and server.seen[-1][0].endswith("Q4_K_M.gguf"), text)
        check("no file of this quantization" in place.pull("hf:o/Tiny-GGUF:Q2_K", point, status=1), "another file was taken")
        check("names a file" in place.pull("hf:o", point, status=1), "a wrong name was taken")


@case
def tokens_of_registries():
    """ollama: a 401 that names a token server is answered with its token, which may expire; a realm elsewhere without https is not asked"""
    folder, server = place_and_server()
    with folder as path, server, Server(BODY) as giver:
        server.other, place, point = giver, Place(path), f"pull.ollama={server.url('')}"
        realm = giver.url("/token/give")
        server.challenge = f'Basic realm="x", Bearer realm="{realm}",service="r e",scope="repository:library/tiny:pull"'
        text = place.pull("ollama:tiny:1b", point)
        check(place.has(1, "tiny-1b") and "complete and verified" in text, text)
        check([seen for seen, _ in giver.seen] == ["/token/give?service=r%20e&scope=repository%3alibrary%2ftiny%3apull"] * 2,
              f"the blob's first answer is a 401, too: {giver.seen}")
        check(not any("Authorization" in headers for _, headers in giver.seen), str(giver.seen))
        used = [headers.get("Authorization") for _, headers in server.seen]
        check(used == [None, "Bearer token-1", "Bearer token-1", "Bearer token-2"], str(used))
        for challenge, sentence in ((f'Bearer realm="{giver.url("/token/x", "localhost")}"', "token server without https"),
                                    (f'Bearer realm="{giver.url("/html/x")}"', "is not JSON"),
                                    ('Bearer realm="x', "malformed"), ("Basic realm=x", "wants a token (401)")):
            server.challenge, asked = challenge, len(giver.seen)
            text = place.pull("ollama:tiny:2b", point, status=1)
            check(sentence in text and "trying again" not in text, f"{challenge}: {text}")
            check("/html/" in challenge or len(giver.seen) == asked, f"{challenge}: it was asked")


class Api:
    """A twin that serves, with a folder for what it pulls."""

    def __init__(self, folder: str, *options: str):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.command = [TWIN, "model=none", f"http.port={port}", "auth=none", "admin=open", "log=warn", "tls=off", *QUICK,
                        f"pull.to={folder}", *options, "run=serve"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        said = ""
        while '"event":"listening"' not in said:
            line = self.process.stdout.readline()
            check(line, f"the server did not start: {said}")
            said += line
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def open(self, path: str, body: dict | None, method: str = "POST"):
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(
            urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method), timeout=60)

    def ask(self, path: str, body: dict | None, method: str = "POST") -> tuple[int, str]:
        try:
            with self.open(path, body, method) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def statuses(text: str) -> list[str]:
    return [json.loads(line.removeprefix("data: "))["status"] for line in text.splitlines() if line.strip()]


@case
def over_the_api():
    """POST /api/pull and /v1/models/pull: each stage is told, another model is refused meanwhile, the same one is joined"""
    folder, server = place_and_server()
    with folder as path, server, Api(path, f"pull.ollama={server.url('')}") as api:
        place = Place(path)
        status, text = api.ask("/api/pull", {"model": "tiny:1b"})
        said = statuses(text)
        check(status == 200 and said[0] == "pulling manifest" and f"pulling {server.digest[:12]}" in said, text)
        check(said[-3:] == ["verifying sha256 digest", "writing manifest", "success"] and place.has(1, "tiny-1b"), text)
        status, text = api.ask("/api/pull", {"model": "tiny:1b", "stream": False})
        check((status, text) == (200, '{"status":"success"}') and not place.file(2, "tiny-1b").exists(), text)
        status, text = api.ask("/api/pull", {"model": "nobody", "stream": False})
        check(status == 404 and "404" in text, text)
        status, text = api.ask("/v1/models/pull", {"source": server.url("/cut/other.gguf"), "name": "mine"})
        said = statuses(text)
        check(place.has(1, "mine") and sum("trying again" in line for line in said) == 3, text)
        check('"model":"mine"' in text and '"verified":false' in text, text)
        slow = {"source": server.url("/slow/slow.gguf")}
        with api.open("/v1/models/pull", slow) as first:
            check(b"pulling manifest" in first.readline(), "no first line")
            status, text = api.ask("/api/pull", {"model": "tiny:2b", "stream": False})
            check(status == 409 and "another model is being pulled" in text, text)
            joined = statuses(api.ask("/v1/models/pull", slow)[1])
            check(joined[-1] == "success" and statuses(first.read().decode())[-1] == "success", str(joined))
        check(place.has(1, "slow") and len(server.requests("/slow/slow.gguf")) == 1, str(server.seen))


@case
def clients_that_leave():
    """the pull goes on without the client; DELETE /v1/models/pull stops it, what has come stays, and the next request goes on"""
    folder, server = place_and_server()
    with folder as path, server, Api(path) as api:
        place, slow = Place(path), {"source": server.url("/slow/slow.gguf")}
        with api.open("/v1/models/pull", slow) as first:
            first.readline()
        wait_for(lambda: place.has(1, "slow"))
        check(len(server.requests("/slow/slow.gguf")) == 1, "it was fetched twice")
        check(api.ask("/v1/models/pull", None, "DELETE")[0] == 404, "nothing is pulled, and was stopped")
        later = {"source": server.url("/slow/later.gguf")}
        with api.open("/v1/models/pull", later) as first:
            wait_for(lambda: place.file(1, "later").exists() and place.file(1, "later").stat().st_size > 100_000)
            status, text = api.ask("/v1/models/pull", None, "DELETE")
            check((status, text) == (200, '{"stopped":true}'), text)
            check("stopped; what has come stays" in first.read().decode(), "the client was not told")
        check((place.file(1, "later").parent / "partial").exists(), "nothing stayed")
        status, text = api.ask("/v1/models/pull", later)
        check("are on the disk already" in text and place.has(1, "later"), text)
        check(server.requests("/slow/later.gguf")[-1]["Range"].startswith("bytes="), str(server.seen))


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        check(time.monotonic() < end, "it did not happen")
        time.sleep(0.1)


@case
def not_for_everybody():
    """without admin rights nobody pulls; verify=require refuses what nobody has signed"""
    folder, server = place_and_server()
    with folder as path, server:
        source = {"source": server.url("/good/tiny.gguf"), "model": server.url("/good/tiny.gguf")}
        for options, status in (("admin=key", 403), ("admin=closed", 403), ("verify=require", 403)):
            with Api(path, options) as api:
                for route in ("/api/pull", "/v1/models/pull"):
                    check(api.ask(route, source)[0] == status, f"{options}: {route}")
        check(not server.seen, str(server.seen))


@case
def ollamas_client():
    """Ollama's Python client pulls a model, lists it and lets it answer, by the name that it pulled"""
    python = os.environ.get("CLIENT_PYTHON") or sys.executable
    if subprocess.run([python, "-c", "import ollama"], capture_output=True, check=False).returncode != 0:
        raise Skip("CLIENT_PYTHON has no package ollama")
    model = tiny_gguf.write(ROOT / "build/test/pulled.gguf").read_bytes()
    with tempfile.TemporaryDirectory() as path, Server(model) as server, Api(path, f"pull.ollama={server.url('')}") as api:
        done = subprocess.run([python, str(pathlib.Path(__file__).with_name("ollama_pull.py")), api.base], capture_output=True,
                              text=True, timeout=300, check=False)
        check(done.returncode == 0 and "pulled" in done.stdout, done.stdout + done.stderr)


def certificates(folder: pathlib.Path) -> ssl.SSLContext:
    """Makes an authority, ca.pem, another one, other.pem, and a server of the first one for localhost and 127.0.0.2."""
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout",
                folder / f"{name}.key", "-out", folder / f"{name}.pem", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", folder / "own.key", "-out", folder / "own.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.2,IP:::1\n")
    openssl("x509", "-req", "-in", folder / "own.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial",
            "-extfile", folder / "names", "-out", folder / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    return context


def openssl(*words) -> None:
    subprocess.run([tool("openssl"), *map(str, words)], check=True, capture_output=True)


@case
def https():
    """https: the chain is checked against tls.ca=, and the host's name; cut connections go on; no redirect leads to http"""
    with tempfile.TemporaryDirectory() as path:
        place, folder = Place(path), pathlib.Path(path)
        context = certificates(folder)
        with Server(BODY, context) as server, Server(BODY) as plain, Server(BODY, context, "127.0.0.2") as other:
            server.other, authority = plain, f"tls.ca={folder}/ca.pem"
            text = place.pull(server.url("/good/tiny.gguf", "localhost"), authority)
            check(place.has(), text)
            text = place.pull(other.url("/good/address.gguf", "127.0.0.2"), authority)
            check(place.has(1, "address"), text)
            text = place.pull(server.url("/cut/more.gguf", "localhost"), authority)
            check(place.has(1, "more") and text.count("trying again") == 3, text)
            point = f"pull.ollama={server.url('', 'localhost')}"
            text = place.pull("ollama:tiny:1b", point, authority)
            check(place.has(1, "tiny-1b"), text)
            for host, words, sentence in (("127.0.0.1", [authority], "certificate is for another host"),
                                          ("localhost", [f"tls.ca={folder}/other.pem"], "no authority that is trusted"),
                                          ("localhost", [f"tls.ca={folder}/own.key"], "no usable certificate"),
                                          ("localhost", [f"tls.ca={folder}/none"], "no such file")):
                text = place.pull(server.url("/good/bad.gguf", host), *words, status=1)
                check(sentence in text and "trying again" not in text, text)
            text = place.pull(server.url("/away/bad.gguf", "localhost"), authority, status=1)
            check("from https to http" in text and not plain.seen, text)
            check(not (place.folder / "models/bad").exists(), "a refused file stayed")
            text = place.pull(plain.url("/nothing/x.gguf").replace("http:", "https:"), authority, status=1)
            check("TLS failed" in text or "silent" in text, text)


@case
def in_the_machine():
    """the machine pulls to exFAT over a connection that is cut, is powered off in the middle, and goes on after the next start"""
    with tempfile.TemporaryDirectory() as path, Server(BODY) as server:
        inner = exfat_disk(pathlib.Path(path) / "inner.img", 64)
        net = ("-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile=")
        options = "log=info pull.pause=0"
        with Guest(append=options, net=net, extra=disk(inner, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            guest.until("mount", r"/disk/vda", 60)
            guest.until("ip", r"inet  10\.0\.2\.\d+", 60)
            text = guest.command_output(f"model pull {server.url('/cut/tiny.gguf', '10.0.2.2')}", 60)
            check("/disk/vda/models/tiny/1 is complete" in text and text.count("trying again") == 3, text)
            text = guest.command_output(f"model pull {server.url('/wrong/tiny.gguf', '10.0.2.2')} --name bad --sha256 {server.digest}", 60)
            check("not the bytes that were wanted" in text, text)
            check("bad" not in guest.command_output("ls /disk/vda/models", 20), "wrong bytes stayed")
            guest.send(f"model pull {server.url('/slow/later.gguf', '10.0.2.2')}\r")
            guest.settle(1.2)
        fsck_exfat(inner)
        with Guest(append=options, net=net, extra=disk(inner, "virtio-blk-pci")) as guest:
            guest.expect(PROMPT, 60)
            guest.until("mount", r"/disk/vda", 60)
            guest.until("ip", r"inet  10\.0\.2\.\d+", 60)
            text = guest.command_output(f"model pull {server.url('/slow/later.gguf', '10.0.2.2')}; model list", 60)
            check("/disk/vda/models/later/1 is complete" in text and "not complete" not in text, text)
        fsck_exfat(inner)
        check(BODY in inner.read_bytes(), "the disk does not have the model")


if __name__ == "__main__":
    main()
