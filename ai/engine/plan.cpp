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

// Returns the largest number from `low` to `high` for which `fits` is true. It is true for `low`,
// and for every number below one for which it is.
template <class Number, class Fits>
Number largest(Number low, Number high, Fits&& fits) {
  while (low < high) {
    Number middle = low + (high - low + 1) / 2;
    if (fits(middle))
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

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
  struct PageCounts {
    u64 whole, window;
  };
  // Counts one full context, and for each request one more page, where its text parts from the
  // others'. In layers with a window each request needs what it sees while it decodes, and one of
  // them a chunk of its prompt more; but never more pages than there are of the other kind.
  PageCounts usual_pages(u32 context) const {
    u64 whole = pages_for(context) + limits.max_requests;
    if (model.window == 0) return {whole, 0};
    u32 rows = Scheduler::step_limits(limits_for(context)).rows, page = model.page_positions;
    u64 window = limits.max_requests * window_span(model.window, 1 + kMaxDraft, page) +
                 window_span(model.window, rows, page);
    return {whole, std::min(whole, window)};
  }
  // A pool of a given size has as many pages as fit, of both kinds in the usual proportion.
  // kNoPage stands for more than there can be.
  PageCounts pages(u32 context) const {
    PageCounts usual = usual_pages(context);
    const KvPageBytes& bytes = model.page_bytes;
    if (options.kv_bytes == 0 || bytes.whole + bytes.window == 0) return usual;
    auto window_of = [&](u64 whole) { return whole * usual.window / usual.whole; };
    auto fits = [&](u64 whole) {
      if (bytes.whole > 0 && whole > options.kv_bytes / bytes.whole) return false;
      u64 rest = options.kv_bytes - whole * bytes.whole;
      return bytes.window == 0 || window_of(whole) <= rest / bytes.window;
    };
    u64 whole = largest<u64>(0, kNoPage, fits);
    return {whole, window_of(whole)};
  }
  KvShape shape(u32 context) const {
    PageCounts counts = pages(context);
    auto limited = [](u64 count) { return static_cast<u32>(std::min<u64>(count, kNoPage - 1)); };
    return {.pages = limited(counts.whole),
            .page_bytes = model.page_bytes.whole,
            .page_positions = model.page_positions,
            .window = model.window,
            .window_pages = limited(counts.window),
            .window_page_bytes = model.page_bytes.window,
            .most_rows = Scheduler::step_limits(limits_for(context)).rows};
  }
  MemoryPlan plan(u32 context) const {
    KvShape kv = shape(context);
    MemoryPlan plan;
    plan.weights_bytes = model.weights_bytes;
    plan.tokenizer_bytes = model.tokenizer_bytes;
    plan.kv_bytes = kv.pages * u64{kv.page_bytes} + kv.window_pages * u64{kv.window_page_bytes} +
                    model.state_bytes * limits.max_requests + kv.book_bytes();
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
    return largest(kLeastContext, std::max(most, kLeastContext),
                   [&](u32 context) { return fits(context); });
  }
  bool pool_holds(u32 context) const { return pages(context).whole >= pages_for(context); }
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
  u64 pages = sizing.pages(plan.context).whole;
  if (!sizing.pool_holds(plan.context) || pages >= kNoPage) {
    log(platform, LogLevel::kError,
        "a KV pool of {} bytes holds {} pages, a context of {} tokens needs {}; a context of {} "
        "tokens would fit",
        options.kv_bytes, pages, plan.context, sizing.pages_for(plan.context),
        largest(0u, plan.context, [&](u32 context) { return sizing.pool_holds(context); }));
    return fail(
        Errc::kOutOfMemory,
        "the KV pool is smaller than one context: enlarge the pool or choose a smaller context");
  }
  return EngineSizes{plan.context, sizing.shape(plan.context), options.kv_type,
                     sizing.limits_for(plan.context)};
}

}  // namespace ai
