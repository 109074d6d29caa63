// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes GRUB's environment block.
#include "service/update/block.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/base/text.h"

namespace service::update {
namespace {

constexpr std::string_view kHead = "# GRUB Environment Block\n";
constexpr const char* kSlots[] = {"installed", "a", "b"};

std::unexpected<Error> damaged() {
  return fail(Errc::kCorrupt, "the boot block is damaged: the loader starts the installed kernel");
}

// One variable of the block.
struct Row {
  std::string_view name;
  Result<void> (*read)(std::string_view value, BootBlock& out);
  void (*write)(const BootBlock& block, base::Writer& out);  // the value; nothing: no variable
};

template <auto Member>
Result<void> read_slot(std::string_view value, BootBlock& out) {
  std::optional<Slot> slot = slot_of(value);
  if (!slot.has_value()) return damaged();
  out.*Member = slot.value_or(Slot::kInstalled);
  return {};
}

template <auto Member>
void write_slot(const BootBlock& block, base::Writer& out) {
  std::optional<Slot> slot = block.*Member;
  if (slot.has_value()) out.write(slot_name(*slot));
}

template <auto Member>
Result<void> read_flag(std::string_view value, BootBlock& out) {
  if (value != "0" && value != "1") return damaged();
  out.*Member = value == "1";
  return {};
}

template <auto Member>
void write_flag(const BootBlock& block, base::Writer& out) {
  out.write(block.*Member ? "1" : "0");
}

template <auto Member>
Result<void> read_text(std::string_view value, BootBlock& out) {
  using Text = std::remove_reference_t<decltype(out.*Member)>;
  Text text(value);
  if (text.view() != value) return damaged();
  out.*Member = text;
  return {};
}

template <auto Member>
void write_text(const BootBlock& block, base::Writer& out) {
  out.write((block.*Member).view());
}

// iso/grub.cfg knows the first three by their names.
constexpr Row kRows[] = {
    {"good", read_slot<&BootBlock::good>, write_slot<&BootBlock::good>},
    {"try", read_slot<&BootBlock::attempt>, write_slot<&BootBlock::attempt>},
    {"left", read_flag<&BootBlock::pending>, write_flag<&BootBlock::pending>},
    {"old", read_slot<&BootBlock::old>, write_slot<&BootBlock::old>},
    {"network", read_flag<&BootBlock::network>, write_flag<&BootBlock::network>},
    {"model", read_text<&BootBlock::model>, write_text<&BootBlock::model>},
    {"answer", read_text<&BootBlock::answer>, write_text<&BootBlock::answer>},
    {"step", read_text<&BootBlock::step>, write_text<&BootBlock::step>},
    {"reason", read_text<&BootBlock::reason>, write_text<&BootBlock::reason>},
};

}  // namespace

const char* slot_name(Slot slot) {
  return kSlots[static_cast<usize>(slot)];
}

std::optional<Slot> slot_of(std::string_view name) {
  for (usize i = 0; i < std::size(kSlots); i++)
    if (name == kSlots[i]) return static_cast<Slot>(i);
  return std::nullopt;
}

Result<BootBlock> parse_block(std::string_view bytes) {
  if (bytes.size() != kBlockBytes || !bytes.starts_with(kHead)) return damaged();
  usize end = bytes.find_last_not_of('#') + 1;
  if (end > kBlockValueBytes || bytes[end - 1] != '\n') return damaged();
  std::string_view rest = bytes.substr(kHead.size(), end - kHead.size());
  BootBlock out;
  u32 seen = 0;
  while (!rest.empty()) {
    std::string_view line = base::split_off(rest, '\n');
    std::string_view name = line.substr(0, line.find('='));
    const Row* row = std::ranges::find(kRows, name, &Row::name);
    if (row == std::end(kRows) || name.size() == line.size()) return damaged();
    u32 bit = 1u << (row - kRows);
    if ((seen & bit) != 0) return damaged();
    seen |= bit;
    TRY(row->read(line.substr(name.size() + 1), out));
  }
  if (out.pending && !out.attempt.has_value()) return damaged();
  return out;
}

void write_block(const BootBlock& block, std::span<char, kBlockBytes> out) {
  std::ranges::fill(out, '#');
  base::BufferWriter text(out.first(kBlockValueBytes));
  text.write(kHead);
  for (const Row& row : kRows) {
    char room[128];
    base::BufferWriter value(room);
    row.write(block, value);
    if (!value.view().empty()) base::format_to(text, "{}={}\n", row.name, value.view());
  }
  ASSERT(!text.truncated());  // the longest values together have 341 bytes
}

}  // namespace service::update
