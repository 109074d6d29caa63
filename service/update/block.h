// SPDX-License-Identifier: GPL-2.0-or-later
// GRUB's environment block on an installed disk: which kernel is started, which one is tried, and
// what the trial has to show. GRUB reads it, and takes a try back before it starts it
// (iso/grub.cfg). Pure; any thread.
//
// The format is GRUB's (manual, "The GRUB environment block"): a head line, NAME=VALUE lines, and
// '#' up to 1,024 bytes. All values are in the first 512 bytes, so that one sector decides.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernel/base/result.h"

namespace service::update {

// Where a kernel lies on the boot volume: the one of the installation, which nothing overwrites,
// and two that updates write in turn.
enum class Slot : u8 { kInstalled, kA, kB };
const char* slot_name(Slot slot);  // as in the block and on the command line: "installed", "a", "b"
std::optional<Slot> slot_of(std::string_view name);

constexpr usize kBlockBytes = 1024, kBlockValueBytes = 512;

// A value of the block: printable ASCII that means nothing to GRUB. Other characters become '?',
// and what is too long is cut.
template <usize Most>
class BlockText {
 public:
  BlockText() = default;
  BlockText(std::string_view text) {
    for (char c : text.substr(0, Most))
      chars_[size_++] = c >= ' ' && c <= '~' && c != '\\' && c != '#' ? c : '?';
  }
  std::string_view view() const { return {chars_, size_}; }
  bool empty() const { return size_ == 0; }

 private:
  char chars_[Most] = {};
  usize size_ = 0;
};

struct BootBlock {
  Slot good = Slot::kInstalled;
  std::optional<Slot> old;      // the good one before, for a rollback
  std::optional<Slot> attempt;  // what was tried last, or will be
  bool pending = false;         // GRUB has still to start the attempt

  // The machine could do this when the attempt was made, and must be able to do it again.
  bool network = false;
  BlockText<96> model;   // a model's name; "" = none was loaded
  BlockText<16> answer;  // a hash of the tokens that it answered with

  // How far the attempt came, and why it ended, where the kernel could still write that.
  BlockText<16> step;
  BlockText<96> reason;
};

// Returns kCorrupt with the reason for a block that GRUB or this would not have written.
Result<BootBlock> parse_block(std::string_view bytes);
void write_block(const BootBlock& block, std::span<char, kBlockBytes> out);

}  // namespace service::update
