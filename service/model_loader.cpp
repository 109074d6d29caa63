// SPDX-License-Identifier: GPL-2.0-or-later
// Reads model files into engines.
#include "service/model_loader.h"

#include <atomic>
#include <optional>
#include <type_traits>

#include "ai/gguf/layout.h"
#include "ai/gguf/original.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hash.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/bundle/loading.h"
#include "service/quiet_platform.h"
#include "service/streaming.h"

namespace service {
namespace {

constexpr Option kContext{"context",
                          OptionKind::kNumber,
                          "0",
                          "0..1048576",
                          "context length in tokens; 0 = the model's, as memory allows",
                          "ctx"};
constexpr Option kRequests{"requests", OptionKind::kNumber, "8", "1..256",
                           "answers generated at once"};
constexpr Option kKv{"kv", OptionKind::kChoice, "f16", "f16|q8|q8q4|q4",
                     "precision of the KV cache: 16, 8.5, 6.5 or 4.5 bits a number"};
constexpr Option kChunk{
    "chunk", OptionKind::kNumber, "128", "1..8192", "prompt tokens of one prefill step", "batch"};
constexpr Option kKernels{"kernels", OptionKind::kText, "auto", "auto|NAME",
                          "table of compute kernels; 'reference' is slow, plain C++"};
constexpr Option kSpeculate{"speculate", OptionKind::kFlag, "yes", "",
                            "speculative decoding: same answer, faster"};
constexpr Option kDraft{"draft", OptionKind::kText, "", "NAME|PATH",
                        "a smaller model with the same vocabulary that guesses tokens for the "
                        "loaded one: same answer, faster"};
KERNEL_OPTION(kContext);
KERNEL_OPTION(kRequests);
KERNEL_OPTION(kKv);
KERNEL_OPTION(kChunk);
KERNEL_OPTION(kKernels);
KERNEL_OPTION(kSpeculate);
KERNEL_OPTION(kDraft);

// free memory that an engine leaves to the rest of the system
constexpr u64 kSpareBytes = 16 * kMiB;

// Returns the option kernels= with a terminating zero, which options::text() does not have. The
// buffer is static: the option is read once per load.
const char* kernels_option() {
  static constinit char name[32];
  std::string_view text = options::text(kKernels);
  usize n = std::min(text.size(), sizeof name - 1);
  std::copy_n(text.data(), n, name);
  name[n] = 0;
  return name;
}

// Fills the engine's options. `taken` bytes of the memory that is free now are reserved for the
// model's file.
ai::EngineOptions engine_options(u64 taken = 0) {
  ai::EngineOptions chosen;
  u64 free = mm::usage().of(mm::Purpose::kFree);
  // 0 would mean that there is no limit.
  chosen.memory_bytes = free > taken + kSpareBytes ? free - taken - kSpareBytes : 1;
  chosen.context = static_cast<u32>(options::number(kContext));
  chosen.max_requests = static_cast<u32>(options::number(kRequests));
  chosen.kv_type = MUST(ai::kv_type_by_name(options::text(kKv)));
  chosen.prefill_chunk = static_cast<u32>(options::number(kChunk));
  chosen.kernels = kernels_option();
  chosen.speculate = options::flag(kSpeculate);
  return chosen;
}

// Interleaves the matrices' rows while the disk is still reading, as soon as the header has
// arrived.
class GroupOnArrival final : public Arrival {
 public:
  bool complete() const { return groups_.has_value(); }
  Result<void> on_bytes(std::span<Byte> whole, u64 bytes) override {
    if (!looked_) TRY(look(whole, bytes));
    if (groups_.has_value()) groups_->advance(bytes);
    return {};
  }

 private:
  static constexpr u64 kMostHeader = 64 * kMiB;

  // A file that cannot be parsed is left as it is. Loading it reports the reason.
  Result<void> look(std::span<Byte> whole, u64 bytes) {
    std::span<const Byte> head = whole.first(bytes);
    u64 size = whole.size();
    looked_ = bytes >= kMostHeader || bytes == size || !ai::GgufFile::has_magic(head);
    auto file = ai::GgufFile::parse_heads({&head, 1}, {&size, 1}, quiet_);
    if (!file.has_value()) return {};
    looked_ = true;
    if ((*file)->has(ai::kLayoutKey)) return {};
    groups_ = TRY(ai::ArrivingGroups::create(**file, 0, whole, ai_platform()));
    return {};
  }

