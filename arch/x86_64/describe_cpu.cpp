// SPDX-License-Identifier: GPL-2.0-or-later
// What CPUID says about the processor, for the `cpu` command. Intel SDM vol. 2A, CPUID.
#include <arch/cpu.h>
#include <cpuid.h>

#include "kernel/base/bytes.h"

namespace arch {
namespace {

struct Leaf {
  u32 a = 0, b = 0, c = 0, d = 0;
};
Leaf read_leaf(u32 leaf) {
  Leaf r;
  if (__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

}  // namespace

void describe_cpu(base::Writer& out) {
  char brand[48] = {};
  for (u32 i = 0; i < 3; i++) {
    Leaf part = read_leaf(0x80000002 + i);
    std::memcpy(brand + i * sizeof part, &part, sizeof part);
  }
  std::string_view name(brand, sizeof brand);
  name = name.substr(0, name.find(char{0}));
  while (name.starts_with(' ')) name.remove_prefix(1);
  u32 signature = read_leaf(1).a;
  u32 family = (signature >> 8 & 15) + ((signature >> 8 & 15) == 15 ? signature >> 20 & 255 : 0);
  u32 model = (signature >> 4 & 15) | (signature >> 12 & 0xf0);
  base::format_to(out, "cpu: {}, family {} model {} stepping {}\n", name.empty() ? "unnamed" : name,
                  family, model, signature & 15);
}

}  // namespace arch
