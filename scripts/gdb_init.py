# SPDX-License-Identifier: GPL-2.0-or-later
"""For `make debug`: attaches gdb to QEMU's stub and knows Marrow's containers and log."""
import gdb


class VectorPrinter:
    """Shows Vector<T> and StaticVector<T, N> as their elements."""

    def __init__(self, value, data, size):
        self.data, self.size = data, int(size)

    def to_string(self):
        return f"{self.size} elements"

    def children(self):
        for i in range(min(self.size, 64)):
            yield f"[{i}]", self.data[i]

    def display_hint(self):
        return "array"


def printer(value):
    name = value.type.strip_typedefs().name or ""
    if name.startswith("Vector<"):
        return VectorPrinter(value, value["data_"], value["size_"])
    if name.startswith("StaticVector<"):
        return VectorPrinter(value, value["items_"]["_M_elems"], value["size_"])
    return None


gdb.pretty_printers.append(printer)
gdb.execute("set pagination off")
gdb.execute("set architecture i386:x86-64")
gdb.execute("target remote :1234")
gdb.execute("hbreak kernel_main")
print("Stopped before the first instruction; `continue` runs to kernel_main.")