  QuietPlatform quiet_;
  bool looked_ = false;
  std::optional<ai::ArrivingGroups> groups_;
};

Result<Vector<ModelImage>> load_images(const ModelFile& file, Arrival* arrival, Follower follower,
                                       bool copy = false) {
  Vector<ModelImage> images;
  u64 before = 0;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    ModelImage image = TRY(ModelImage::load(path.view(), {.before = before,
                                                          .total = file.bytes,
                                                          .watcher = follower.watcher,
                                                          .arrival = arrival,
                                                          .done = &follower.stage.bytes_done,
                                                          .copy = copy}));
    before += image.bytes().size();
    TRY(images.push_back(std::move(image)));
  }
  return images;
}

// Does the same for a model of a bundle, and lets no byte pass that is not the manifest's. With a
// list of chunks, `arrival` gets those that are right while the rest is being read.
Result<Vector<ModelImage>> load_checked_images(const ModelFile& file, bundle::Loading& bundle,
                                               Arrival* arrival, Follower follower) {
  Vector<ModelImage> images;
  u64 before = 0;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    Result<fs::FileInfo> info = fs::stat(path.view());
    u64 size = info.has_value() ? info->size : 0;
    TRY(bundle.judge_size(i, size));
    std::optional<bundle::ChunkList> list = TRY(bundle.chunks_of(i));
    bundle::ArrivingHash hash;
    std::optional<bundle::CheckedArrival> chunks;
    if (list.has_value()) chunks.emplace(*list, bundle, arrival);
    Arrival* with = &hash;
    if (chunks.has_value()) with = &*chunks;
    ModelImage image = TRY(ModelImage::load(path.view(), {.before = before,
                                                          .total = file.bytes,
                                                          .watcher = follower.watcher,
                                                          .arrival = with,
                                                          .done = &follower.stage.bytes_done,
                                                          .wanted_bytes = size,
                                                          .own = true}));
    before += image.bytes().size();
    follower.stage.stage = "checking";
    if (chunks.has_value())
      TRY(chunks->finish(image.bytes(), follower.watcher));
    else
      TRY(bundle.judge_digest(i, TRY(hash.finish(image.bytes(), follower.watcher))));
    follower.stage.stage = "reading";
    TRY(images.push_back(std::move(image)));
  }
  return images;
}

template <class T>
Result<Vector<std::span<T>>> spans_of(const Vector<ModelImage>& images) {
  Vector<std::span<T>> spans;
  for (const ModelImage& image : images) TRY(spans.push_back(image.bytes()));
  return spans;
}

// Adds words instead of bytes: a changed bit changes the product.
u64 mix_words(std::span<const Byte> bytes, u64 seed) {
  base::Fnv1a hash;
  hash.add(seed);
  usize at = 0;
  for (; at + sizeof(u64) <= bytes.size(); at += sizeof(u64))
    hash.add(base::load<u64>(bytes.data() + at));
  hash.add(bytes.subspan(at));
  return hash.value();
}

// The first bytes of each part of a file, and the sizes of the parts.
struct Heads {
  Vector<Vector<Byte>> bytes;
  Vector<std::span<const Byte>> spans;
  Vector<u64> sizes;
};

Result<Heads> read_heads(const ModelFile& file, usize limit) {
  Heads heads;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    auto part = TRY(fs::open(path.view()));
    TRY(heads.sizes.push_back(part->size()));
    TRY(heads.bytes.push_back(TRY(read_head(*part, limit))));
  }
  for (const Vector<Byte>& head : heads.bytes) TRY(heads.spans.push_back(head.view()));
  return heads;
}

// Calls use(heads) with more and more of the file, until it does not return kCorrupt because the
// header is incomplete. A head of 1 MiB holds most vocabularies; the longest one known needs 20
// MiB.
template <class Use>
std::invoke_result_t<Use, const Heads&> with_heads(const ModelFile& file, Use&& use) {
  for (usize limit : {kMiB, 8 * kMiB}) {
    Heads heads = TRY(read_heads(file, limit));
    auto result = use(heads);
    bool whole = result.has_value() || result.error().code != Errc::kCorrupt;
    if (whole || limit >= file.bytes) return result;
  }
  Heads heads = TRY(read_heads(file, 64 * kMiB));
  return use(heads);
}

