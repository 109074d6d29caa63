// SPDX-License-Identifier: GPL-2.0-or-later
// Plans and reads the resident part of a model whose experts stay in its file.
#include "ai/models/expert_file.h"

#include <algorithm>

#include "ai/gguf/placement.h"

namespace ai {
namespace {

bool is_expert_tensor(const GgufTensor& tensor) {
  return tensor.name.ends_with("_exps.weight");
}

u64 bytes_of(const GgufTensor& tensor) {
  return u64{tensor.view.rows} * tensor.view.row_bytes;
}

// Returns the number of the layer in "blk.7.ffn_up_exps.weight", or kNone.
constexpr u32 kNone = ~u32{0};
u32 layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return kNone;
  u32 layer = 0;
  usize at = kPrefix.size();
  for (; at < name.size() && name[at] >= '0' && name[at] <= '9' && layer < 100'000; at++)
    layer = layer * 10 + static_cast<u32>(name[at] - '0');
  return at > kPrefix.size() && at < name.size() && name[at] == '.' ? layer : kNone;
}

}  // namespace

Result<ExpertSizes> expert_sizes(const GgufFile& file, const Hyperparameters& params) {
  ExpertSizes sizes;
  if (params.moe.experts == 0) return sizes;
  Vector<u64> rooms;  // of one expert of each layer
  TRY(rooms.resize(params.layers));
  for (const GgufTensor& t : file.tensors()) {
    if (!is_expert_tensor(t)) continue;
    u32 layer = layer_of(t.name);
    if (layer >= params.layers || t.dimensions[2] != params.moe.experts) {
      log(file.platform(), LogLevel::kError, "model: tensor '{}' is not of {} experts", t.name,
          params.moe.experts);
      return fail(Errc::kCorrupt, "model: a tensor has the wrong shape");
    }
    rooms[layer] += matrix_room(t.dimensions[1] * t.view.row_bytes);
    sizes.expert_bytes += bytes_of(t);
  }
  for (u64 room : rooms) {
    sizes.layers += room > 0 ? 1 : 0;
    sizes.slot_bytes = std::max(sizes.slot_bytes, room);
  }
  sizes.all_layers = params.layers;
  sizes.experts = params.moe.experts;
  sizes.used = params.moe.experts_used;
  sizes.resident_bytes = TRY(ResidentTensors::plan(file)).bytes();
  return sizes;
}

Result<ResidentTensors> ResidentTensors::plan(const GgufFile& file) {
  ResidentTensors made;
  Vector<const GgufTensor*> order;
  for (const GgufTensor& t : file.tensors())
    if (!is_expert_tensor(t)) TRY(order.push_back(&t));
  std::sort(order.begin(), order.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return a->part != b->part ? a->part < b->part : a->offset < b->offset;
  });
  for (const GgufTensor* t : order) {
    u64 end = t->offset + bytes_of(*t);
    bool joins = !made.runs_.empty() && made.runs_.back().part == t->part &&
                 t->offset <= made.runs_.back().begin + made.runs_.back().room();
    if (joins) {
      made.runs_.back().end = end;
    } else {
      TRY(made.runs_.push_back(
          {.part = t->part, .begin = base::round_down(t->offset, kReadAlignment), .end = end}));
    }
  }
  for (Run& run : made.runs_) {
    run.at = made.bytes_;
    made.bytes_ += run.room();
  }
  return made;
}

// Keeps several pieces of the runs under way, in order.
class ResidentTensors::Reading {
 public:
  Reading(const ResidentTensors& plan, FileReader& reader, std::span<Byte> memory)
      : plan_(plan), reader_(reader), memory_(memory) {}
  ~Reading() { reader_.stop(); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  Result<void> run(ReadWatcher* watcher) {
    for (;;) {
      bool busy = begin_more();
      if (!busy) return {};
      reader_.wait();
      TRY(collect());
      if (watcher != nullptr && !watcher->on_bytes(done_, plan_.bytes()))
        return fail(Errc::kCancelled, "stopped");
    }
  }

 private:
  static constexpr usize kDeep = 16, kPieceBytes = kMiB;
  struct Piece {
    FileRead read;
    bool busy = false;
  };

  // Returns true if pieces are under way.
  bool begin_more() {
    bool busy = false;
    for (Piece& piece : pieces_) {
      if (!piece.busy && run_ < plan_.runs_.size()) begin(piece);
      busy |= piece.busy;
    }
    if (busy) reader_.start();
    return busy;
  }
  void begin(Piece& piece) {
    const Run& run = plan_.runs_[run_];
    usize bytes = static_cast<usize>(std::min<u64>(kPieceBytes, run.room() - at_));
    piece.busy = true;
    piece.read = {.part = run.part,
                  .offset = run.begin + at_,
                  .out = memory_.subspan(run.at + at_, bytes),
                  .least = static_cast<usize>(std::min<u64>(bytes, run.end - run.begin - at_)),
                  .status = {}};
    reader_.begin(piece.read);
    at_ += bytes;
    if (at_ < run.room()) return;
    run_++;
    at_ = 0;
  }
  Result<void> collect() {
    for (Piece& piece : pieces_) {
      if (!piece.busy || !piece.read.ended) continue;
      piece.busy = false;
      TRY(piece.read.status);
      done_ += piece.read.out.size();
    }
    return {};
  }

  const ResidentTensors& plan_;
  FileReader& reader_;
  std::span<Byte> memory_;
  Piece pieces_[kDeep];
  usize run_ = 0;  // the next piece begins in this run,
  u64 at_ = 0;     // at this offset
  u64 done_ = 0;
};

Result<void> ResidentTensors::read(FileReader& reader, std::span<Byte> memory,
                                   ReadWatcher* watcher) const {
  ASSERT(memory.size() >= bytes_);
  return Reading(*this, reader, memory).run(watcher);
}

void ResidentTensors::place(GgufFile& file, std::span<Byte> memory) const {
  for (const GgufTensor& described : file.tensors()) {
    // The file belongs to the caller and is not const; only its list of tensors is.
    auto& t = const_cast<GgufTensor&>(described);
    if (is_expert_tensor(t)) {
      t.part |= kStaysInFile;
      continue;
    }
    auto behind = std::upper_bound(runs_.begin(), runs_.end(), t, [](const auto& a, const auto& b) {
      return a.part != b.part ? a.part < b.part : a.offset < b.begin;
    });
    ASSERT(behind != runs_.begin());
    const Run& run = *(behind - 1);
    t.part = 0;
    t.offset = run.at + (t.offset - run.begin);
    t.view.data = memory.subspan(t.offset, bytes_of(t));
  }
}

Result<TensorSamples> TensorSamples::create(FileReader& reader, usize most, Platform& platform) {
  return TensorSamples(reader, TRY(PlatformPages::create(platform, matrix_room(most), "engine")));
}

Result<std::span<const Byte>> TensorSamples::first_of(const GgufTensor& tensor, usize bytes) {
  usize before = tensor.offset % kReadAlignment;
  usize room = base::round_up(before + bytes, kReadAlignment);
  ASSERT(room <= pages_.view().size());
  FileRead read{.part = part_of(tensor),
                .offset = tensor.offset - before,
                .out = pages_.view().first(room),
                .least = before + bytes,
                .status = {}};
  reader_.begin(read);
  reader_.start();
  while (!read.ended) reader_.wait();
  TRY(read.status);
  return std::span<const Byte>(pages_.view().subspan(before, bytes));
}

}  // namespace ai
