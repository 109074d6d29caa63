// SPDX-License-Identifier: GPL-2.0-or-later
// Describes the CPU in words for the `cpu` command. Arm ARM D19.2 (MIDR_EL1, CLIDR_EL1,
// CCSIDR_EL1).
#include <arch/cpu.h>
#include <arch/registers.h>

#include "arch/aarch64/gic.h"

namespace arch {
namespace {

struct PartName {
  u32 maker, part;
  const char* text;
};
constexpr PartName kParts[] = {
    {0x41, 0xd03, "Arm Cortex-A53"},  {0x41, 0xd05, "Arm Cortex-A55"},
    {0x41, 0xd07, "Arm Cortex-A57"},  {0x41, 0xd08, "Arm Cortex-A72"},
    {0x41, 0xd0b, "Arm Cortex-A76"},  {0x41, 0xd0c, "Arm Neoverse-N1"},
    {0x41, 0xd40, "Arm Neoverse-V1"}, {0x41, 0xd49, "Arm Neoverse-N2"},
    {0x41, 0xd4f, "Arm Neoverse-V2"}, {0xc0, 0xac3, "Ampere-1"},
    {0x00, 0x051, "QEMU's `max`"},
};

void describe_name(base::Writer& out) {
  u64 id = READ_SYSTEM("midr_el1");
  u32 maker = static_cast<u32>(id >> 24 & 0xff), part = static_cast<u32>(id >> 4 & 0xfff);
  const char* name = "not in the list of names";
  for (const PartName& row : kParts)
    if (row.maker == maker && row.part == part) name = row.text;
  base::format_to(out, "  name       {}\n", name);
  base::format_to(out, "  version    maker {:02x}, part {:03x}, variant {}, revision {}\n", maker,
                  part, id >> 20 & 15, id & 15);
}

void describe_caches(base::Writer& out) {
  constexpr u32 kSplit = 3, kUnified = 4;
  u64 levels = READ_SYSTEM("clidr_el1");
  bool wide = feature_field(READ_SYSTEM("id_aa64mmfr2_el1"), 20) != 0;  // CCSIDR has 64 bits
  base::format_to(out, "  caches    ");
  auto show = [&](u32 level, u64 code, const char* kind) {
    WRITE_SYSTEM("csselr_el1", u64{level} << 1 | code);
    u64 size = READ_SYSTEM("ccsidr_el1");
    u64 line = u64{16} << (size & 7);
    u64 ways = (wide ? size >> 3 & 0x1fffff : size >> 3 & 0x3ff) + 1;
    u64 sets = (wide ? size >> 32 & 0xffffff : size >> 13 & 0x7fff) + 1;
    base::format_to(out, " L{} {} {} KiB", level + 1, kind, line * ways * sets / kKiB);
  };
  for (u32 level = 0; level < 7; level++) {
    u32 kind = levels >> 3 * level & 7;
    if (kind == 0) break;
    if ((kind & 2) != 0 && kind <= kSplit) show(level, 0, "data");
    if ((kind & 1) != 0 && kind <= kSplit) show(level, 1, "code");
    if (kind == kUnified) show(level, 0, "unified");
  }
  out.write("\n");
}

void describe_protection(base::Writer& out) {
  u64 control = READ_SYSTEM("sctlr_el1");
  base::format_to(out, "  protection{}{}\n", (control >> 0 & 1) != 0 ? " no-execute" : "",
                  (control >> 19 & 1) != 0 ? " writable-is-no-execute" : "");
}

}  // namespace

void describe_cpu(base::Writer& out) {
  describe_name(out);
  describe_caches(out);
  describe_protection(out);
  base::format_to(out, "  interrupts {}\n", gic::name());
}

}  // namespace arch
