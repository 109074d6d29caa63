// SPDX-License-Identifier: GPL-2.0-or-later
// Commands about models: models, model info/load/switch/unload.
#include "console/command.h"
#include "console/engine_service.h"
#include "console/perf_log.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/trace.h"

namespace console {
namespace {

base::Decimal mebibytes(u64 bytes) {
  return base::ratio(bytes, kMiB, 1);
}

Result<void> run_models(const Arguments&, base::Writer& out) {
  Vector<ModelFile> models = TRY(find_models());
  EngineService& service = engine_service();
  bool listed = false;
  for (const ModelFile& file : models) {
    bool active = service.loaded() && service.file().path.view() == file.path.view();
    listed = listed || active;
    base::format_to(out, "{} {:<40} {:>9} MiB  {}", active ? '*' : ' ', file.name,
                    mebibytes(file.bytes), file.path);
    if (file.parts > 1) base::format_to(out, " ({} parts)", file.parts);
    Result<ai::MemoryPlan> plan = service.plan(file);
    if (plan.has_value()) {
      base::format_to(out, "  context {}\n", plan->context);
    } else {
      base::format_to(out, "  {}\n", plan.error());
    }
  }
  if (service.loaded() && !listed) {
    base::format_to(out, "* {:<40} {:>9} MiB  {}\n", service.file().name,
                    mebibytes(service.file().bytes), service.file().path);
  }
  if (models.empty() && !service.loaded())
    out.write("no model was found; help models tells where\n");
  return {};
}

void print_plan(const ai::MemoryPlan& plan, base::Writer& out) {
  base::format_to(out, "  context       {} tokens\n", plan.context);
  base::format_to(out, "  weights       {:>10} MiB\n", mebibytes(plan.weights_bytes));
  base::format_to(out, "  kv cache      {:>10} MiB\n", mebibytes(plan.kv_bytes));
  base::format_to(out, "  workspace     {:>10} MiB\n", mebibytes(plan.workspace_bytes));
  base::format_to(out, "  tokenizer     {:>10} MiB\n", mebibytes(plan.tokenizer_bytes));
  base::format_to(out, "  together      {:>10} MiB ({} bytes)\n", mebibytes(plan.total()),
                  plan.total());
}

void print_loaded(EngineService& service, base::Writer& out) {
  const ai::Engine& engine = service.engine();
  const ai::ModelInfo& info = engine.info();
  base::format_to(out, "{} ({})\n", info.name, service.file().path);
  base::format_to(out, "  architecture  {}, {} layers, {} wide, {} heads, {} of them for keys\n",
                  info.architecture, info.layers, info.width, info.heads, info.kv_heads);
  base::format_to(out, "  parameters    {} million, {}\n",
                  base::ratio(info.parameters, 1'000'000, 1), info.quantization);
  base::format_to(out, "  vocabulary    {} tokens, trained for a context of {}\n", info.vocabulary,
                  info.trained_context);
  base::format_to(out, "  licence       {}\n",
                  info.licence.empty() ? "not stated" : info.licence.view());
  base::format_to(out, "  template      {}\n",
                  engine.chat_template() != nullptr ? "its own" : "none: plain lines");
  base::format_to(out, "  kernels       {}, {} threads\n", engine.kernels_name(),
                  sched::worker_count());
  base::format_to(out, "  kv pages      {} in use, {} kept for prompts, {} in all\n",
                  engine.kv_pages_used(), engine.kv_pages_cached(), engine.kv_pages_total());
  base::format_to(out, "  loaded in     {} ms\n", milliseconds(service.load_ns()));
}

Result<void> info_of(std::string_view name, base::Writer& out) {
  EngineService& service = engine_service();
  if (name.empty() || (service.loaded() && service.file().name.view() == name)) {
    TRY(service.load_default());
    print_loaded(service, out);
    print_plan(service.engine().plan(), out);
    return {};
  }
  ModelFile file = TRY(find_model(name));
  ai::MemoryPlan plan = TRY(service.plan(file));
  base::format_to(out, "{} ({}), not loaded; loading would take\n", file.name, file.path);
  print_plan(plan, out);
  return {};
}

Result<void> load(std::string_view name, base::Writer& out) {
  EngineService& service = engine_service();
  if (name.empty()) {
    TRY(service.load_default());
  } else {
    ModelFile file = TRY(find_model(name));
    base::format_to(out, "loading {}, {} MiB\n", file.name, mebibytes(file.bytes));
    TRY(service.load(file));
  }
  base::format_to(out, "{} is ready: {} ms, context {}, kernels {}\n", service.engine().info().name,
                  milliseconds(service.load_ns()), service.engine().info().context,
                  service.engine().kernels_name());
  return {};
}

Result<void> unload(std::string_view, base::Writer& out) {
  TRY(engine_service().unload());
  out.write("no model is loaded now\n");
  return {};
}

struct Verb {
  const char* name;
  Result<void> (*run)(std::string_view name, base::Writer& out);
};
constexpr Verb kVerbs[] = {{"info", info_of}, {"load", load}, {"switch", load}, {"unload", unload}};

Result<void> run_model(const Arguments& arguments, base::Writer& out) {
  std::string_view verb = arguments.words.size() > 1 ? arguments.words[1] : "info";
  std::string_view name = arguments.words.size() > 2 ? arguments.words[2] : "";
  for (const Verb& row : kVerbs)
    if (verb == row.name) return row.run(name, out);
  return fail(Errc::kInvalidArgument, "model info|load|switch|unload [NAME]");
}

void complete_verb(std::string_view word, void (*add)(void*, std::string_view), void* context) {
  for (const Verb& row : kVerbs) add(context, row.name);
  complete_model(word, add, context);
}

constexpr Command kModels{
    "models", "models", "the models that can be used", run_models,
    "Looks at the boot modules, then at /models and the root of every disk. * marks the one that\n"
    "answers. A model file also loads by its path: model load /disk0/x.gguf (in the hosted twin\n"
    "any path of the host)."};
constexpr Command kModel{
    "model",
    "model [info|load|switch|unload] [NAME]",
    "one model: what it is, loading, switching",
    run_model,
    "info tells the byte plan, of a model that is not loaded too. load and switch serve running\n"
    "requests first; the old model stays until the new one works.",
    false,
    complete_verb};
CONSOLE_COMMAND(kModels);
CONSOLE_COMMAND(kModel);

}  // namespace
}  // namespace console
