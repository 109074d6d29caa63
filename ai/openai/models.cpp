// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the model that a request means: the one that it names, loaded or not, or the default one.
#include "ai/openai/pulled_name.h"
#include "ai/openai/service.h"
#include "ai/text/chat_template.h"
#include "kernel/base/text.h"

namespace ai::openai {
namespace {

std::string_view without(std::string_view name, std::string_view ending) {
  bool ends = name.size() > ending.size() &&
              base::equal_ignoring_case(name.substr(name.size() - ending.size()), ending);
  return ends ? name.substr(0, name.size() - ending.size()) : name;
}

// Clients of Ollama put a tag behind a name, people the ending of its file.
std::string_view bare_name(std::string_view name) {
  return without(without(name, ":latest"), ".gguf");
}

Result<void> copy_details(const ModelDetails& from, ModelDetails& out) {
  TRY(out.architecture.assign(from.architecture.view()));
  TRY(out.quantization.assign(from.quantization.view()));
  TRY(out.licence.assign(from.licence.view()));
  out.parameters = from.parameters;
  out.context = from.context, out.trained_context = from.trained_context;
  out.width = from.width, out.layers = from.layers, out.ffn_width = from.ffn_width;
  out.heads = from.heads, out.kv_heads = from.kv_heads, out.vocabulary = from.vocabulary;
  out.has_template = from.has_template, out.thinks = from.thinks, out.fills = from.fills;
  out.ranks = from.ranks, out.encodes = from.encodes;
  return {};
}

Result<void> details_of(const Lease& lease, ModelDetails& out) {
  const ModelInfo& from = lease.info();
  TRY(out.architecture.assign(from.architecture.view()));
  TRY(out.quantization.assign(from.quantization.view()));
  TRY(out.licence.assign(from.licence.view()));
  out.parameters = from.parameters;
  out.context = from.context, out.trained_context = from.trained_context;
  out.width = from.width, out.layers = from.layers, out.ffn_width = from.ffn_width;
  out.heads = from.heads, out.kv_heads = from.kv_heads, out.vocabulary = from.vocabulary;
  const ChatTemplate* chat = lease.chat_template();
  out.has_template = chat != nullptr, out.ranks = from.ranks, out.encodes = from.encodes;
  out.thinks = model_thinks(chat), out.fills = can_fill(lease.tokenizer());
  return {};
}

// Ollama's clients look for the words "does not support".
std::string_view use_word(std::string_view path) {
  if (path.ends_with("/generate")) return "generate";
  return path.ends_with("/chat") ? "chat" : "embeddings";
}

bool serves(ModelUse use, bool encodes, bool ranks) {
  switch (use) {
    case ModelUse::kAny:
      return true;
    case ModelUse::kWrite:
      return !encodes && !ranks;
    case ModelUse::kEmbed:
      return !ranks;
    case ModelUse::kRank:
      return ranks;
  }
  return false;
}

}  // namespace

Result<Vector<ModelAlias>> read_aliases(std::string_view text) {
  Vector<ModelAlias> aliases;
  while (!text.empty()) {
    std::string_view model = base::split_off(text, ',');
    std::string_view name = base::trim(base::split_off(model, '='));
    model = base::trim(model);
    if (name.empty() || model.empty())
      return fail(Errc::kInvalidArgument,
                  "models.alias= has an entry that is not NAME=MODEL: write "
                  "models.alias=small=stories260K,big=SmolLM2");
    TRY(aliases.push_back({TRY(String::from(name)), TRY(String::from(model))}));
  }
  return aliases;
}

std::string_view model_type(const ModelDetails& d) {
  if (d.ranks) return "rerank";
  if (d.encodes) return "embedding";
  return d.has_template ? "chat" : "language";
}

// Counts every template as one for tools: if it knows none, they are described in its system
// message.
void write_capabilities(const ModelDetails& d, json::Writer& w) {
  bool writes = !d.ranks && !d.encodes;
  struct Row {
    bool has;
    const char* word;
  };
  w.key("capabilities").begin_array();
  for (Row row : {Row{d.ranks, "rerank"}, Row{d.encodes && !d.ranks, "embedding"},
                  Row{writes, "completion"}, Row{writes && d.has_template, "tools"},
                  Row{writes && d.thinks, "thinking"}, Row{writes && d.fills, "insert"}})
    if (row.has) w.value(row.word);
  w.end_array();
}

bool model_thinks(const ChatTemplate* chat) {
  if (chat == nullptr) return false;
  std::string_view source = chat->source();
  return source.find("<think>") != std::string_view::npos ||
         source.find("enable_thinking") != std::string_view::npos;
}

std::unexpected<Error> Service::no_model(ApiError& error) {
  LoadState state = backend_.load_state();
  error.retry_after_ms = static_cast<u32>(std::clamp<u64>(state.eta_ms, 500, 10'000));
  if (state.bytes_total == 0)
    return error.refuse(503, "unavailable_error", "model_not_ready",
                        "no model is loaded: GET /v1/models lists those that there are, POST "
                        "/v1/models/load loads one");
  return error.refuse(503, "unavailable_error", "model_not_ready",
                      "no model is ready ({}: {} of {} bytes)", state.stage, state.bytes_done,
                      state.bytes_total);
}

Result<Lease> Service::take_lease(ApiError& error) {
  Result<Lease> lease = backend_.lease({});
  if (lease.has_value() || lease.error().code != Errc::kNotFound) return lease;
  return no_model(error);
}

std::unexpected<Error> Service::wait(Call& call, WaitFor what, std::string_view model) {
  call.waits = what;
  call.waits_for = model;
  return fail(Errc::kBusy, "the request waits");
}

bool Service::find_row(std::string_view name, ModelRow& out) {
  if (find_named(name, out)) return true;
  for (const ModelAlias& alias : aliases_)
    if (base::equal_ignoring_case(bare_name(alias.name.view()), bare_name(name)))
      return find_named(alias.model.view(), out);
  // A model that was pulled may be asked for by the name that it was pulled by.
  if (!name.contains(':') && !name.starts_with("hf.co/")) return false;
  Result<String> pulled = pulled_name(name);
  return pulled.has_value() && find_named(pulled->view(), out);
}

bool Service::find_named(std::string_view name, ModelRow& out) {
  for (u32 i = 0; i < backend_.model_count(); i++) {
    out = backend_.model_row(i);
    if (base::equal_ignoring_case(bare_name(out.name), bare_name(name))) return true;
  }
  return false;
}

Result<ModelRow> Service::find_model(Call& call, std::string_view wanted) {
  ModelRow row;
  if (!wanted.empty() && find_row(wanted, row)) return row;
  if (!wanted.empty() && !options_.any_model) {
    if (!backend_.models_known_since(call.since_ns - std::min(call.since_ns, kListAgeNs)))
      return wait(call, WaitFor::kList);
    if (call.form == ErrorForm::kOllama)  // its clients look for these words
      return call.error.refuse(404, "not_found", "model_not_found", "model '{}' not found",
                               wanted.substr(0, 120));
    (void)call.error.refuse(404, "invalid_request_error", "model_not_found",
                            "the model '{}' does not exist: GET /v1/models lists those that "
                            "there are, model.any=yes lets any name mean the default one",
                            wanted.substr(0, 120));
    call.error.param = "model";
    return fail(Errc::kNotFound, "no such model");
  }
  std::string_view name = backend_.default_model();
  if (name.empty()) name = backend_.model_id();
  if (name.empty()) return no_model(call.error);
  if (find_row(name, row)) return row;
  if (!backend_.models_known_since(1)) return wait(call, WaitFor::kList);
  return no_model(call.error);  // its medium has been taken away
}

Result<void> Service::check_use(Call& call, const ModelRow& row, ModelUse use) {
  if (use == ModelUse::kAny) return {};
  bool encodes = false, ranks = false;
  if (row.loaded) {
    Lease lease = TRY(backend_.lease(row.name));
    encodes = lease.info().encodes, ranks = lease.info().ranks;
  } else {
    const ModelDetails* known = backend_.details(row.name);
    if (known == nullptr) return wait(call, WaitFor::kDetails, row.name);
    encodes = known->encodes, ranks = known->ranks;
  }
  if (serves(use, encodes, ranks)) return {};
  constexpr std::string_view kList = "(GET /v1/models tells which is what)";
  std::string_view name = row.name.substr(0, 100);
  if (call.form == ErrorForm::kOllama)
    return call.error.bad("model", "\"{}\" does not support {}: it is {}", name,
                          use_word(call.in.path), ranks ? "a reranker" : "an embedding model");
  call.error.code = "model_unsuitable";
  if (use == ModelUse::kRank)
    return call.error.bad("model", "'{}' is no reranker: name one in 'model' {}", name, kList);
  if (use == ModelUse::kEmbed)
    return call.error.bad("model",
                          "'{}' is a reranker and gives no embeddings: name an embedding model in "
                          "'model' {}, or ask /v1/rerank",
                          name, kList);
  return call.error.bad(
      "model", "'{}' is {} and writes no text: name a chat model in 'model' {}, or ask {}", name,
      ranks ? "a reranker" : "an embedding model", kList, ranks ? "/v1/rerank" : "/v1/embeddings");
}

Result<Lease> Service::lease_for(Call& call, std::string_view wanted, ModelUse use) {
  ModelRow row = TRY(find_model(call, wanted));
  TRY(check_use(call, row, use));
  if (!row.loaded) return wait(call, WaitFor::kModel, row.name);
  return backend_.lease(row.name);
}

Result<Lease> Service::lease_for(Call& call, json::Value body, ModelUse use) {
  return lease_for(call, TRY(text_field(body, "model", call.error)), use);
}

Result<void> Service::describe(Call& call, const ModelRow& row, ModelDetails& out) {
  if (row.loaded) return details_of(TRY(backend_.lease(row.name)), out);
  const ModelDetails* known = backend_.details(row.name);
  if (known == nullptr) return wait(call, WaitFor::kDetails, row.name);
  return copy_details(*known, out);
}

}  // namespace ai::openai
