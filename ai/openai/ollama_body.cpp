// SPDX-License-Identifier: GPL-2.0-or-later
// Bodies of Ollama's /api/chat and /api/generate as bodies of /v1/chat/completions.
#include "ai/openai/messages.h"
#include "ai/openai/parameters.h"

namespace ai::openai {
namespace {

enum class OptionType : u8 { kInteger, kFloat, kBoolean, kText, kList };

// The names of types in Ollama's errors.
constexpr const char* kTypeNames[] = {"integer", "float32", "boolean", "string", "array"};

struct OptionRow {
  std::string_view name;
  OptionType type;
  std::string_view as;  // here; "" = accepted and without a meaning here
};
constexpr OptionRow kOptions[] = {{"temperature", OptionType::kFloat, "temperature"},
                                  {"top_k", OptionType::kInteger, "top_k"},
                                  {"top_p", OptionType::kFloat, "top_p"},
                                  {"min_p", OptionType::kFloat, "min_p"},
                                  {"typical_p", OptionType::kFloat, "typical_p"},
                                  {"repeat_penalty", OptionType::kFloat, "repeat_penalty"},
                                  {"repeat_last_n", OptionType::kInteger, "repeat_last_n"},
                                  {"presence_penalty", OptionType::kFloat, "presence_penalty"},
                                  {"frequency_penalty", OptionType::kFloat, "frequency_penalty"},
                                  {"mirostat", OptionType::kInteger, "mirostat"},
                                  {"mirostat_tau", OptionType::kFloat, "mirostat_tau"},
                                  {"mirostat_eta", OptionType::kFloat, "mirostat_eta"},
                                  {"seed", OptionType::kInteger, "seed"},
                                  {"num_predict", OptionType::kInteger, "n_predict"},
                                  {"num_ctx", OptionType::kInteger, "num_ctx"},
                                  {"stop", OptionType::kList, "stop"},
                                  {"num_keep", OptionType::kInteger, ""},
                                  {"num_batch", OptionType::kInteger, ""},
                                  {"num_gpu", OptionType::kInteger, ""},
                                  {"main_gpu", OptionType::kInteger, ""},
                                  {"num_thread", OptionType::kInteger, ""},
                                  {"draft_num_predict", OptionType::kInteger, ""},
                                  {"tfs_z", OptionType::kFloat, ""},
                                  {"use_mmap", OptionType::kBoolean, ""},
                                  {"use_mlock", OptionType::kBoolean, ""},
                                  {"numa", OptionType::kBoolean, ""},
                                  {"low_vram", OptionType::kBoolean, ""},
                                  {"f16_kv", OptionType::kBoolean, ""},
                                  {"vocab_only", OptionType::kBoolean, ""},
                                  {"logits_all", OptionType::kBoolean, ""},
                                  {"penalize_newline", OptionType::kBoolean, ""}};

bool has_type(json::Value value, OptionType type) {
  switch (type) {
    case OptionType::kInteger:
    case OptionType::kFloat:
      return value.is_number();
    case OptionType::kBoolean:
      return value.is_bool();
    case OptionType::kText:
      return value.is_string();
    case OptionType::kList:
      return value.is_array();
  }
  return false;
}

// A whole number may be written 40.0, and what is behind the point is dropped.
Result<void> write_integer(const OptionRow& row, json::Value value, json::Writer& w,
                           ApiError& error) {
  Result<i64> number = value.integer();
  if (!number.has_value()) {
    Result<i64> milli = value.scaled(3);
    if (!milli.has_value()) return error.bad(row.name, "option \"{}\" is out of range", row.name);
    number = *milli / 1000;
  }
  // Both say "no limit": the whole of the context, and until the end.
  if (row.as == "n_predict" && *number <= 0) return {};
  w.field(row.as, *number);
  return {};
}

Result<void> write_options(json::Value options, json::Writer& w, ApiError& error) {
  if (!options.is_null() && !options.is_object())
    return error.bad("options", "'options' must be an object");
  for (const OptionRow& row : kOptions) {
    json::Value value = options.find(row.name);
    if (value.is_null()) continue;
    if (!has_type(value, row.type))
      return error.bad(row.name, "option \"{}\" must be of type {}", row.name,
                       kTypeNames[static_cast<usize>(row.type)]);
    if (row.as.empty()) continue;
    if (row.type == OptionType::kInteger)
      TRY(write_integer(row, value, w, error));
    else
      w.field(row.as, value);
  }
  return {};
}

Result<void> write_format(json::Value format, json::Writer& w, ApiError& error) {
  if (format.is_null() || (format.is_string() && format.text().empty())) return {};
  if (format.is_string() && format.text() == "json") {
    w.key("response_format").begin_object().field("type", "json_object").end_object();
    return {};
  }
  if (!format.is_object())
    return error.bad("format", "invalid format: expected \"json\" or a JSON schema");
  w.key("response_format").begin_object().field("type", "json_schema");
  w.key("json_schema").begin_object().field("schema", format).end_object().end_object();
  return {};
}

Result<void> write_think(json::Value think, json::Writer& w, ApiError& error) {
  if (think.is_null()) return {};
  std::string_view level = think.text();
  bool known = level == "low" || level == "medium" || level == "high";
  if (!think.is_bool() && !known)
    return error.bad("think", "'think' must be true, false, \"low\", \"medium\" or \"high\"");
  w.field("enable_thinking", !think.is_bool() || think.is_true());
  if (known) w.field("reasoning_effort", level);
  return {};
}

// Writes the fields that both routes have. The prompt or the messages are not among them.
Result<void> write_common(json::Value body, json::Writer& w, ApiError& error) {
  w.field("model", ollama_model_name(body));
  json::Value stream = body.find("stream");
  w.key("stream");
  if (stream.is_null())
    w.value(true);
  else
    w.value(stream);
  for (std::string_view name : {"keep_alive", "logprobs", "top_logprobs", "receipt"})
    if (json::Value value = body.find(name); !value.is_null()) w.field(name, value);
  TRY(write_options(body.find("options"), w, error));
  TRY(write_format(body.find("format"), w, error));
  return write_think(body.find("think"), w, error);
}

Result<void> refuse_images(json::Value holder, json::Value body, ApiError& error) {
  if (holder.find("images").size() == 0) return {};
  return error.bad("images", "\"{}\" does not support images",
                   ollama_model_name(body).substr(0, 100));
}

void write_tool_calls(json::Value calls, json::Writer& w) {
  if (calls.size() == 0) return;
  w.key("tool_calls").begin_array();
  for (json::Value call : calls.elements()) {
    json::Value function = call.find("function");
    w.begin_object().field("id", call.find("id").text()).field("type", "function");
    w.key("function").begin_object().field("name", function.find("name").text());
    w.field("arguments", function.find("arguments")).end_object().end_object();
  }
  w.end_array();
}

Result<void> write_message(json::Value message, json::Value body, json::Writer& w,
                           ApiError& error) {
  TRY(refuse_images(message, body, error));
  w.begin_object().field("role", message.find("role").text());
  w.field("content", message.find("content").text());
  if (message.find("thinking").is_string())
    w.field("reasoning_content", message.find("thinking").text());
  if (message.find("tool_name").is_string()) w.field("name", message.find("tool_name").text());
  if (message.find("tool_call_id").is_string())
    w.field("tool_call_id", message.find("tool_call_id").text());
  write_tool_calls(message.find("tool_calls"), w);
  w.end_object();
  return {};
}

void write_plain_message(std::string_view role, std::string_view text, json::Writer& w) {
  w.begin_object().field("role", role).field("content", text).end_object();
}

}  // namespace

std::string_view ollama_model_name(json::Value body) {
  std::string_view name = body.find("model").text();
  return name.empty() ? body.find("name").text() : name;
}

Result<void> chat_from_ollama(json::Value body, String& out, ApiError& error) {
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  TRY(write_common(body, w, error));
  if (json::Value tools = body.find("tools"); tools.size() > 0) w.field("tools", tools);
  if (!body.find("messages").is_array()) return error.bad("messages", "'messages' must be a list");
  w.key("messages").begin_array();
  for (json::Value message : body.find("messages").elements())
    TRY(write_message(message, body, w, error));
  w.end_array().end_object();
  return sink.status();
}

Result<void> chat_from_ollama_generate(json::Value body, String& out, ApiError& error) {
  std::string_view system = TRY(text_field(body, "system", error));
  std::string_view prompt = TRY(text_field(body, "prompt", error));
  bool raw = TRY(bool_field(body, "raw", false, error));
  TRY(refuse_images(body, body, error));
  std::string_view suffix = TRY(text_field(body, "suffix", error));
  bool own = !TRY(text_field(body, "template", error)).empty();
  if (raw && (own || !system.empty() || body.find("context").size() > 0))
    return error.bad("raw", "raw mode does not support template, system, or context");
  if (own)
    return error.bad("template",
                     "Go templates are not supported; the model's own is used, and \"raw\": true "
                     "takes a prompt as it is");
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object();
  TRY(write_common(body, w, error));
  if (raw || !suffix.empty()) {
    w.field("prompt", prompt);
    if (!suffix.empty()) w.field("suffix", suffix);
  } else {
    w.key("messages").begin_array();
    if (!system.empty()) write_plain_message("system", system, w);
    write_plain_message("user", prompt, w);
    w.end_array();
  }
  w.end_object();
  return sink.status();
}

}  // namespace ai::openai
