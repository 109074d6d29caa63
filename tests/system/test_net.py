#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of the booted kernel over virtio-net and e1000e: addresses, ping, links, the API server."""
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from harness import MODEL, PROMPT, ROOT, TWIN, Guest, case, check, main, need
from serving import free_port, twin

CARDS = {"virtio-net-pci": "virtio_net", "e1000e": "e1000e"}
LEASE = r"net: eth0: 10\.0\.2\.15/24 by DHCP, gateway 10\.0\.2\.2"


def nic(model: str, port: int = 0) -> tuple:
    forward = f",hostfwd=tcp:127.0.0.1:{port}-:8080" if port else ""
    return ("-nic", f"user,id=n0,model={model}{forward}")


def address_and_ping(model: str) -> None:
    with Guest("log=info ntp=off", cpus=2, memory="512M", net=nic(model)) as guest:
        guest.expect(PROMPT, 30)
        guest.expect(LEASE, 20)
        text = guest.command_output("ip")
        check(f"eth0: {CARDS[model]} " in text and "link up" in text, text)
        check("inet  10.0.2.15/24 gateway 10.0.2.2" in text, text)
        check("name server 10.0.2.3" in text, text)
        check(re.search(r"inet6 fe80::", text), text)
        text = guest.command_output("ping 10.0.2.2 3")
        check("3 sent, 3 answered" in text, text)
        worst = float(re.search(r"/ ([0-9.]+) ms least, mean, most", text).group(1))
        check(worst < 500, f"an answer was noticed late:\n{text}")


@case
def virtio_dhcp_ping():
    """virtio-net: an address by DHCP, ping of the gateway"""
    address_and_ping("virtio-net-pci")


@case
def e1000e_dhcp_ping():
    """e1000e: an address by DHCP, ping of the gateway"""
    address_and_ping("e1000e")


@case
def static_address():
    """a static address: no DHCP request is sent; a ping of an unused address gets no answer"""
    with Guest("net=10.0.2.77/24,10.0.2.2,10.0.2.3 ntp=off", cpus=1, memory="512M",
               net=nic("virtio-net-pci")) as guest:
        guest.expect(PROMPT, 30)
        time.sleep(1)
        text = guest.command_output("ip")
        check("inet  10.0.2.77/24 gateway 10.0.2.2" in text, text)
        check("2 sent, 2 answered" in guest.command_output("ping 10.0.2.2 2"), "ping")
        text = guest.command_output("ping 10.0.2.99 1")
        check("nobody answered" in text, text)


@case
def off():
    """net=off: there is no network, and the commands say so"""
    with Guest("net=off", cpus=1, memory="512M", net=nic("virtio-net-pci")) as guest:
        guest.expect(PROMPT, 30)
        check("needs Marrow's own network" in guest.command_output("ip"), "ip")


