// SPDX-License-Identifier: GPL-2.0-or-later
// Parses arbitrary bytes as JSON. Parsing must end, and what parses must be the same after it was
// written and read again.
#include "kernel/base/json.h"

namespace {

String written(json::Value value) {
  String out;
  base::StringWriter sink(out);
  json::Writer(sink).value(value);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto first = json::Document::parse(text);
  if (!first.has_value()) return 0;
  String once = written(first->root());
  (void)first->root().scaled(3);
  (void)first->root().integer();
  auto second = json::Document::parse(once.view());
  ASSERT(second.has_value());
  ASSERT(written(second->root()).view() == once.view());
  return 0;
}
