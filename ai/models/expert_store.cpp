// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the slots of experts: demand, arrival, eviction.
#include "ai/models/expert_store.h"

#include <algorithm>

#include "ai/gguf/layout.h"
#include "ai/gguf/placement.h"
#include "ai/quant/groups.h"

namespace ai {
namespace {

// The arena consists of pieces, because a machine rarely has gigabytes in one run.
constexpr u64 kPieceBytes = 64 * kMiB;

}  // namespace

Result<base::Owner<ExpertStore>> ExpertStore::create(const GgufFile& file, const ExpertSizes& sizes,
                                                     u32 slots, FileReader& reader) {
  auto store = TRY(base::make<ExpertStore>(sizes, reader, file.platform()));
  store->packed_ = is_grouped_file(file);
  TRY(store->take_layers(file));
  TRY(store->create_tables());
  TRY(store->create_arena(static_cast<u32>(std::min<u64>(std::max(slots, 1u), sizes.count()))));
  return store;
}

Result<void> ExpertStore::take_layers(const GgufFile& file) {
  constexpr const char* kNames[kMatrices] = {"gate", "up", "down"};
  TRY(layers_.resize(sizes_.all_layers));
  for (u32 i = 0; i < layers_.size(); i++) {
    u64 at = 0;
    for (usize m = 0; m < kMatrices; m++) {
      char name[48];
      const GgufTensor* tensor =
          file.find_tensor(base::format_into(name, "blk.{}.ffn_{}_exps.weight", i, kNames[m]));
      if (tensor == nullptr) continue;  // a layer without experts
      Stack& stack = layers_[i].stacks[m];
      stack = {.one = tensor->view, .part = part_of(*tensor), .offset = tensor->offset, .at = at};
      stack.one.rows /= sizes_.experts;
      stack.one.data = {};
      stack.one.grouped = true;
      at += matrix_room(stack.bytes());
      if (!group_fields(stack.one.type).empty())
        largest_group_ = std::max(largest_group_, kGroupRows * stack.one.row_bytes);
    }
    ASSERT(at <= sizes_.slot_bytes);
  }
  return temporary_.resize(packed_ ? 0 : largest_group_ * platform_.worker_count());
}

Result<void> ExpertStore::create_tables() {
  usize keys = layers_.size() * sizes_.experts;
  TRY(table_.resize(keys));
  std::fill(table_.begin(), table_.end(), kNone);
  TRY(uses_.resize(keys));
  TRY(missing_.reserve(sizes_.experts));
  TRY(reading_.reserve(sizes_.experts));
  return ready_.reserve(sizes_.experts);
}

Result<void> ExpertStore::create_arena(u32 slots) {
  piece_slots_ = static_cast<u32>(std::max<u64>(kPieceBytes / sizes_.slot_bytes, 1));
  piece_slots_ = std::min(piece_slots_, slots);
  for (u32 first = 0; first < slots; first += piece_slots_) {
    u64 count = std::min(piece_slots_, slots - first);
    TRY(pieces_.push_back(
        TRY(PlatformPages::create(platform_, count * sizes_.slot_bytes, "weights"))));
  }
  figures_.slots = slots;
  return slots_.resize(slots);
}

// Halves every use each kRowsPerDecay rows.
void ExpertStore::begin_step(u32 rows) {
  figures_.rows += rows;
  rows_ += rows;
  u32 halvings = std::min(rows_ / kRowsPerDecay, 31u);
  rows_ %= kRowsPerDecay;
  if (halvings == 0) return;
  for (u32& uses : uses_) uses >>= halvings;
}

void ExpertStore::begin(u32 layer, std::span<const u32> runs) {
  ASSERT(at_rest());
  layer_ = layer;
  missing_.clear();
  next_missing_ = 0;
  for (u32 e = 0; e < sizes_.experts; e++) {
    u32 rows = runs[e + 1] - runs[e];
    if (rows == 0) continue;
    uses_[key_of(e)] += std::min(rows, ~uses_[key_of(e)]);
    u32 slot = table_[key_of(e)];
    if (slot == kNone) {
      MUST(missing_.push_back(e));
      continue;
    }
    slots_[slot].pinned = true;
    MUST(ready_.push_back(e));
  }
  figures_.hits += ready_.size();
  figures_.misses += missing_.size();
  begin_reads();
}

Result<std::span<const u32>> ExpertStore::next(const bool& abandoned) {
  // The experts that were ready at once are returned first: they are computed while a disk reads.
  if (!ready_.empty() && !returned_) {
    returned_ = true;
    return std::span<const u32>(ready_.view());
  }
  release_ready();
  u64 begin = platform_.now_ns();
  for (;;) {
    begin_reads();
    if (reading_.empty()) break;
    TRY(collect());
    if (!ready_.empty()) break;
    if (abandoned) {
      end_turn();
      return fail(Errc::kCancelled,
                  "model: the step was abandoned, because every request of it ended");
    }
    reader_.wait();
  }
  figures_.waited_ns += platform_.now_ns() - begin;
  returned_ = !ready_.empty();
  return std::span<const u32>(ready_.view());
}

TensorView ExpertStore::view(Matrix matrix, u32 expert) const {
  const Stack& stack = layers_[layer_].stacks[static_cast<usize>(matrix)];
  u32 slot = table_[key_of(expert)];
  ASSERT(slot != kNone);
  TensorView view = stack.one;
  view.data = {data_of(slot, static_cast<usize>(matrix)), static_cast<usize>(stack.bytes())};
  return view;
}

// Returns the first byte of a matrix in a slot of this layer's experts.
Byte* ExpertStore::data_of(u32 slot, usize matrix) const {
  const Stack& stack = layers_[layer_].stacks[matrix];
  u32 expert = slots_[slot].key % sizes_.experts;
  return memory_of(slot) + stack.at + stack.offset_of(expert) % kReadAlignment;
}

// ---- slots ---------------------------------------------------------------------------------

// Returns true if expert `key` should go before `than`. Of two that were used equally the one with
// the lower number goes, so that the choice depends on the requests alone.
bool ExpertStore::is_used_less(u32 key, u32 than) const {
  return uses_[key] != uses_[than] ? uses_[key] < uses_[than] : key < than;
}

// Returns an empty slot, or the one whose expert was used least; kNone if this layer needs them
// all.
u32 ExpertStore::take_slot() {
  u32 found = kNone;
  for (u32 i = 0; i < slots_.size(); i++) {
    const Slot& slot = slots_[i];
    if (slot.pinned) continue;
    if (slot.key == kNone) return i;
    if (found == kNone || is_used_less(slot.key, slots_[found].key)) found = i;
  }
  if (found != kNone) free_slot(found);
  return found;
}

void ExpertStore::free_slot(u32 slot) {
  Slot& s = slots_[slot];
  if (s.key != kNone) table_[s.key] = kNone;
  s.key = kNone;
  s.pinned = false;
}

// Starts as many reads as there are slots for.
void ExpertStore::begin_reads() {
  usize before = next_missing_;
  while (next_missing_ < missing_.size()) {
    u32 slot = take_slot();
    if (slot == kNone) break;
    begin_read(missing_[next_missing_++], slot);
  }
  if (next_missing_ > before) reader_.start();
}

void ExpertStore::begin_read(u32 expert, u32 slot) {
  if (reading_.empty()) reading_since_ns_ = platform_.now_ns();
  Slot& s = slots_[slot];
  s.key = key_of(expert);
  s.pinned = true;
  table_[s.key] = slot;
  MUST(reading_.push_back(slot));
  for (usize m = 0; m < kMatrices; m++) {
    const Stack& stack = layers_[layer_].stacks[m];
    u64 offset = stack.offset_of(expert), before = offset % kReadAlignment;
    usize room = base::round_up(before + stack.bytes(), kReadAlignment);
    s.reads[m] = {.part = stack.part,
                  .offset = offset - before,
                  .out = {memory_of(slot) + stack.at, room},
                  .least = static_cast<usize>(before + stack.bytes()),
                  .status = {}};
    reader_.begin(s.reads[m]);
  }
}

// Moves what has arrived to `ready_`.
Result<void> ExpertStore::collect() {
  for (usize i = 0; i < reading_.size();) {
    u32 slot = reading_[i];
    if (!slots_[slot].arrived()) {
      i++;
      continue;
    }
    for (const FileRead& read : slots_[slot].reads)
      if (!read.status.has_value()) return refuse(slot, read.status.error());
    reading_.erase(i);
    for (const FileRead& read : slots_[slot].reads) figures_.bytes += read.out.size();
    if (reading_.empty()) figures_.reading_ns += platform_.now_ns() - reading_since_ns_;
    interleave(slot);
    MUST(ready_.push_back(slots_[slot].key % sizes_.experts));
  }
  return {};
}

// Interleaves the rows of an expert that has arrived, on all workers.
void ExpertStore::interleave(u32 slot) {
  for (usize m = 0; m < kMatrices && !packed_; m++) {
    const TensorView& one = layers_[layer_].stacks[m].one;
    if (group_fields(one.type).empty()) continue;
    usize group_bytes = kGroupRows * one.row_bytes;
    Byte* data = data_of(slot, m);
    parallel_ranges(platform_, one.rows / kGroupRows, 1, [&](u32 first, u32 last, u32 worker) {
      for (u32 g = first; g < last; g++)
        interleave_group(one.type, one.columns, data + g * group_bytes,
                         temporary_.data() + worker * largest_group_);
    });
  }
}

void ExpertStore::release_ready() {
  for (u32 expert : ready_) slots_[table_[key_of(expert)]].pinned = false;
  ready_.clear();
  returned_ = false;
}

// Ends a turn early. The slots of experts that have not arrived are empty afterwards.
void ExpertStore::end_turn() {
  reader_.stop();
  for (u32 slot : reading_) free_slot(slot);
  if (!reading_.empty()) figures_.reading_ns += platform_.now_ns() - reading_since_ns_;
  reading_.clear();
  missing_.clear();
  next_missing_ = 0;
  release_ready();
}

// The text of the error reaches whoever waits for the answer, so the details are logged.
std::unexpected<Error> ExpertStore::refuse(u32 slot, const Error& error) {
  u32 key = slots_[slot].key;
  log(platform_, LogLevel::kError, "model: layer {}, expert {} could not be read: {}",
      key / sizes_.experts, key % sizes_.experts, error.what);
  end_turn();
  return fail(Errc::kIo,
              "an expert of the model could not be read from its disk: check the disk, then ask "
              "again");
}

// ---- the weights beside the experts ------------------------------------------------------------

Result<base::Owner<StreamedWeights>> StreamedWeights::read(StreamedFile source, GgufFile& file,
                                                           ReadWatcher* watcher) {
  ResidentTensors plan = TRY(ResidentTensors::plan(file));
  PlatformPages pages = TRY(PlatformPages::create(file.platform(), plan.bytes(), "weights"));
  TRY(plan.read(*source.reader, pages.view(), watcher));
  plan.place(file, pages.view());
  return base::make<StreamedWeights>(std::move(source), std::move(pages));
}

Result<void> StreamedWeights::create_store(const GgufFile& file, const Hyperparameters& params,
                                           u32 slots) {
  ExpertSizes sizes = TRY(expert_sizes(file, params));
  if (sizes.count() == 0)
    return fail(Errc::kInvalidArgument, "model: it has no experts that could stay in the file");
  store_ = TRY(ExpertStore::create(file, sizes, slots, reader()));
  return {};
}

}  // namespace ai
