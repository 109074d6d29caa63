# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads QEMU's device tree of a machine, changes it, and writes it again (Devicetree Specification 0.4, chapter 5)."""
import pathlib
import struct
import subprocess

BEGIN, END, PROPERTY, NOTHING, LAST = 1, 2, 3, 4, 9


def cells(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def text(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words)


class Node:
    def __init__(self, name: str):
        self.name, self.properties, self.children = name, {}, []

    def child(self, name: str, **properties: bytes) -> "Node":
        """Adds a node. An underscore in a property's name is written as a hyphen, two as a number sign in front."""
        node = Node(name)
        for key, value in properties.items():
            node.properties[("#" + key[2:] if key.startswith("__") else key).replace("_", "-")] = value
        self.children.append(node)
        return node

    def at(self, path: str) -> "Node":
        node = self
        for word in filter(None, path.split("/")):
            node = next(n for n in node.children if n.name == word)
        return node


def read(blob: bytes) -> Node:
    _, _, struct_at, strings_at = struct.unpack(">4I", blob[:16])
    holder, path, at = Node(""), [], struct_at
    path.append(holder)
    while True:
        token = struct.unpack_from(">I", blob, at)[0]
        at += 4
        if token == BEGIN:
            name = blob[at:blob.index(b"\0", at)].decode()
            at += (len(name) + 4) & ~3
            path.append(path[-1].child(name))
        elif token == END:
            path.pop()
        elif token == PROPERTY:
            size, offset = struct.unpack_from(">2I", blob, at)
            key = blob[strings_at + offset:blob.index(b"\0", strings_at + offset)].decode()
            path[-1].properties[key] = blob[at + 8:at + 8 + size]
            at += 8 + ((size + 3) & ~3)
        elif token == LAST:
            return holder.children[0]


def write(root: Node) -> bytes:
    strings, body = bytearray(), bytearray()

    def put(data: bytes) -> None:
        body.extend(data + bytes(-len(data) % 4))

    def emit(node: Node) -> None:
        put(cells(BEGIN))
        put(text(node.name))
        for key, value in node.properties.items():
            offset = strings.find(text(key))
            if offset < 0:
                offset = len(strings)
                strings.extend(text(key))
            put(cells(PROPERTY, len(value), offset))
            put(value)
        for child in node.children:
            emit(child)
        put(cells(END))

    emit(root)
    put(cells(LAST))
    kept, head = bytes(16), 40
    struct_at, strings_at = head + len(kept), head + len(kept) + len(body)
    total = strings_at + len(strings)
    return cells(0xd00dfeed, total, struct_at, strings_at, head, 17, 16, 0, len(strings), len(body)) + kept + bytes(body) + bytes(strings)


def of_machine(program: str, board: str, cpus: int, folder: str) -> Node:
    """Returns the tree that QEMU makes for this machine."""
    path = pathlib.Path(folder) / "machine.dtb"
    subprocess.run([program, "-machine", f"{board},dumpdtb={path}", "-cpu", "cortex-a72", "-smp", str(cpus), "-display", "none"],
                   check=True, capture_output=True)
    return read(path.read_bytes())