def get(port: int, path: str, seconds: float = 10) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def over_tls(port: int, shown: str) -> None:
    """The server speaks TLS 1.3 and 1.2 and nothing older; its certificate is the one that the console shows."""
    for version, cipher in ((ssl.TLSVersion.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256"),
                            (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, \
                context.wrap_socket(plain) as secure:
            check(secure.cipher()[0] == cipher, f"{secure.version()} {secure.cipher()}")
            der = secure.getpeercert(binary_form=True)
            check(hashlib.sha256(der).hexdigest() == shown.replace(":", ""), f"another certificate than {shown}")
            secure.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := secure.recv(4096):
                answer += part
            check(answer.endswith(b'{"status":"live"}'), f"{answer}")
    # The certificate is valid for the machine's name, and a client can trust it without a CA.
    trusting = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(der))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, \
            trusting.wrap_socket(plain, server_hostname="marrow.local") as secure:
        check(secure.version() == "TLSv1.3", f"{secure.version()}")
    old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_1", "-cipher",
                          "DEFAULT@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    check(b"Cipher is (NONE)" in old.stdout, f"TLS 1.1 was spoken:\n{old.stdout.decode()}")


@case
def certificate_on_a_disk():
    """the certificate of the first start is kept on a disk and used by the next boot; a stick is neither read nor written"""
    mkfs = shutil.which("mkfs.vfat") or shutil.which("mkfs.vfat", path="/usr/sbin:/sbin")
    need(pathlib.Path(mkfs or "/usr/sbin/mkfs.vfat"), "scripts/setup.sh test")
    with tempfile.TemporaryDirectory() as folder:
        image = pathlib.Path(folder) / "disk.img"
        subprocess.run(["truncate", "-s", "64M", image], check=True)
        subprocess.run([mkfs, "-F", "32", image], check=True, stdout=subprocess.DEVNULL)
        drive = ["-drive", f"file={image},format=raw,if=none,id=d0"]
        inside = ["-device", "virtio-blk-pci,drive=d0"]
        stick = ["-device", "qemu-xhci", "-device", "usb-storage,drive=d0"]
        prints = []
        for said, device, name in (("/disk/vda/marrow", inside, "vda"),
                                   ("the one kept from an earlier start", inside, "vda"),
                                   ("in memory only", stick, "sda")):
            port = free_port()
            with Guest("log=info auth=none ntp=off", cpus=1, memory="512M", net=nic("virtio-net-pci", port),
                       extra=drive + device) as guest:
                guest.expect(PROMPT, 30)
                guest.expect(LEASE, 20)
                guest.until("mount", f"/disk/{name}", 30)
                text = guest.command_output("serve start", 30)
                check(said in text, text)
                prints.append(re.search(r"SHA-256 fingerprint ([0-9a-f:]{95})", text).group(1))
                over_tls(port, prints[-1])
                guest.command_output("serve stop")
        check(prints[0] == prints[1], f"{prints[0]} became {prints[1]}")
        check(prints[0] != prints[2], "the key of a stick was taken")


def serves(model: str) -> None:
    port = free_port()
    with Guest("log=info auth=none ntp=off", cpus=2, memory="512M", net=nic(model, port)) as guest:
        guest.expect(PROMPT, 30)
        guest.expect(LEASE, 20)
        text = guest.command_output("serve start")
        over_tls(port, re.search(r"SHA-256 fingerprint ([0-9a-f:]{95})", text).group(1))
        status, body = get(port, "/health")
        check(status in (200, 503) and b"status" in body, f"{status} {body}")
        status, page = get(port, "/")
        check(status == 200 and page.rstrip().endswith(b"</html>"), f"{status}, {len(page)} bytes")
        status, body = get(port, "/v1/models")
        check(status == 200 and json.loads(body)["object"] == "list", f"{status} {body}")
        for _ in range(50):  # one connection after the other
            check(get(port, "/health")[0] in (200, 503), "health")
        check("listen" in guest.command_output("ss"), "ss")


@case
def virtio_serves():
    """virtio-net: the API server answers through a forwarded port"""
    serves("virtio-net-pci")


@case
def e1000e_serves():
    """e1000e: the API server answers through a forwarded port"""
    serves("e1000e")


def ask(base: str, path: str, body: dict) -> tuple[int, dict]:
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@case
def models_by_request():
    """the twin loads models by request: the reply means loaded; damaged and missing files are errors; no request is lost"""
    need(MODEL, "make model")
    need(TWIN, "make host")
    with tempfile.TemporaryDirectory() as folder, twin(TWIN, MODEL, "auth=none admin=open") as (base, _):
        port = int(base.rsplit(":", 1)[1])
        files = {name: pathlib.Path(folder) / f"{name}.gguf" for name in ("other", "cut", "junk")}
        files["other"].symlink_to(MODEL)
        files["cut"].write_bytes(MODEL.read_bytes()[:4_000_000])
        files["junk"].write_bytes(b"\x01\x02\x03" * 700)
        for name, status, why in (("cut", 422, "a tensor reaches past the end"), ("junk", 422, "not begin as a GGUF file"),
                                  ("absent", 404, "no such model")):
            got, answer = ask(base, "/v1/models/load", {"model": str(files.get(name, f"{folder}/absent.gguf"))})
            check(got == status and why in answer["error"]["message"], f"{name}: {got} {answer}")
        prompt = {"prompt": "Once upon a time", "n_predict": 300, "ignore_eos": True}
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            running = [pool.submit(ask, base, "/completion", {**prompt, "seed": i}) for i in range(4)]
            while json.loads(get(port, "/health")[1])["stats"]["requests_active"] < 4:
                time.sleep(0.01)
            load = pool.submit(ask, base, "/v1/models/load", {"model": str(files["other"])})
            while not load.done():
                got, answer = ask(base, "/completion", {**prompt, "n_predict": 1})
                check(got == 200, f"a request beside the load: {got} {answer}")
            for future in running:
                got, answer = future.result()
                check(got == 200 and answer["tokens_predicted"] == 300, f"{got} {answer}")
            got, answer = load.result()
        check(got == 200 and answer["status"] == "loaded", f"{got} {answer}")
        listed = json.loads(get(port, "/v1/models")[1])["data"]
        check(listed[0]["id"] == "other" and listed[0]["status"] == "loaded", f"{listed}")
        check(ask(base, "/completion", {**prompt, "n_predict": 2})[0] == 200, "the new model does not answer")
        got, answer = ask(base, "/models/unload", {"model": "other"})
        check(got == 200 and answer["status"] == "unloaded", f"{got} {answer}")
        check(ask(base, "/completion", prompt)[0] == 503, "an unloaded model answers")


@case
def abuse():
    """the twin under abuse: smuggling, slow and vanishing clients, deep JSON, aborts (all of it: make test-net-long)"""
    need(MODEL, "make model")
    need(TWIN, "make host")
    done = subprocess.run([sys.executable, str(ROOT / "tests/system/http_abuse.py"), "--twin", str(TWIN), "--model",
                           str(MODEL), "--requests", "1280", "--aborts", "20"], capture_output=True, text=True,
                          timeout=400, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
