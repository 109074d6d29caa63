// SPDX-License-Identifier: GPL-2.0-or-later
// Builds an engine from a file in memory: check, plan, then load, so that a model that is refused
// has cost no memory. Runs on the thread that loads, before the engine has an owner.
#include "ai/engine/opened.h"
#include "ai/gguf/layout.h"
#include "ai/gguf/llama2c.h"
#include "ai/gguf/placement.h"
#include "ai/quant/groups.h"
#include "ai/quant/types.h"
#include "kernel/base/hash.h"

namespace ai {
namespace {

// Texts with more bytes than this per token of context are refused before they are encoded: they
// would not fit, and encoding does not let other threads run. A word takes 4 to 6 bytes a token;
// runs of blanks in programs take more.
constexpr usize kTextBytesPerToken = 16, kLeastText = 256 * kKiB;

using Parts = std::span<const std::span<Byte>>;

}  // namespace

Result<void> read_metadata(Opened& opened, Platform& platform, const EngineOptions& options) {
  opened.params = TRY(read_hyperparameters(*opened.file));
  opened.tokenizer = TRY(Tokenizer::load(*opened.file, platform));
  if (opened.tokenizer->size() > opened.params.vocabulary) {
    log(platform, LogLevel::kError, "the tokenizer has {} tokens, the model {}",
        opened.tokenizer->size(), opened.params.vocabulary);
    return fail(Errc::kCorrupt, "the tokenizer has more tokens than the model");
  }
  opened.kv_type = options.kv_type;
  opened.workers = platform.worker_count();
  return {};
}

namespace {

// Opens a GGUF file in parts, or a llama2.c checkpoint whose tokenizer follows it or is a part of
// its own.
Result<Opened> open(Parts parts, Platform& platform, const EngineOptions& options,
                    Llama2cGroups groups) {
  Vector<std::span<const Byte>> views;
  for (std::span<Byte> part : parts) TRY(views.push_back(part));
  Opened opened;
  opened.weights = parts;
  if (!parts.empty() && parts.size() <= 2 && !GgufFile::has_magic(parts[0]) &&
      is_llama2c(parts[0])) {
    std::span<const Byte> tokenizer;
    if (parts.size() == 2) tokenizer = parts[1];
    opened.file = TRY(parse_llama2c(parts[0], tokenizer, platform, groups));
    opened.weights = parts.first(1);
  } else {
    opened.file = TRY(GgufFile::parse(views.view(), platform));
    if (options.grouped) opened.file->mark_grouped();
  }
  TRY(read_metadata(opened, platform, options));
  return opened;
}

u64 bytes_of(Parts parts) {
  u64 sum = 0;
  for (std::span<Byte> part : parts) sum += part.size();
  return sum;
}

}  // namespace

ModelSizes sizes_of(const Opened& opened, u64 weights_bytes) {
  ModelSizes sizes;
  sizes.weights_bytes = weights_bytes;
  sizes.tokenizer_bytes = opened.tokenizer->memory_bytes();
  // Norms and biases are also kept as floats, beside the file's own bytes.
  for (const GgufTensor& t : opened.file->tensors())
    if (t.view.rows == 1) sizes.vector_bytes += u64{t.view.columns} * sizeof(float);
  sizes.page_bytes = kv_page_bytes(opened.params, opened.kv_type);
  sizes.window = sizes.page_bytes.window > 0 ? opened.params.window : 0;
  sizes.state_bytes = state_bytes(opened.params);
  sizes.page_positions = kv_page_positions();
  sizes.vocabulary = opened.params.vocabulary;
  sizes.trained_context = opened.params.trained_context;
  sizes.width = opened.params.width;
  sizes.whole_texts = opened.params.bidirectional;
  sizes.model = &opened;
  sizes.workspace_bytes = [](const void* model, const StepLimits& limits, u32 context) -> u64 {
    const Opened& o = *static_cast<const Opened*>(model);
    return workspace_bytes(o.params, limits, context, o.workers);
  };
  return sizes;
}

namespace {

// Returns the name of the quantization that holds most of the bytes.
const char* main_quantization(const GgufFile& file) {
  u64 bytes[usize(QuantType::kCount)] = {};
  for (const GgufTensor& t : file.tensors())
    bytes[usize(t.view.type)] += u64{t.view.rows} * t.view.row_bytes;
  usize most = 0;
  for (usize i = 0; i < usize(QuantType::kCount); i++)
    if (bytes[i] > bytes[most]) most = i;
  return quant_info(static_cast<QuantType>(most)).name;
}

constexpr usize kSample = 4096;

// Returns a tensor's first bytes as the model's file has them, whether or not its rows are
// interleaved.
Result<std::span<const Byte>> sample_of(const GgufTensor& t, bool grouped, TensorSamples* samples,
                                        Vector<Byte>& room) {
  SampleShape shape(t, grouped);
  TensorView first = t.view;
  first.rows = shape.rows;
  if (stays_in_file(t)) first.data = TRY(samples->first_of(t, shape.source_bytes));
  usize bytes = shape.bytes;
  if (!grouped || t.dimension_count < 2) return first.data.first(bytes);
  first.grouped = true;
  u32 rows = static_cast<u32>((bytes + first.row_bytes - 1) / first.row_bytes);
  TRY(room.resize(rows * first.row_bytes));
  for (u32 r = 0; r < rows; r++) copy_row(first, r, room.data() + r * first.row_bytes);
  return room.view().first(bytes);
}

}  // namespace

SampleShape::SampleShape(const GgufTensor& tensor, bool grouped)
    : rows(static_cast<u32>(tensor.dimensions[1])) {
  usize row = tensor.view.row_bytes;
  bytes = source_bytes = std::min(rows * row, kSample);
  if (!grouped || row == 0) return;
  u64 whole = base::round_up((bytes + row - 1) / row, kGroupRows);
  source_bytes = std::min<u64>(whole, rows) * row;
}

Result<u64> fingerprint_of(const Opened& opened, u32 context, TensorSamples* samples) {
  base::Fnv1a hash;
  const GgufFile& file = *opened.file;
  bool grouped = is_grouped_file(file);
  Vector<Byte> room;
  for (usize i = 0; i < file.key_count(); i++)
    if (file.key(i).starts_with(opened.params.name)) hash.add(file.raw(i));
  for (const GgufTensor& t : file.tensors()) {
    hash.add(t.name);
    hash.add({reinterpret_cast<const Byte*>(t.dimensions), sizeof t.dimensions});
    hash.add(static_cast<u64>(t.view.type));
    hash.add(TRY(sample_of(t, grouped, samples, room)));
  }
  // LongRoPE has two sets of factors: the context decides which of them the keys were turned by.
  bool long_factors = opened.params.rope.scaling == RopeScaling::kLongRope &&
                      context > opened.params.rope.original_context;
  return long_factors ? ~hash.value() : hash.value();
}

namespace {

// Reads the pooling, in llama.cpp's numbers: 0 none, 1 mean, 2 first ("cls"), 3 last, 4 rank.
Result<void> describe_pooling(const GgufFile& file, ModelInfo& info) {
  char key[96];
  u64 kind = TRY(
      file.get_u64(base::format_into(key, "{}.pooling_type", info.architecture.view()), u64{0}));
  constexpr Pooling kKinds[] = {Pooling::kMean, Pooling::kMean, Pooling::kFirst, Pooling::kLast,
                                Pooling::kMean};
  if (kind >= std::size(kKinds)) {
    log(file.platform(), LogLevel::kError, "key '{}' is {}, expected 0 to 4", key, kind);
    return fail(Errc::kUnsupported, "the model pools its vectors in a way that is not supported");
  }
  info.pooling = kKinds[kind];
  info.ranks = kind == 4;
  return {};
}

Result<ModelInfo> describe(const Opened& opened, u64 file_bytes) {
  const GgufFile& file = *opened.file;
  const Hyperparameters& p = opened.params;
  ModelInfo info;
  std::string_view name = TRY(file.get_string("general.name", "unnamed"));
  std::string_view licence = TRY(file.get_string("general.license", ""));
  TRY(info.name.assign(name));
  TRY(info.licence.assign(licence));
  TRY(info.architecture.assign(p.name));
  TRY(info.quantization.assign(main_quantization(file)));
  info.file_bytes = file_bytes;
  for (const GgufTensor& t : file.tensors()) info.parameters += u64{t.view.columns} * t.view.rows;
  info.layers = p.layers;
  info.width = p.width;
  info.heads = p.heads;
  info.kv_heads = p.kv_heads;
  info.head_width = p.key_width;
  info.ffn_width = p.ffn_width;
  info.vocabulary = p.vocabulary;
  info.trained_context = p.trained_context;
  info.encodes = p.bidirectional;
  TRY(describe_pooling(file, info));
  return info;
}

// A template that does not compile is no reason to refuse the model: it can still complete text.
Result<base::Owner<ChatTemplate>> load_template(const GgufFile& file, Platform& platform) {
  std::string_view source = TRY(file.get_string("tokenizer.chat_template", ""));
  if (source.empty()) return nullptr;
  TemplateError error;
  auto compiled = ChatTemplate::compile(source, &error);
  if (compiled.has_value() || compiled.error().code == Errc::kOutOfMemory) return compiled;
  log(platform, LogLevel::kWarn, "the model's chat template is not usable: line {}, column {}: {}",
      error.line, error.column, error.message());
  return nullptr;
}

}  // namespace

Result<void> fill_parts(EngineParts& parts, Opened& opened, const EngineSizes& sizes,
                        u64 file_bytes) {
  parts.info = TRY(describe(opened, file_bytes));
  parts.info.context = sizes.context;
  parts.info.kv_type = sizes.kv_type;
  parts.tokenizer = std::move(opened.tokenizer);
  parts.tokenizer->bound_text(std::max(kLeastText, sizes.context * kTextBytesPerToken));
  parts.chat_template = TRY(load_template(*opened.file, opened.file->platform()));
  return {};
}

namespace {

// Refuses a draft model whose tokens are not the model's, and one that cannot take back what it
// computed of a wrong guess.
Result<void> check_draft(const Opened& draft, const Tokenizer& tokens, Platform& platform) {
  if (draft.params.bidirectional || state_bytes(draft.params) > 0)
    return fail(Errc::kUnsupported, "it is an encoder or recurrent: only a decoder can guess");
  const Tokenizer& own = *draft.tokenizer;
  TokenId id = 0;
  while (id < std::min(own.size(), tokens.size()) && own.spelling(id) == tokens.spelling(id) &&
         own.piece(id) == tokens.piece(id))
    id++;
  if (id == own.size() && id == tokens.size()) return {};
  log(platform, LogLevel::kWarn,
      "the draft model has {} tokens, the model {}; the first that differs is token {}", own.size(),
      tokens.size(), id);
  return fail(Errc::kUnsupported,
              "its vocabulary is not the model's: choose a draft model of the same family");
}

// Returns the bytes that a draft model takes beside its file.
u64 draft_bytes(const Opened& draft, const DraftSizes& sizes) {
  ModelSizes model = sizes_of(draft, 0);
  KvShape kv = sizes.kv(model.page_bytes, model.page_positions, model.window);
  return kv.pages * u64{kv.page_bytes} + kv.window_pages * u64{kv.window_page_bytes} +
         kv.book_bytes() + model.vector_bytes +
         model.workspace_bytes(model.model, sizes.step_limits(), sizes.context) +
         sizes.buffer_bytes(model.vocabulary);
}

}  // namespace

Result<MemoryPlan> Engine::plan_load(Parts parts, Platform& platform,
                                     const EngineOptions& options) {
  Opened opened = TRY(open(parts, platform, options, Llama2cGroups::kDescribe));
  MemoryPlan plan;
  TRY(choose_sizes(options, sizes_of(opened, bytes_of(parts)), platform, plan));
  return plan;
}

Result<ModelSummary> Engine::inspect(std::span<const std::span<const Byte>> heads,
                                     std::span<const u64> file_bytes, Platform& platform,
                                     const EngineOptions& options) {
  Opened opened;
  opened.file = TRY(GgufFile::parse_heads(heads, file_bytes, platform));
  TRY(read_metadata(opened, platform, options));
  u64 bytes = 0;
  for (u64 part : file_bytes) bytes += part;
  ModelSummary summary;
  summary.info = TRY(describe(opened, bytes));
  std::string_view kind = TRY(opened.file->get_string("tokenizer.ggml.model", ""));
  TRY(summary.tokenizer.assign(kind));
  summary.has_template = opened.file->has("tokenizer.chat_template");
  Result<EngineSizes> sizes =
      choose_sizes(options, sizes_of(opened, bytes), platform, summary.plan);
  summary.fits = sizes.has_value();
  if (!sizes.has_value() && sizes.error().code != Errc::kOutOfMemory)
    return std::unexpected(sizes.error());
  summary.info.context = summary.plan.context;
  return summary;
}

Result<base::Owner<Engine>> Engine::load(std::span<Byte> file, Platform& platform,
                                         const EngineOptions& options) {
  return load(Parts(&file, 1), platform, options);
}

Result<base::Owner<Engine>> Engine::load(Parts parts, Platform& platform,
                                         const EngineOptions& options) {
  Opened opened = TRY(open(parts, platform, options, Llama2cGroups::kConvert));
  auto ready = TRY(base::make<EngineParts>());
  ready->kernels = TRY(kernels_by_name(options.kernels, platform.cpu_features()));
  ready->kernels.prefetch = options.prefetch;
  EngineSizes sizes =
      TRY(choose_sizes(options, sizes_of(opened, bytes_of(parts)), platform, ready->plan));
  TRY(fill_parts(*ready, opened, sizes, bytes_of(parts)));
  ready->info.fingerprint = TRY(fingerprint_of(opened, sizes.context, nullptr));
  // Nothing may fail for want of a check after this: loading rewrites the file in place.
  ready->model = TRY(Model::load(
      *opened.file, opened.weights,
      {.kernels = &ready->kernels, .kv_type = options.kv_type, .context = sizes.context},
      platform));
  return TRY(EngineImpl::create(std::move(ready), platform, sizes));
}

DraftSizes EngineImpl::draft_sizes() const {
  return {.context = sizes_.context,
          .text = sizes_.context,
          .pages = sizes_.kv.pages,
          .vocabulary = parts_->tokenizer->size(),
          .requests = sizes_.limits.max_requests,
          .chunk = sizes_.limits.prefill_chunk};
}

Result<void> EngineImpl::add_draft(Parts parts, const EngineOptions& options) {
  if (!sizes_.limits.speculate)
    return fail(Errc::kInvalidArgument, "guessing is switched off (speculate=no)");
  if (parts_->info.encodes || parts_->model->state_bytes() > 0)
    return fail(Errc::kUnsupported,
                "the model is an encoder or recurrent, and verifies no guesses");
  Opened opened = TRY(open(parts, platform_, options, Llama2cGroups::kConvert));
  TRY(check_draft(opened, *parts_->tokenizer, platform_));
  DraftSizes sizes = draft_sizes();
  sizes.context = std::min(sizes.context, std::max(opened.params.trained_context, kMaxDraft + 1));
  u64 bytes = draft_bytes(opened, sizes);
  if (options.memory_bytes != 0 && bytes > options.memory_bytes) {
    log(platform_, LogLevel::kWarn,
        "the draft model takes {} bytes beside its file, {} are there; a smaller context= or kv=q8 "
        "takes less",
        bytes, options.memory_bytes);
    return fail(Errc::kOutOfMemory, "it does not fit into memory beside the model");
  }
  auto ready = TRY(base::make<DraftParts>());
  ready->kernels = TRY(kernels_by_name(options.kernels, platform_.cpu_features()));
  ready->kernels.prefetch = options.prefetch;
  ready->model = TRY(Model::load(
      *opened.file, opened.weights,
      {.kernels = &ready->kernels, .kv_type = options.kv_type, .context = sizes.context},
      platform_));
  take_draft(TRY(DraftModel::create(std::move(ready), platform_, sizes)));
  parts_->plan.draft_bytes = bytes + bytes_of(parts);
  return {};
}

}  // namespace ai
