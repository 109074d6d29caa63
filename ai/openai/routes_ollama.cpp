// SPDX-License-Identifier: GPL-2.0-or-later
// Ollama's routes that tell what there is, and those that a machine without a store of its own
// cannot serve: they say what to do.
#include "ai/openai/messages.h"
#include "ai/openai/ollama.h"
#include "ai/openai/service.h"
#include "kernel/base/hex.h"

namespace ai::openai {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kFarNs = 11'000'000'000 * kNsPerSecond;  // the year 2318: it stays

struct NotHereRow {
  std::string_view begins;  // of the path
  const char* text;
};
constexpr NotHereRow kNotHere[] = {
    {"/api/create",
     "models are not created here: copy a finished .gguf file into the folder models of one of its "
     "disks, and give system, template and parameters with each request"},
    {"/api/blobs",
     "this machine takes no files over the network: copy the .gguf file into the folder models of "
     "one of its disks"},
    {"/api/copy",
     "a model has the name of its file: copy the file under another name, or start the machine "
     "with models.alias=NAME=MODEL"},
    {"/api/push", "this machine sends no models anywhere: copy the file from its disk"},
    {"/api/me", "there are no accounts here"},
    {"/api/signout", "there are no accounts here"}};

// Writes 134515008 as "134.5M".
void write_count(u64 count, base::Writer& out) {
  struct Unit {
    u64 size;
    char letter;
  };
  constexpr Unit kUnits[] = {{1'000'000'000, 'B'}, {1'000'000, 'M'}, {1000, 'K'}};
  for (const Unit& unit : kUnits)
    if (count >= unit.size) {
      base::format_to(out, "{}{}", base::ratio(count, unit.size, 1), unit.letter);
      return;
    }
  base::format_to(out, "{}", count);
}

void write_details(const ModelDetails& d, json::Writer& w) {
  char text[32];
  base::BufferWriter parameters(text);
  write_count(d.parameters, parameters);
  w.key("details").begin_object().field("parent_model", "").field("format", "gguf");
  w.field("family", d.architecture).key("families").begin_array().value(d.architecture);
  w.end_array().field("parameter_size", parameters.view());
  w.field("quantization_level", d.quantization).field("context_length", d.trained_context);
  w.field("embedding_length", d.width).end_object();
}

// Where nobody has hashed the file, hashes the facts that tell this model from others, and says so.
void write_digest(const ModelRow& row, const ModelDetails& d, json::Writer& w) {
  char facts[512], hex[65];
  crypto::Sha256Digest stand_in =
      crypto::sha256(base::format_into(facts, "{} {} {} {} {} {}", row.bytes, d.architecture,
                                       d.quantization, d.parameters, d.vocabulary, row.name));
  base::BufferWriter out(hex);
  base::write_hex(row.sha256 != nullptr ? *row.sha256 : stand_in, out);
  w.field("digest", out.view()).field("digest_of", row.sha256 != nullptr ? "file" : "facts");
}

void write_model_info(std::string_view name, const ModelDetails& d, json::Writer& w) {
  w.key("model_info").begin_object();
  w.field("general.architecture", d.architecture).field("general.basename", name);
  w.field("general.parameter_count", d.parameters);
  w.field("general.quantization", d.quantization);
  struct Row {
    const char* key;
    u32 value;
  };
  for (Row row : {Row{"context_length", d.trained_context}, Row{"embedding_length", d.width},
                  Row{"block_count", d.layers}, Row{"feed_forward_length", d.ffn_width},
                  Row{"attention.head_count", d.heads}, Row{"attention.head_count_kv", d.kv_heads},
                  Row{"vocab_size", d.vocabulary}}) {
    char key[96];
    w.field(base::format_into(key, "{}.{}", d.architecture, row.key), row.value);
  }
  w.end_object();
}

void write_tensors(std::span<const TensorRow> tensors, json::Writer& w) {
  w.key("tensors").begin_array();
  for (const TensorRow& row : tensors) {
    w.begin_object().field("name", row.name).field("type", row.type).key("shape").begin_array();
    for (u64 size : std::span(row.dimensions).first(row.dimension_count)) w.value(size);
    w.end_array().end_object();
  }
  w.end_array();
}

}  // namespace

void Service::write_ollama_model(std::string_view name, const ModelRow& row,
                                 const ModelDetails& details, json::Writer& w) {
  char room[kOllamaNameRoom], time[40];
  std::string_view tagged = ollama_name(name, room);
  w.field("name", tagged).field("model", tagged);
  w.field("modified_at", ollama_time(backend_, models_known_seconds() * kNsPerSecond, time));
  w.field("size", row.bytes);
  write_digest(row, details, w);
  write_details(details, w);
  write_capabilities(details, w);
}

u64 Service::expiry_of(const ModelRow& row) {
  Result<Lease> lease = backend_.lease(row.name);
  if (!lease.has_value()) return kFarNs;
  for (const base::Owner<ModelMemory>& memory : memories_)
    if (memory->load_number == lease->load_number() && memory->keep_ns < kFarNs)
      return std::min(kFarNs, backend_.unix_ns() + memory->keep_ns -
                                  std::min(memory->keep_ns, backend_.now_ns() - memory->used_ns));
  return kFarNs;
}

Result<void> Service::for_each_ollama_model(Call& call, bool loaded_only, String& body) {
  base::StringWriter sink(body);
  json::Writer w(sink);
  w.begin_object().key("models").begin_array();
  TRY(for_each_model(call,
                     [&](std::string_view name, const ModelRow& row, const ModelDetails& details) {
                       if (loaded_only && (!row.loaded || name != row.name)) return;
                       w.begin_object();
                       write_ollama_model(name, row, details, w);
                       if (loaded_only) {
                         char time[40];
                         w.field("expires_at", ollama_time(backend_, expiry_of(row), time));
                         w.field("size_vram", row.bytes).field("context_length", details.context);
                       }
                       w.end_object();
                     }));
  w.end_array().end_object();
  return sink.status();
}

Result<void> Service::ollama_tags(Call& call) {
  String body;
  TRY(for_each_ollama_model(call, false, body));
  respond_json(call.to(), 200, body.view());
  return {};
}

Result<void> Service::ollama_ps(Call& call) {
  String body;
  TRY(for_each_ollama_model(call, true, body));
  respond_json(call.to(), 200, body.view());
  return {};
}

Result<void> Service::ollama_show(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  std::string_view wanted = ollama_model_name(body.root());
  if (wanted.empty()) return call.error.bad("model", "model is required");
  ModelRow row = TRY(find_model(call, wanted));
  ModelDetails details;
  TRY(describe(call, row, details));
  const Vector<TensorRow>* tensors = nullptr;
  if (TRY(bool_field(body.root(), "verbose", false, call.error))) {
    tensors = backend_.tensors(row.name);
    if (tensors == nullptr) return wait(call, WaitFor::kTensors, row.name);
  }
  char time[40], line[kOllamaNameRoom];
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().field("license", details.licence);
  w.field("modelfile", base::format_into(line, "FROM {}", row.name));
  // One parameter a line, and no empty line: some clients take each for a name and a value.
  w.field("parameters", base::format_into(line, "num_ctx {}", details.context));
  // Some clients fill in only where they find the suffix here.
  w.field("template", details.fills ? "{{ .Prompt }}{{ .Suffix }}" : "{{ .Prompt }}");
  w.field("system", "");
  write_details(details, w);
  write_model_info(row.name, details, w);
  write_capabilities(details, w);
  if (tensors != nullptr) write_tensors(tensors->view(), w);
  w.field("modified_at", ollama_time(backend_, models_known_seconds() * kNsPerSecond, time));
  w.end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, text.view());
  return {};
}

Result<void> Service::ollama_version(Call& call) {
  char text[48];
  respond_json(call.to(), 200, base::format_into(text, "{{\"version\":\"{}\"}", kOllamaVersion));
  return {};
}

Result<void> Service::ollama_status(Call& call) {
  respond_json(call.to(), 200, R"({"cloud":{"disabled":true,"source":"none"}})");
  return {};
}

Result<void> Service::ollama_not_here(Call& call) {
  for (const NotHereRow& row : kNotHere)
    if (call.in.path.starts_with(row.begins))
      return call.error.refuse(501, "not_implemented", "not_here", "{}", row.text);
  return call.error.refuse(501, "not_implemented", "not_here", "this is not done here");
}

Result<void> Service::ollama_no_blob(Call& call) {
  return call.error.refuse(404, "not_found", "not_found", "there is no such file here");
}

}  // namespace ai::openai
