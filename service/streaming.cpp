// SPDX-License-Identifier: GPL-2.0-or-later
// Implements models whose experts stay in their file.
#include "service/streaming.h"

#include <algorithm>

#include "ai/gguf/reader.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "service/model_image.h"
#include "service/quiet_platform.h"

namespace service {
namespace {

constexpr Option kExperts{"experts", OptionKind::kChoice, "auto", "auto|ram|stream",
                          "where the experts of a model are: stream reads them from its disk when "
                          "a token needs them, auto does so if they do not fit into memory"};
constexpr Option kExpertsMb{"experts.mb", OptionKind::kNumber, "0", "0..16777216",
                            "MiB for the experts that are kept in memory when they are streamed; "
                            "0 = what is left"};
KERNEL_OPTION(kExperts);
KERNEL_OPTION(kExpertsMb);

// The slots do not take the last of the memory: requests, connections and the page that a person
// opens need some, too.
constexpr u64 kSpareBytes = 16 * kMiB, kSpareShare = 16;

constexpr u64 kMega = 1'000'000, kGiga = 1'000'000'000;

class Watcher final : public ai::ReadWatcher {
 public:
  Watcher(ProgressSink* sink, u64& done) : sink_(sink), done_(done) {}
  bool on_bytes(u64 done, u64 total) override {
    done_ = done;
    if (sink_ == nullptr) return true;
    sink_->on_progress(done, total);
    return !sink_->stopped();
  }

 private:
  ProgressSink* sink_;
  u64& done_;
};

// Reads the beginning of each part, up to `limit` bytes.
Result<Vector<Vector<Byte>>> read_heads(const ModelFile& file, usize limit) {
  Vector<Vector<Byte>> heads;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    auto part = TRY(fs::open(path.view()));
    TRY(heads.push_back(TRY(read_head(*part, limit))));
  }
  return heads;
}

// Reads as much of each part's beginning as the headers take.
Result<ai::StreamedFile> open_heads(const ModelFile& file) {
  QuietPlatform quiet;
  ai::StreamedFile opened;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    TRY(opened.bytes.push_back(TRY(fs::stat(path.view())).size));
  }
  for (usize limit : {kMiB, 8 * kMiB, 64 * kMiB}) {
    opened.heads = TRY(read_heads(file, limit));
    Vector<std::span<const Byte>> heads;
    for (const Vector<Byte>& head : opened.heads) TRY(heads.push_back(head.view()));
    auto parsed = ai::GgufFile::parse_heads(heads.view(), opened.bytes.view(), quiet);
    if (parsed.has_value()) break;  // otherwise the engine reports what is wrong
  }
  return opened;
}

ai::StreamOptions stream_options(const StreamWish& wish) {
  u64 free = mm::usage().of(mm::Purpose::kFree);
  u64 spare = std::max(kSpareBytes, free / kSpareShare);
  // 0 would mean that there is no limit.
  return {.expert_bytes = options::number(kExpertsMb) * kMiB,
          .memory_bytes = free > spare ? free - spare : 1,
          .grow_chunk = wish.grow_chunk};
}

bool lies_in_memory(const ModelFile& file) {
  return file.path.view().starts_with("/boot/") || file.generation > 0 ||
         options::text(kExperts) == "ram";
}

bool is_chosen() {
  return options::text(kExperts) == "stream";
}

}  // namespace

Result<std::optional<ai::StreamPlan>> plan_streaming(const StreamWish& wish,
                                                     const ai::ModelSummary& whole) {
  const ModelFile& file = wish.file;
  if (lies_in_memory(file) || (whole.fits && !is_chosen())) return std::nullopt;
  ai::StreamedFile opened = TRY(open_heads(file));
  auto plan = ai::plan_streamed(opened, ai_platform(), wish.options, stream_options(wish));
  if (plan.has_value()) return std::optional(*plan);
  if (plan.error().code == Errc::kUnsupported) return std::nullopt;  // it has no experts
  return std::unexpected(plan.error());
}

bool is_surely_whole(const ModelFile& file) {
  if (file.path.view().starts_with("/boot/")) return true;
  return !is_chosen() && file.bytes < mm::usage().of(mm::Purpose::kFree) / 2;
}

