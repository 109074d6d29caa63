// SPDX-License-Identifier: GPL-2.0-or-later
// A registry: commands, options, drivers and tests register themselves as rows of a linker section,
// so no central list names them.
//
// REGISTER_ROW(section, row) puts a pointer to the constexpr `row` into `section`;
// REGISTRY(section, Type) declares `section_rows()`, the span of them.
// The order of rows is not defined (it differs between compilers): sort by name before use.
#pragma once

#include <span>

#define REGISTER_ROW(section_name, row)                   \
  [[gnu::used, gnu::retain, gnu::section(#section_name)]] \
  static constinit const auto* const row##_entry = &row

// The weak attribute lets a program link without any row of this kind.
#define REGISTRY(section_name, Type)                                                              \
  extern "C" [[gnu::weak, gnu::visibility("hidden")]] const Type* const __start_##section_name[]; \
  extern "C" [[gnu::weak, gnu::visibility("hidden")]] const Type* const __stop_##section_name[];  \
  inline std::span<const Type* const> section_name##_rows() {                                     \
    return {__start_##section_name, __stop_##section_name};                                       \
  }
