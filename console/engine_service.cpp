// SPDX-License-Identifier: GPL-2.0-or-later
// Loading, switching and stepping of the one engine.
#include "console/engine_service.h"

#include "kernel/ai_platform.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr Option kModel{"model", OptionKind::kText, "", "NAME|PATH",
                        "the model to load; the first one found by default"};
constexpr Option kContext{"context",
                          OptionKind::kNumber,
                          "0",
                          "0..1048576",
                          "tokens a conversation may have; 0 = the model's, as memory allows",
                          "ctx"};
constexpr Option kRequests{"requests", OptionKind::kNumber, "8", "1..256",
                           "answers in the making at once"};
constexpr Option kKv{"kv", OptionKind::kChoice, "f16", "f16|q8", "precision of the KV cache"};
constexpr Option kChunk{
    "chunk", OptionKind::kNumber, "256", "1..8192", "prompt tokens read in one step", "batch"};
constexpr Option kKernels{"kernels", OptionKind::kText, "auto", "auto|NAME",
                          "the table of compute kernels; 'reference' is the slow truth"};
constexpr Option kSpeculate{"speculate", OptionKind::kFlag, "yes", "",
                            "guesses tokens from the text: the same bytes, sooner"};
KERNEL_OPTION(kModel);
KERNEL_OPTION(kContext);
KERNEL_OPTION(kRequests);
KERNEL_OPTION(kKv);
KERNEL_OPTION(kChunk);
KERNEL_OPTION(kKernels);
KERNEL_OPTION(kSpeculate);

bool is_boot_module(const ModelFile& file) {
  return file.path.view().starts_with("/boot/");
}

// options::text has no terminator and kernels= is read once a load.
const char* kernels_option() {
  static constinit char name[32];
  std::string_view text = options::text(kKernels);
  usize n = std::min(text.size(), sizeof name - 1);
  std::copy_n(text.data(), n, name);
  name[n] = 0;
  return name;
}

ai::EngineOptions engine_options() {
  ai::EngineOptions chosen;
  chosen.context = static_cast<u32>(options::number(kContext));
  chosen.max_requests = static_cast<u32>(options::number(kRequests));
  chosen.kv_type = options::text(kKv) == "q8" ? ai::KvType::kQ8 : ai::KvType::kF16;
  chosen.prefill_chunk = static_cast<u32>(options::number(kChunk));
  chosen.kernels = kernels_option();
  chosen.speculate = options::flag(kSpeculate);
  return chosen;
}

Result<Vector<fs::FileImage>> load_images(const ModelFile& file) {
  Vector<fs::FileImage> images;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    fs::FileImage image = TRY(fs::FileImage::load(path.view(), mm::Purpose::kWeights));
    TRY(images.push_back(std::move(image)));
  }
  return images;
}

Result<Vector<std::span<Byte>>> spans_of(const Vector<fs::FileImage>& images) {
  Vector<std::span<Byte>> spans;
  for (const fs::FileImage& image : images) TRY(spans.push_back(image.bytes()));
  return spans;
}

}  // namespace

ai::Engine& EngineService::engine() {
  ASSERT(active_ != nullptr);
  return *active_->engine;
}

const ModelFile& EngineService::file() const {
  ASSERT(active_ != nullptr);
  return active_->file;
}

u64 EngineService::load_ns() const {
  return active_ == nullptr ? 0 : active_->load_ns;
}

Result<base::Owner<EngineService::Loaded>> EngineService::open(const ModelFile& file) {
  auto loaded = TRY(base::make<Loaded>());
  u64 start = timing::now_ns();
  loaded->file = TRY(file.clone());
  loaded->images = TRY(load_images(file));
  Vector<std::span<Byte>> spans = TRY(spans_of(loaded->images));
  loaded->engine = TRY(ai::Engine::load(spans.view(), ai_platform(), engine_options()));
  loaded->load_ns = timing::now_ns() - start;
  return loaded;
}

Result<ai::MemoryPlan> EngineService::plan(const ModelFile& file) {
  if (active_ != nullptr && active_->file.path.view() == file.path.view())
    return active_->engine->plan();
  for (const base::Owner<Loaded>& kept : kept_)
    if (kept->file.path.view() == file.path.view()) return kept->engine->plan();
  auto first = TRY(fs::open(file.path.view()));
  if (!first->map().has_value())
    return fail(Errc::kUnsupported, "on a disk: planned when it is loaded");
  Vector<fs::FileImage> images = TRY(load_images(file));
  Vector<std::span<Byte>> spans = TRY(spans_of(images));
  return ai::Engine::plan_load(spans.view(), ai_platform(), engine_options());
}

// Serves what runs to its end; new requests wait with their owners meanwhile.
void EngineService::drain() {
  while (active_ != nullptr &&
         (stepping_ || active_->engine->running() + active_->engine->queued() > 0))
    if (!step()) sched::yield();
}

void EngineService::retire() {
  if (active_ == nullptr) return;
  if (!is_boot_module(active_->file)) {
    active_.reset();
    return;
  }
  // Without room for one pointer the model cannot be kept; it is forgotten for good then.
  if (!kept_.push_back(std::move(active_)).has_value())
    log::error("models", "no memory to keep the replaced model: restart to use it again");
  active_.reset();
}

void EngineService::activate(base::Owner<Loaded> loaded) {
  drain();
  retire();
  active_ = std::move(loaded);
}

Result<void> EngineService::load(const ModelFile& file) {
  if (changing_) return fail(Errc::kBusy, "another model is being loaded");
  if (active_ != nullptr && active_->file.path.view() == file.path.view()) return {};
  for (usize i = 0; i < kept_.size(); i++) {
    if (kept_[i]->file.path.view() != file.path.view()) continue;
    base::Owner<Loaded> again = std::move(kept_[i]);
    kept_.erase(i);
    activate(std::move(again));
    return {};
  }
  changing_ = true;
  Result<base::Owner<Loaded>> loaded = open(file);
  changing_ = false;
  if (!loaded.has_value()) return std::unexpected(loaded.error());
  activate(std::move(*loaded));
  return {};
}

Result<void> EngineService::unload() {
  if (changing_) return fail(Errc::kBusy, "a model is being loaded");
  if (active_ == nullptr) return fail(Errc::kNotFound, "no model is loaded");
  drain();
  retire();
  return {};
}

Result<void> EngineService::load_default() {
  if (active_ != nullptr) return {};
  if (options::given(kModel)) return load(TRY(find_model(options::text(kModel))));
  Vector<ModelFile> models = TRY(find_models());
  if (models.empty()) return fail(Errc::kNotFound, "no model was found (`help models` says where)");
  return load(models[0]);
}

bool EngineService::step() {
  if (active_ == nullptr || stepping_) return false;
  stepping_ = true;
  bool worked = active_->engine->step();
  stepping_ = false;
  return worked;
}

bool EngineService::claim() {
  if (active_ == nullptr || stepping_) return false;
  stepping_ = true;
  return true;
}

void EngineService::adopt(ModelFile file, base::Owner<ai::Engine> engine) {
  Result<base::Owner<Loaded>> loaded = base::make<Loaded>();
  if (!loaded.has_value()) return;
  (*loaded)->file = std::move(file);
  (*loaded)->engine = std::move(engine);
  activate(std::move(*loaded));
}

EngineService& engine_service() {
  static constinit EngineService service;
  return service;
}

}  // namespace console