Result<void> refuse_too_large(const ModelFile& file) {
  u64 free = mm::usage().of(mm::Purpose::kFree);
  if (file.bytes < free) return {};
  Result<DiskRate> rate = measure_disk(file);
  u64 per_second = rate.has_value() ? rate->per_second() : 0;
  log::error("model",
             "{} has {} MiB, and {} MiB of memory are free. Read from its disk for each token, it "
             "would give about {} tokens/s at {} GB/s",
             file.name, file.bytes / kMiB, free / kMiB, base::ratio(per_second, file.bytes, 2),
             base::ratio(per_second, kGiga, 2));
  return fail(Errc::kOutOfMemory,
              "it is larger than memory: choose a smaller one, or one of experts, which are read "
              "from the disk as they are needed (experts=auto)");
}

Result<base::Owner<ai::Engine>> load_streamed(const StreamWish& wish, ProgressSink* watcher,
                                              u64& done) {
  const ModelFile& file = wish.file;
  auto reader = TRY(ExpertReader::open(file));
  ExpertReader::Facts& facts = reader->facts;
  facts.rate = TRY(measure_disk(file));
  facts.path = TRY(file.path.clone());
  ai::StreamedFile opened = TRY(open_heads(file));
  opened.reader = std::move(reader);
  Watcher follow(watcher, done);
  ai::StreamedEngine loaded = TRY(ai::load_streamed(std::move(opened), ai_platform(), wish.options,
                                                    stream_options(wish), &follow));
  // The engine owns the reader from here on.
  facts.plan = loaded.plan;
  facts.figures = loaded.figures;
  log::info("model",
            "{} of {} experts of {} are in memory at once, {} MiB; the others are read from its "
            "disk, {} MB/s",
            facts.plan.slots, facts.plan.experts, file.name, facts.plan.slots_bytes / kMiB,
            facts.rate.per_second() / kMega);
  return std::move(loaded.engine);
}

Result<void> write_part(const ModelFile& file, u32 index, ai::ByteSink& out) {
  String path = TRY(part_path(file, index));
  auto part = TRY(fs::open(path.view()));
  Vector<Byte> piece;
  TRY(piece.resize(kMiB));
  for (u64 at = 0; at < part->size();) {
    usize read = TRY(part->read_at(at, piece.view()));
    if (read == 0)
      return fail(Errc::kIo, "the file is shorter than it was when the model was loaded");
    TRY(out.write(piece.view().first(read)));
    at += read;
  }
  return {};
}

void print_plan(base::Writer& out, const ai::StreamPlan& plan) {
  base::format_to(out, "  experts       {} of {} in memory at once, {} MiB; {} MiB beside them\n",
                  plan.slots, plan.experts, base::ratio(plan.slots_bytes, kMiB, 1),
                  base::ratio(plan.resident_bytes, kMiB, 1));
  base::format_to(out, "                a token uses {} MB of experts\n",
                  base::ratio(plan.expert_bytes_a_token, kMega, 1));
}

void print_streaming(base::Writer& out, std::string_view path) {
  const ExpertReader::Facts* facts = ExpertReader::of(path);
  if (facts == nullptr) return;
  // Writing may let other threads run, and one of them may unload the model.
  ai::ExpertFigures now = *facts->figures;
  ai::StreamPlan plan = facts->plan;
  u64 rate = facts->rate.per_second();
  print_plan(out, plan);
  base::format_to(out, "  expert disk   {} MB/s, measured when the model was loaded\n",
                  rate / kMega);
  base::format_to(out, "  expert hits   {}, misses {}: {} % were in memory\n", now.hits, now.misses,
                  base::ratio(now.hits * 100, now.hits + now.misses, 1));
  base::format_to(out, "  expert reads  {} MB a token, at {} MB/s; waited {} ms for them\n",
                  base::ratio(now.bytes, now.rows * kMega, 2),
                  base::ratio(now.bytes * 1000, now.reading_ns, 0),
                  base::ratio(now.waited_ns, kMega, 0));
}

}  // namespace service