// A llama2.c checkpoint says little about itself, and nothing without its tokenizer. These files
// are small, so they are read in full.
Result<ai::ModelSummary> inspect_checkpoint(const ModelFile& file,
                                            const ai::EngineOptions& options) {
  constexpr u64 kMostBytes = 256 * kMiB;
  if (file.bytes > kMostBytes && !is_boot_module(file))
    return fail(Errc::kUnsupported, "a large llama2.c checkpoint cannot be inspected: load it");
  LoadStage loading;
  Vector<ModelImage> images = TRY(load_images(file, nullptr, {.stage = loading}));
  Vector<std::span<Byte>> spans = TRY(spans_of<Byte>(images));
  ai::ModelSummary summary;
  summary.plan = TRY(ai::Engine::plan_load(spans.view(), ai_platform(), options));
  summary.fits = true;
  summary.info.context = summary.plan.context;
  summary.info.file_bytes = file.bytes;
  TRY(summary.info.name.assign(file.name.view()));
  TRY(summary.info.architecture.assign("llama2.c"));
  TRY(summary.info.quantization.assign("F32"));
  TRY(summary.tokenizer.assign("llama"));
  return summary;
}

Result<ai::ModelSummary> inspect_file(const ModelFile& file, const ai::EngineOptions& options) {
  auto first = TRY(fs::open(file.path.view()));
  Vector<Byte> magic = TRY(read_head(*first, sizeof(u32)));
  if (!ai::GgufFile::has_magic(magic.view())) return inspect_checkpoint(file, options);
  QuietPlatform quiet;
  return with_heads(file, [&](const Heads& heads) {
    return ai::Engine::inspect(heads.spans.view(), heads.sizes.view(), quiet, options);
  });
}

// The bytes of a model file, and the engine's options for them.
struct ReadModel {
  bundle::Loading bundle;
  Vector<ModelImage> images = {};
  ai::EngineOptions options = {};
  PrefetchChoice prefetch = {};
};

// Reads a model file. A bundle's bytes are used once they are known to be right. The tensors of a
// model in several parts are only known once all parts are there.
Result<ReadModel> read_model(const ModelFile& file, Follower follower, bool copy = false) {
  ReadModel read{.bundle = TRY(bundle::Loading::begin(file))};
  GroupOnArrival grouping;
  bool early = file.parts == 1;
  follower.stage = {.stage = "reading", .bytes_total = file.bytes, .start_ns = timing::now_ns()};
  read.images =
      TRY(read.bundle.checks()
              ? load_checked_images(file, read.bundle, early ? &grouping : nullptr, follower)
              : load_images(file, early ? &grouping : nullptr, follower, copy));
  follower.stage.stage = "preparing";
  read.options = engine_options();
  read.options.grouped = grouping.complete();
  read.prefetch = choose_prefetch(read.options.kernels, file.bytes);
  read.options.prefetch = read.prefetch.prefetch;
  return read;
}

// Refuses what cannot be read as a draft model of `model`.
Result<void> check_draft_file(const ModelFile& draft, const ModelFile& model,
                              const DraftRoom& room) {
  if (!options::flag(kSpeculate))
    return fail(Errc::kInvalidArgument, "guessing is switched off (speculate=no)");
  if (draft.path.view() == model.path.view())
    return fail(Errc::kInvalidArgument, "it is the model itself: name a smaller one");
  if (std::ranges::find(room.rearranged, draft.path.view()) != room.rearranged.end())
    return fail(Errc::kBusy, "it is a boot module that was loaded as a model: restart");
  u64 free = mm::usage().of(mm::Purpose::kFree);
  if (draft.bytes > room.bytes || draft.bytes + kSpareBytes > free) {
    log::warn("model", "the draft model {} has {} bytes; {} are left", draft.name, draft.bytes,
              std::min(room.bytes, free));
    return fail(Errc::kOutOfMemory, "it does not fit into memory beside the model");
  }
  return {};
}

