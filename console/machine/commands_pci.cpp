// SPDX-License-Identifier: GPL-2.0-or-later
// lspci: the functions of the machine.
#include "console/command.h"
#include "kernel/pci/pci.h"

namespace console {
namespace {

Result<void> run_lspci(const Arguments&, base::Writer& out) {
  for (const pci::Device& device : pci::devices()) {
    pci::print(device, out);
    out.write("\n");
  }
  return {};
}
constexpr Command kLspci{"lspci", "lspci", "PCI functions: address, vendor and device, class",
                         run_lspci};
CONSOLE_COMMAND(kLspci);

}  // namespace
}  // namespace console
