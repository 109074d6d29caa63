// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as GRUB's environment block and as the head of an update file. A block that
// is taken means the same when it is written again, and a head is within its bounds.
#include <string>
#include <vector>

#include "service/update/block.h"
#include "service/update/file.h"

namespace {

using namespace service::update;

void read_block(std::string text) {
  text.resize(kBlockBytes, '#');
  auto block = parse_block(text);
  if (!block.has_value()) return;
  char bytes[kBlockBytes];
  write_block(*block, bytes);
  auto again = parse_block({bytes, sizeof bytes});
  ASSERT(again.has_value() && again->good == block->good && again->old == block->old);
  ASSERT(again->attempt == block->attempt && again->pending == block->pending);
  ASSERT(again->model.view() == block->model.view() && again->step.view() == block->step.view());
  ASSERT(again->reason.view() == block->reason.view() && again->network == block->network);
}

void read_head(std::vector<Byte> bytes) {
  bytes.resize(kHeadBytes);
  auto head = parse_head(bytes);
  if (!head.has_value()) return;
  ASSERT(head->kernel_bytes() > 0 && head->kernel_bytes() <= kMostKernelBytes);
  ASSERT(parse_version(head->manifest.version).has_value());
  std::array<Byte, kHeadBytes> again;
  ASSERT(write_head(head->text.view(), again).has_value());
  ASSERT(std::ranges::equal(again, bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  read_block(text);
  read_block("# GRUB Environment Block\n" + text);
  read_head({data, data + size});
  static_cast<void>(machine_of({data, size}));
  return 0;
}