Result<void> add_draft(LoadedModel& loaded, const DraftRoom& room, Follower follower) {
  ModelFile file = TRY(find_model(loaded.draft.name.view()));
  TRY(loaded.draft.name.assign(file.name.view()));
  TRY(check_draft_file(file, loaded.file, room));
  // A boot module would be rearranged in place, and could then not be read a second time.
  ReadModel read = TRY(read_model(file, follower, is_boot_module(file)));
  // 0 would mean that there is no limit.
  read.options.memory_bytes =
      std::clamp<u64>(room.bytes - file.bytes, 1, read.options.memory_bytes);
  loaded.draft_images = std::move(read.images);
  Vector<std::span<Byte>> spans = TRY(spans_of<Byte>(loaded.draft_images));
  TRY(loaded.engine->add_draft(spans.view(), read.options));
  for (ModelImage& image : loaded.draft_images) image.settle();
  read.bundle.end(file);
  return {};
}

StreamWish wish_for(const ModelFile& file, const ai::EngineOptions& options) {
  return {file, options, !options::given(kChunk)};
}

// Looks into a large file, and refuses it if it is larger than memory and has to lie there. Returns
// true if its experts stay in the file.
Result<bool> stays_in_file(const ModelFile& file) {
  if (is_surely_whole(file)) return false;
  auto first = TRY(fs::open(file.path.view()));
  Vector<Byte> magic = TRY(read_head(*first, sizeof(u32)));
  if (!ai::GgufFile::has_magic(magic.view())) return false;
  ai::EngineOptions options = engine_options(file.bytes);
  Result<ai::ModelSummary> whole = inspect_file(file, options);
  if (!whole.has_value()) return false;  // loading reports what is wrong with it
  bool stays = TRY(plan_streaming(wish_for(file, options), *whole)).has_value();
  if (!stays) TRY(refuse_too_large(file));
  return stays;
}

Result<void> stream(LoadedModel& loaded, Follower follower) {
  const ModelFile& file = loaded.file;
  bundle::Loading bundle = TRY(bundle::Loading::begin(file));
  ai::EngineOptions options = engine_options();
  loaded.prefetch = choose_prefetch(options.kernels, file.bytes);
  options.prefetch = loaded.prefetch.prefetch;
  follower.stage = {.stage = "reading", .bytes_total = file.bytes, .start_ns = timing::now_ns()};
  loaded.engine =
      TRY(load_streamed(wish_for(file, options), follower.watcher, follower.stage.bytes_done));
  loaded.file.verified = bundle.end(file);
  return {};
}

}  // namespace

bool is_boot_module(const ModelFile& file) {
  return file.path.view().starts_with("/boot/");
}

Result<base::Owner<LoadedModel>> open_model(const ModelFile& file, Follower follower) {
  auto loaded = TRY(base::make<LoadedModel>());
  u64 start = timing::now_ns();
  loaded->file = TRY(file.clone());
  if (TRY(stays_in_file(file))) {
    TRY(stream(*loaded, follower));
    loaded->load_ns = timing::now_ns() - start;
    return loaded;
  }
  ReadModel read = TRY(read_model(file, follower));
  loaded->images = std::move(read.images);
  loaded->prefetch = read.prefetch;
  Vector<std::span<Byte>> spans = TRY(spans_of<Byte>(loaded->images));
  loaded->engine = TRY(ai::Engine::load(spans.view(), ai_platform(), read.options));
  for (ModelImage& image : loaded->images) image.settle();
  loaded->file.verified = read.bundle.end(file);
  loaded->load_ns = timing::now_ns() - start;
  return loaded;
}

Result<void> open_draft(LoadedModel& loaded, const DraftRoom& room, Follower follower) {
  std::string_view wanted = options::text(kDraft);
  if (wanted.empty()) return {};
  u64 start = timing::now_ns();
  TRY(loaded.draft.name.assign(wanted));
  Result<void> added = add_draft(loaded, room, follower);
  loaded.load_ns += timing::now_ns() - start;
  if (added.has_value()) return {};
  loaded.draft_images.clear();
  if (added.error().code == Errc::kCancelled) return added;
  loaded.draft.refused = added.error().what;
  log::warn("model", "{} works without the draft model {}: {}", loaded.file.name, loaded.draft.name,
            added.error().what);
  return {};
}

