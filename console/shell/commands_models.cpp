// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about models: models, model info/load/switch/unload/verify and what lies on disks.
#include <algorithm>

#include "console/shell/model_disk.h"
#include "console/shell/model_use.h"
#include "console/shell/units.h"
#include "kernel/sched/worker_pool.h"
#include "kernel/trace.h"
#include "service/bundle/epochs.h"
#include "service/kv_disk.h"
#include "service/model_check.h"
#include "service/perf_log.h"
#include "service/streaming.h"

namespace console {
namespace {

// Prints whether the model fits into the memory that is free now.
void print_fit(const service::ModelFacts& summary, base::Writer& out) {
  u64 free = mm::usage().of(mm::Purpose::kFree);
  if (summary.needed_bytes == 0) return out.write("loaded");
  if (summary.model.fits && summary.needed_bytes <= free) return out.write("fits");
  u64 missing = summary.needed_bytes - std::min(free, summary.needed_bytes);
  base::format_to(out, "too large: {} MiB more needed", mebibytes(std::max(missing, u64{kMiB})));
}

// Prints what vouches for a model: of one that is loaded, what was found; otherwise what is known.
void print_trust(const service::ModelFile& file, base::Writer& out) {
  using service::bundle::Verified, service::bundle::name_of;
  Result<ai::Lease> loaded = service::engine_host().lease_of(file, service::kConsoleHolder);
  Verified verified =
      loaded.has_value() ? service::engine_host().file(*loaded).verified : Verified();
  if (file.generation > 0) base::format_to(out, "generation {}, ", file.generation);
  if (verified.by == Verified::By::kSignature)
    base::format_to(out, "ed25519 {}", name_of(verified.key).view());
  else if (verified.by == Verified::By::kHash)
    out.write("sha256");
  else
    out.write(service::trust_name(service::trust_of(file)));
}

// Prints one line of facts and one with the path, both for 80 columns.
void print_row(const service::ModelFile& file, bool active, base::Writer& out) {
  Result<service::ModelFacts> summary = service::engine_host().inspect(file);
  base::format_to(out, "{} {}\n    ", active ? '*' : ' ', file.name);
  if (summary.has_value()) {
    const ai::ModelInfo& info = summary->model.info;
    base::format_to(out, "{}, {} million parameters, {}, {} MiB, context {}, ", info.architecture,
                    base::ratio(info.parameters, 1'000'000, 1), info.quantization,
                    mebibytes(file.bytes), info.context);
    print_trust(file, out);
    out.write(", ");
    print_fit(*summary, out);
  } else {
    base::format_to(out, "{} MiB, cannot be used: {}", mebibytes(file.bytes), summary.error());
  }
  base::format_to(out, "\n    {}", file.path);
  if (file.parts > 1) base::format_to(out, " ({} parts)", file.parts);
  out.write("\n");
}

Result<void> run_models(const Arguments&, base::Writer& out) {
  Vector<service::BrokenModel> broken;
  Vector<service::ModelFile> models = TRY(service::find_models(&broken));
  // A lease keeps the model loaded while its row waits for a disk.
  Result<ai::Lease> lease = service::engine_host().lease(service::kConsoleHolder);
  const service::ModelFile* current =
      lease.has_value() ? &service::engine_host().file(*lease) : nullptr;
  bool listed = false;
  for (const service::ModelFile& file : models) {
    bool active = current != nullptr && current->path.view() == file.path.view();
    listed = listed || active;
    // A CD has the files that the loader has put into memory from it.
    auto same = [&](const service::ModelFile& other) {
      return service::is_same_model(other, file);
    };
    if (&*std::ranges::find_if(models.view(), same) != &file && !active)
      base::format_to(out, "    the same at {}\n", file.path);
    else
      print_row(file, active, out);
  }
  if (current != nullptr && !listed) print_row(*current, true, out);
  for (const service::BrokenModel& file : broken)
    base::format_to(out, "  {} {}\n", file.path, file.fault);
  if (models.empty() && current == nullptr)
    out.write("no model was found; help models tells where\n");
  return {};
}

void print_plan(const ai::MemoryPlan& plan, base::Writer& out) {
  base::format_to(out, "  context       {} tokens\n", plan.context);
  base::format_to(out, "  weights       {:>10} MiB\n", mebibytes(plan.weights_bytes));
  base::format_to(out, "  kv cache      {:>10} MiB, {}\n", mebibytes(plan.kv_bytes),
                  ai::kv_type_info(plan.kv_type).name);
  base::format_to(out, "  workspace     {:>10} MiB\n", mebibytes(plan.workspace_bytes));
  base::format_to(out, "  tokenizer     {:>10} MiB\n", mebibytes(plan.tokenizer_bytes));
  if (plan.draft_bytes > 0)
    base::format_to(out, "  draft model   {:>10} MiB\n", mebibytes(plan.draft_bytes));
  base::format_to(out, "  together      {:>10} MiB ({} bytes)\n", mebibytes(plan.total()),
                  plan.total());
}

void print_facts(const service::ModelFile& file, const service::ModelFacts& summary,
                 base::Writer& out) {
  const ai::ModelInfo& info = summary.model.info;
  base::format_to(out, "{} ({}, {} MiB)\n", info.name, file.path, mebibytes(file.bytes));
  base::format_to(out, "  architecture  {}, {} layers, {} wide, {} heads, {} of them for keys\n",
                  info.architecture, info.layers, info.width, info.heads, info.kv_heads);
  base::format_to(out, "  parameters    {} million, {}\n",
                  base::ratio(info.parameters, 1'000'000, 1), info.quantization);
  base::format_to(out, "  tokenizer     {}, {} tokens\n", summary.model.tokenizer, info.vocabulary);
  base::format_to(out, "  template      {}\n",
                  summary.model.has_template ? "its own" : "none: plain lines");
  base::format_to(out, "  trained for   a context of {} tokens\n", info.trained_context);
  base::format_to(out, "  licence       {}\n",
                  info.licence.empty() ? "not stated" : info.licence.view());
  out.write("  hash          ");
  print_trust(file, out);
  out.write("\n");
}

void print_loaded(const ai::Lease& model, base::Writer& out) {
  base::format_to(out, "  kernels       {}, {} threads\n", model.kernels_name(),
                  sched::worker_count());
  out.write("  prefetch      ");
  service::print_prefetch(out, service::engine_host().prefetch(model));
  out.write("\n");
  const service::DraftState& draft = service::engine_host().draft(model);
  if (draft.refused != nullptr)
    base::format_to(out, "  draft model   {} is not used: {}\n", draft.name, draft.refused);
  else if (!draft.name.empty())
    base::format_to(out, "  draft model   {} guesses tokens for it\n", draft.name);
  service::print_streaming(out, service::engine_host().file(model).path.view());
  service::EngineHost::Figures figures = service::engine_host().figures(model);
  base::format_to(out, "  kv pages      {} in use, {} kept for prompts, {} in all\n",
                  figures.kv_pages_used, figures.kv_pages_cached, figures.kv_pages_total);
  ai::KvHome::Figures disk = service::kv_home_figures();
  if (disk.most_bytes > 0)
    base::format_to(out, "  kv disk       {} MiB of {} MiB, {} pages read, {} written since boot\n",
                    mebibytes(disk.bytes), disk.most_bytes / kMiB, disk.pages_read,
                    disk.pages_written);
  base::format_to(out, "  loaded in     {} ms\n",
                  service::milliseconds(service::engine_host().load_ns(model)));
}

// Returns the model of that name. Without a name, returns the loaded one, or the one that would be
// loaded.
Result<service::ModelFile> wanted_model(std::string_view name) {
  if (!name.empty()) {
    const service::ModelFile* current = service::engine_host().current_file();
    bool loaded = current != nullptr && current->name.view() == name;
    return loaded ? current->clone() : service::find_model(name);
  }
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  return service::engine_host().file(model).clone();
}

Result<void> info_of(std::string_view name, base::Writer& out) {
  service::ModelFile file = TRY(wanted_model(name));
  service::ModelFacts summary = TRY(service::engine_host().inspect(file));
  print_facts(file, summary, out);
  Result<ai::Lease> model = service::engine_host().lease_of(file, service::kConsoleHolder);
  if (model.has_value()) {
    print_loaded(*model, out);
    print_plan(model->plan(), out);
    return {};
  }
  out.write("  not loaded: ");
  print_fit(summary, out);
  out.write(summary.in_place ? "; loading would take, the weights being there already\n"
                             : "; loading would take\n");
  print_plan(summary.model.plan, out);
  return {};
}

Result<void> verify(std::string_view name, base::Writer& out) {
  service::ModelFile file = TRY(wanted_model(name));
  ShownProgress progress(io(), "verifying");
  service::ModelDigest digest = TRY(service::verify_model(file, progress));
  base::format_to(out, "{}  {}\n", digest.hex, file.path);
  if (file.parts > 1) base::format_to(out, "(part 1 of {}; all were compared)\n", file.parts);
  if (digest.trust == service::Trust::kNoHash) {
    out.write("unverified: no manifest has the hash of this model\n");
    return {};
  }
  base::format_to(out, "{}\n",
                  digest.trust == service::Trust::kRight
                      ? "verified: these are the bytes of the manifest"
                      : "NOT the bytes of the manifest");
  if (digest.trust == service::Trust::kWrong)
    return fail(Errc::kCorrupt, "the model's SHA-256 is not that of the manifest: copy it again");
  return {};
}

Result<void> load(std::string_view name, base::Writer& out) {
  if (!name.empty()) {
    service::ModelFile file = TRY(service::find_model(name));
    base::format_to(out, "loading {}, {} MiB\n", file.name, mebibytes(file.bytes));
    TRY(load_shown(file, io()));
  }
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  base::format_to(out, "{} is ready: {} ms, context {}, kernels {}\n", model.info().name,
                  service::milliseconds(service::engine_host().load_ns(model)),
                  model.info().context, model.kernels_name());
  return {};
}

Result<void> unload(std::string_view name, base::Writer& out) {
  TRY(service::engine_host().unload(name));
  const service::ModelFile* current = service::engine_host().current_file();
  if (current == nullptr)
    out.write("no model is loaded now\n");
  else
    base::format_to(out, "{} answers now\n", current->name);
  return {};
}

// The verbs that take the name of a model, or none.
template <Result<void> (*run)(std::string_view name, base::Writer& out)>
Result<void> named(Words words, base::Writer& out) {
  return run(words.empty() ? std::string_view() : words[0], out);
}

Result<void> accept_older(Words words, base::Writer& out) {
  if (words.size() != 1) return fail(Errc::kInvalidArgument, "model accept-older NAME");
  TRY(service::bundle::accept_older(words[0]));
  base::format_to(out, "{}: generations of any security_epoch are loaded again\n", words[0]);
  return {};
}

// The prompt cache of every model that is loaded, and what kv.disk= has kept.
Result<void> forget_texts(Words words, base::Writer& out) {
  if (!words.empty()) return fail(Errc::kInvalidArgument, "model forget-texts");
  TRY(service::engine_host().forget_texts());
  out.write("the prompt cache is empty, in memory and on the disk\n");
  return {};
}

struct Verb {
  const char* name;
  Result<void> (*run)(Words words, base::Writer& out);
};
constexpr Verb kVerbs[] = {
    {"info", named<info_of>},       {"load", named<load>},         {"switch", named<load>},
    {"unload", named<unload>},      {"verify", named<verify>},     {"list", list_models},
    {"import", import_model},       {"pull", pull_model},          {"remove", remove_model},
    {"accept-older", accept_older}, {"forget-texts", forget_texts}};

Result<void> run_model(const Arguments& arguments, base::Writer& out) {
  std::string_view verb = arguments.words.size() > 1 ? arguments.words[1] : "info";
  Words rest = arguments.words.subspan(std::min<usize>(arguments.words.size(), 2));
  for (const Verb& row : kVerbs)
    if (verb == row.name) return row.run(rest, out);
  return fail(Errc::kInvalidArgument,
              "model info|load|switch|unload|verify [NAME] | list | import PATH | pull SOURCE | "
              "remove NAME | accept-older NAME | forget-texts");
}

void complete_verb(std::string_view word, void (*add)(void*, std::string_view), void* context) {
  for (const Verb& row : kVerbs) add(context, row.name);
  service::complete_model(word, add, context);
}

constexpr Command kModels{
    "models", "models", "the models that can be used", run_models,
    "Searches the boot modules, then /models and the root of every disk. * marks the model that\n"
    "answers. Context: the length it would be loaded with. Hash: which key signed the bundle, or\n"
    "whether `model verify` found the SHA-256 of the manifest. A model also loads by its path:\n"
    "model load /disk0/x.gguf (in the hosted twin any path of the host)."};
constexpr Command kModel{
    "model",
    "model [info|load|switch|unload|verify] [NAME] | list | import PATH | pull SOURCE | "
    "remove NAME | accept-older NAME | forget-texts",
    "describes, loads, verifies, imports, pulls or removes a model",
    run_model,
    "info describes a model and the memory it needs, also before it is loaded. load and switch\n"
    "finish running requests first; the old model stays until the new one works. verify compares\n"
    "the SHA-256 with the manifest of the bundle or of the boot image; of a loaded model it reads\n"
    "the copy in memory.\n"
    "import PATH|NAME [--to DISK] [--name NAME] copies a model to a disk, as a bundle in\n"
    "models/NAME/GENERATION: from a stick, a CD or the boot image. What was written is read back\n"
    "and compared. Ctrl-C stops it and removes the copy; after a power cut the next import of the\n"
    "same model goes on. Without --to a disk that stays in the machine is taken (exFAT or FAT32).\n"
    "pull SOURCE [--to DISK] [--name NAME] [--sha256 HEX] [--token TOKEN] [--yes] fetches a model\n"
    "over the network: http://HOST/FILE.gguf, hf:OWNER/REPOSITORY/FILE.gguf, ollama:MODEL:TAG, or\n"
    "a name of the catalogue, which `model pull` alone shows. A broken connection is tried again.\n"
    "Ctrl-C stops it; what has come stays, and the same command goes on.\n"
    "list shows the bundles of each disk, complete or not, and its free space.\n"
    "remove NAME [GENERATION] [--from DISK] removes bundles from the disks that can be written.\n"
    "accept-older NAME forgets the highest security_epoch that was loaded of a bundle, so that\n"
    "generations with a lower one are loaded again.\n"
    "forget-texts empties the prompt cache of all models, in memory and on the disk (kv.disk=).",
    false,
    complete_verb};
CONSOLE_COMMAND(kModels);
CONSOLE_COMMAND(kModel);

}  // namespace
}  // namespace console
