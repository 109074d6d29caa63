// SPDX-License-Identifier: GPL-2.0-or-later
// Plans and loads models whose experts stay in their file.
#include "ai/engine/streamed.h"

#include "ai/engine/opened.h"
#include "ai/gguf/layout.h"
#include "ai/gguf/placement.h"
#include "ai/models/expert_store.h"

namespace ai {
namespace {

Result<Opened> open(const StreamedFile& file, Platform& platform, const EngineOptions& options) {
  Vector<std::span<const Byte>> heads;
  for (const Vector<Byte>& head : file.heads) TRY(heads.push_back(head.view()));
  Opened opened;
  opened.file = TRY(GgufFile::parse_heads(heads.view(), file.bytes.view(), platform));
  TRY(read_metadata(opened, platform, options));
  return opened;
}

// Returns the longest chunk, up to kMostChunk, whose work buffers take no more than a part of the
// memory.
u32 longest_chunk(const EngineOptions& options, const StreamOptions& streaming,
                  const Opened& opened) {
  constexpr u32 kMostChunk = 1024;
  constexpr u64 kMemoryShare = 16;
  u64 most = streaming.memory_bytes == 0 ? ~u64{0} : streaming.memory_bytes / kMemoryShare;
  u32 context = options.context != 0 ? options.context : opened.params.trained_context;
  u32 chunk = kMostChunk;
  for (; chunk > options.prefill_chunk; chunk /= 2) {
    EngineOptions longer = options;
    longer.prefill_chunk = chunk;
    StepLimits step = Scheduler::step_limits(scheduler_limits(longer));
    if (workspace_bytes(opened.params, step, context, opened.workers) <= most) break;
  }
  return std::max(chunk, options.prefill_chunk);
}

// Returns the memory that must be there for experts. Of an arena that nobody chose the size of, it
// is twice what a layer uses for one token, so that a disk reads while half of it is computed.
u64 least_slots_bytes(const StreamOptions& streaming, const ExpertSizes& experts) {
  u64 slots = std::min<u64>(2 * u64{experts.used}, experts.count());
  return streaming.expert_bytes != 0 ? streaming.expert_bytes : slots * experts.slot_bytes;
}

Result<void> check_room(const StreamOptions& streaming, const ExpertSizes& experts,
                        Platform& platform) {
  if (experts.count() == 0)
    return fail(Errc::kUnsupported, "the model has no experts that could stay in its file");
  u64 slots = least_slots_bytes(streaming, experts);
  if (slots < experts.slot_bytes) {
    log(platform, LogLevel::kError, "{} bytes for experts do not hold one, which takes {} bytes",
        slots, experts.slot_bytes);
    return fail(Errc::kInvalidArgument,
                "experts.mb is less than one expert: give more, or leave it out");
  }
  if (streaming.memory_bytes == 0 || experts.resident_bytes + slots < streaming.memory_bytes)
    return {};
  log(platform, LogLevel::kError,
      "beside its experts the model takes {} bytes, and some of the experts {}; {} are there",
      experts.resident_bytes, slots, streaming.memory_bytes);
  return fail(Errc::kOutOfMemory,
              "even without most of its experts the model does not fit into memory: unload "
              "another one, or choose a smaller one");
}

// Chooses the sizes. The slots get the memory that nothing else needs, unless an option says how
// much.
Result<EngineSizes> choose_streamed_sizes(const EngineOptions& options,
                                          const StreamOptions& streaming, const Opened& opened,
                                          Platform& platform, StreamPlan& plan) {
  ExpertSizes experts = TRY(expert_sizes(*opened.file, opened.params));
  TRY(check_room(streaming, experts, platform));
  u64 all = streaming.memory_bytes, slots_bytes = least_slots_bytes(streaming, experts);
  EngineOptions rest = options;
  rest.memory_bytes = all == 0 ? 0 : all - experts.resident_bytes - slots_bytes;
  if (streaming.grow_chunk) rest.prefill_chunk = longest_chunk(options, streaming, opened);
  EngineSizes sizes =
      TRY(choose_sizes(rest, sizes_of(opened, experts.resident_bytes), platform, plan.memory));
  if (streaming.expert_bytes == 0) slots_bytes = all == 0 ? ~u64{0} : all - plan.memory.total();
  plan.slots = static_cast<u32>(std::min(slots_bytes / experts.slot_bytes, experts.count()));
  plan.experts = static_cast<u32>(experts.count());
  plan.resident_bytes = experts.resident_bytes;
  plan.slots_bytes = plan.slots * experts.slot_bytes;
  plan.expert_bytes_a_token =
      experts.expert_bytes / experts.count() * experts.used * experts.layers;
  plan.memory.weights_bytes += plan.slots_bytes;
  return sizes;
}

Result<u64> fingerprint_of_streamed(const StreamedWeights& weights, const Opened& opened,
                                    u32 context, Platform& platform) {
  usize most = 0;
  bool grouped = is_grouped_file(*opened.file);
  for (const GgufTensor& t : opened.file->tensors())
    if (stays_in_file(t)) most = std::max(most, SampleShape(t, grouped).source_bytes);
  TensorSamples samples = TRY(TensorSamples::create(weights.reader(), most, platform));
  return fingerprint_of(opened, context, &samples);
}

}  // namespace

Result<StreamPlan> plan_streamed(const StreamedFile& file, Platform& platform,
                                 const EngineOptions& options, const StreamOptions& streaming) {
  Opened opened = TRY(open(file, platform, options));
  StreamPlan plan;
  TRY(choose_streamed_sizes(options, streaming, opened, platform, plan));
  return plan;
}

Result<StreamedEngine> load_streamed(StreamedFile file, Platform& platform,
                                     const EngineOptions& options, const StreamOptions& streaming,
                                     ReadWatcher* watcher) {
  Opened opened = TRY(open(file, platform, options));
  StreamedEngine loaded;
  EngineSizes sizes = TRY(choose_streamed_sizes(options, streaming, opened, platform, loaded.plan));
  auto ready = TRY(base::make<EngineParts>());
  ready->plan = loaded.plan.memory;
  ready->kernels = TRY(kernels_by_name(options.kernels, platform.cpu_features()));
  ready->kernels.prefetch = options.prefetch;
  u64 file_bytes = 0;
  for (u64 part : file.bytes) file_bytes += part;
  TRY(fill_parts(*ready, opened, sizes, file_bytes));
  auto weights = TRY(StreamedWeights::read(std::move(file), *opened.file, watcher));
  const StreamedWeights& kept = *weights;  // by the model, from here on
  ready->info.fingerprint = TRY(fingerprint_of_streamed(kept, opened, sizes.context, platform));
  ready->model = TRY(Model::load_streamed(
      *opened.file, std::move(weights), loaded.plan.slots,
      {.kernels = &ready->kernels, .kv_type = options.kv_type, .context = sizes.context},
      platform));
  loaded.figures = &kept.store().figures();
  loaded.engine = TRY(EngineImpl::create(std::move(ready), platform, sizes));
  return loaded;
}

}  // namespace ai