Result<void> list_tensors(const ModelFile& file, TensorSink& sink) {
  auto first = TRY(fs::open(file.path.view()));
  Vector<Byte> magic = TRY(read_head(*first, sizeof(u32)));
  if (!ai::GgufFile::has_magic(magic.view())) return {};
  QuietPlatform quiet;
  return with_heads(file, [&](const Heads& heads) -> Result<void> {
    auto gguf = TRY(ai::GgufFile::parse_heads(heads.spans.view(), heads.sizes.view(), quiet));
    for (const ai::GgufTensor& tensor : gguf->tensors()) TRY(sink.on_tensor(tensor));
    return {};
  });
}

Result<ModelFacts> inspect_model(const ModelFile& file) {
  ModelFacts facts;
  facts.in_place = is_boot_module(file);
  u64 read = facts.in_place ? 0 : file.bytes;
  Result<ai::ModelSummary> model = inspect_file(file, engine_options(read));
  if (!model.has_value()) return std::unexpected(model.error());
  facts.model = std::move(*model);
  ai::EngineOptions options = engine_options(read);
  Result<std::optional<ai::StreamPlan>> streamed =
      plan_streaming(wish_for(file, options), facts.model);
  if (streamed.has_value() && streamed->has_value()) {
    facts.model.plan = (*streamed)->memory;
    facts.model.info.context = facts.model.plan.context;
    facts.model.fits = true;
  }
  const ai::MemoryPlan& plan = facts.model.plan;
  facts.needed_bytes = plan.total() - (facts.in_place ? plan.weights_bytes : 0);
  return facts;
}

Result<ModelFacts> facts_of(const ai::Engine& engine) {
  ModelFacts summary;
  const ai::ModelInfo& from = engine.info();
  ai::ModelInfo& info = summary.model.info;
  TRY(info.name.assign(from.name.view()));
  TRY(info.architecture.assign(from.architecture.view()));
  TRY(info.quantization.assign(from.quantization.view()));
  TRY(info.licence.assign(from.licence.view()));
  info.parameters = from.parameters, info.file_bytes = from.file_bytes;
  info.layers = from.layers, info.width = from.width;
  info.heads = from.heads, info.kv_heads = from.kv_heads;
  info.vocabulary = from.vocabulary;
  info.trained_context = from.trained_context, info.context = from.context;
  summary.model.plan = engine.plan();
  summary.model.has_template = engine.chat_template() != nullptr;
  summary.model.fits = true;
  TRY(summary.model.tokenizer.assign("its own"));
  return summary;
}

Result<void> write_original(const LoadedModel& model, u32 index, ai::ByteSink& out) {
  bool in_file = ExpertReader::of(model.file.path.view()) != nullptr;
  if (in_file && index < model.file.parts) return write_part(model.file, index, out);
  if (index >= model.images.size())
    return fail(Errc::kNotFound, "the model's file has no such part");
  Vector<std::span<const Byte>> spans = TRY(spans_of<const Byte>(model.images));
  if (!ai::GgufFile::has_magic(spans[0]))
    return fail(Errc::kUnsupported, "a loaded model can only be checked if it is a GGUF file");
  auto gguf = TRY(ai::GgufFile::parse(spans.view(), ai_platform()));
  return ai::write_original(*gguf, spans[index], index, ai_platform(), out);
}

u64 weights_checksum(const LoadedModel& model) {
  std::atomic<u64> sum{0};
  for (const ModelImage& image : model.images) {
    std::span<const Byte> bytes = image.bytes();
    u32 pieces = static_cast<u32>((bytes.size() + kMiB - 1) / kMiB);
    ai::parallel_ranges(ai_platform(), pieces, 1, [&](u32 first, u32 last, u32) {
      for (u32 i = first; i < last; i++) {
        std::span<const Byte> piece = bytes.subspan(usize{i} * kMiB);
        // Each piece is hashed separately with its position mixed in, so it does not matter which
        // worker takes it.
        sum.fetch_add(mix_words(piece.first(std::min(piece.size(), kMiB)), i + 1),
                      std::memory_order_relaxed);
      }
    });
  }
  return sum.load();
}

Result<void> flip_weight_bit(LoadedModel& model) {
  if (model.images.empty()) return fail(Errc::kNotFound, "no model file is in memory");
  std::span<Byte> bytes = model.images[0].bytes();
  // The middle of the file holds the matrices of a middle layer. The vocabulary and the norms are
  // elsewhere.
  bytes[bytes.size() / 2] ^= 0x10;
  return {};
}

}  // namespace service
