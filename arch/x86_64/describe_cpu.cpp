// SPDX-License-Identifier: GPL-2.0-or-later
// Describes the CPU for the `cpu` command. Intel SDM vol. 2, CPUID.
#include <arch/cpu.h>
#include <arch/registers.h>

#include "arch/x86_64/apic.h"
#include "kernel/base/text.h"

namespace arch {
namespace {

// The name is padded with blanks in front and with zeros behind (AMD64 APM 3, Fn8000_0002).
std::string_view trimmed(std::string_view text) {
  return base::trim(text.substr(0, text.find('\0')), " ");
}

void describe_name(base::Writer& out) {
  constexpr u32 kFirst = 0x80000002, kLast = 0x80000004;
  char name[48] = {};
  if (cpuid(0x80000000).a >= kLast)
    for (u32 leaf = kFirst; leaf <= kLast; leaf++) {
      CpuidResult r = cpuid(leaf);
      std::memcpy(name + (leaf - kFirst) * sizeof r, &r, sizeof r);
    }
  base::format_to(out, "  name       {}\n", trimmed({name, sizeof name}));
  u32 id = cpuid(1).a;
  u32 family = id >> 8 & 15;
  u32 model = id >> 4 & 15;
  // The extended fields are valid only for these families.
  if (family == 6 || family == 15) model += (id >> 16 & 15) << 4;
  if (family == 15) family += id >> 20 & 255;
  base::format_to(out, "  version    family {}, model {}, stepping {}\n", family, model, id & 15);
}

// Prints the deterministic cache parameters from Intel's leaf, or from AMD's with the same layout.
void describe_caches(base::Writer& out) {
  bool amd = cpuid(0x80000000).a >= 0x8000001d && (cpuid(0x80000001).c >> 22 & 1) != 0;
  u32 leaf = amd ? 0x8000001d : 4;
  if (!amd && cpuid(0).a < 4) return;
  constexpr const char* kKinds[] = {"", "data", "code", "unified"};
  base::format_to(out, "  caches    ");
  for (u32 i = 0; i < 8; i++) {
    CpuidResult r = cpuid(leaf, i);
    u32 kind = r.a & 31;
    if (kind == 0 || kind > 3) break;
    u64 ways = (r.b >> 22) + 1;
    u64 partitions = (r.b >> 12 & 0x3ff) + 1;
    u64 line = (r.b & 0xfff) + 1;
    u64 bytes = ways * partitions * line * (u64{r.c} + 1);
    base::format_to(out, " L{} {} {} KiB", r.a >> 5 & 7, kKinds[kind], bytes / kKiB);
  }
  out.write("\n");
}

void describe_protection(base::Writer& out) {
  u64 cr4 = read_cr4();
  const struct {
    const char* name;
    bool on;
  } kRows[] = {{"write-protect", (read_cr0() >> 16 & 1) != 0},
               {"no-execute", (read_msr(msr::kEfer) >> 11 & 1) != 0},
               {"smep", (cr4 >> 20 & 1) != 0},
               {"smap", (cr4 >> 21 & 1) != 0},
               {"umip", (cr4 >> 11 & 1) != 0}};
  base::format_to(out, "  protection");
  for (const auto& row : kRows)
    if (row.on) base::format_to(out, " {}", row.name);
  out.write("\n");
}

}  // namespace

void describe_cpu(base::Writer& out) {
  describe_name(out);
  describe_caches(out);
  describe_protection(out);
  base::format_to(out, "  interrupts {}\n", apic::is_x2apic() ? "x2apic" : "xapic");
}

}  // namespace arch
