// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses the context and the KV pool, and counts the bytes that loading will take, before any is
// taken.
#include "ai/engine/engine_impl.h"

namespace ai {
namespace {

constexpr u32 kDefaultContext = 4096;
// An encoder's buffers grow with its context, since it computes a text in one step.
constexpr u32 kDefaultEncoderContext = 2048;
constexpr u32 kLeastContext = 16;

struct Sizing {
  const EngineOptions& options;
  const ModelSizes& model;
  SchedulerLimits limits;

  SchedulerLimits limits_for(u32 context) const {
    SchedulerLimits of_context = limits;
    if (model.whole_texts) of_context.prefill_chunk = context;
    return of_context;
  }
  u64 pages_for(u64 context) const {
    return (context + model.page_positions - 1) / model.page_positions;
  }
  // Counts one full context, and for each request one more page, where its text parts from the
  // others'.
  u64 pages(u64 context) const {
    if (options.kv_bytes == 0 || model.page_bytes == 0)
      return pages_for(context) + limits.max_requests;
    return options.kv_bytes / model.page_bytes;
  }
  MemoryPlan plan(u32 context) const {
    u32 count = static_cast<u32>(std::min<u64>(pages(context), kNoPage - 1));
    MemoryPlan plan;
    plan.weights_bytes = model.weights_bytes;
    plan.tokenizer_bytes = model.tokenizer_bytes;
    plan.kv_bytes = count * model.page_bytes + model.state_bytes * limits.max_requests +
                    KvStore::book_bytes(count, model.page_positions);
    StepLimits step = Scheduler::step_limits(limits_for(context));
    plan.workspace_bytes = model.vector_bytes + model.workspace_bytes(model.model, step, context) +
                           SamplerWorkspace::bytes(model.vocabulary, context) +
                           u64{model.vocabulary} * sizeof(float) * (step.logit_rows + 1);
    if (model.whole_texts) plan.workspace_bytes += u64{context} * model.width * sizeof(float);
    plan.context = context;
    plan.kv_type = options.kv_type;
    return plan;
  }
  // The weights count as taken: they lie in the file, which is in memory.
  bool fits(u32 context) const {
    MemoryPlan p = plan(context);
    return options.memory_bytes == 0 || p.total() - p.weights_bytes <= options.memory_bytes;
  }
  // Returns the longest context up to `most` that fits, or 0 if none does.
  u32 longest(u32 most) const {
    if (!fits(kLeastContext)) return 0;
    u32 low = kLeastContext, high = std::max(most, kLeastContext);
    while (low < high) {
      u32 middle = low + (high - low + 1) / 2;
      if (fits(middle))
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }
};

}  // namespace

SchedulerLimits scheduler_limits(const EngineOptions& options) {
  return {.max_requests = std::clamp(options.max_requests, 1u, 256u),
          .max_queued = std::clamp(options.max_queued, 1u, 4096u),
          .prefill_chunk = std::clamp(options.prefill_chunk, 1u, 8192u),
          .speculate = options.speculate};
}

Result<EngineSizes> choose_sizes(const EngineOptions& options, const ModelSizes& model,
                                 Platform& platform, MemoryPlan& plan) {
  Sizing sizing{options, model, scheduler_limits(options)};
  u32 trained = std::max(model.trained_context, kLeastContext);
  u32 usual = model.whole_texts ? kDefaultEncoderContext : kDefaultContext;
  u32 wanted = options.context != 0 ? options.context : std::min(trained, usual);
  if (wanted < kLeastContext)
    return fail(Errc::kInvalidArgument, "the context must have at least 16 tokens");
  if (wanted > trained)
    log(platform, LogLevel::kWarn, "a context of {} tokens, but the model was trained for {}",
        wanted, trained);
  u32 longest = sizing.longest(wanted);
  plan = sizing.plan(wanted);
  if (longest < wanted && (options.context != 0 || longest == 0)) {
    log(platform, LogLevel::kError,
        "a context of {} tokens takes {} bytes beside the model, {} are there; a context of {} "
        "tokens would fit",
        wanted, plan.total() - plan.weights_bytes, options.memory_bytes, longest);
    return fail(Errc::kOutOfMemory, "the context does not fit into memory: choose a smaller one");
  }
  plan = sizing.plan(std::min(wanted, longest));
  u64 pages = sizing.pages(plan.context);
  if (pages < sizing.pages_for(plan.context) || pages >= kNoPage) {
    log(platform, LogLevel::kError,
        "a KV pool of {} bytes holds {} pages, a context of {} tokens needs {}; a context of {} "
        "tokens would fit",
        options.kv_bytes, pages, plan.context, sizing.pages_for(plan.context),
        pages * model.page_positions);
    return fail(
        Errc::kOutOfMemory,
        "the KV pool is smaller than one context: enlarge the pool or choose a smaller context");
  }
  return EngineSizes{plan.context, static_cast<u32>(pages), options.kv_type,
                     sizing.limits_for(plan.context)};
}

}  // namespace ai
