// SPDX-License-Identifier: GPL-2.0-or-later
// Finds out what a chat template does with messages that not every template knows, by rendering
// short conversations and looking for their words.
#include "ai/text/template_probe.h"

namespace ai {
namespace {

constexpr std::string_view kWord = "probe-word";
constexpr u64 kMostSteps = 50'000;  // a template that takes more for three messages gets no probe

ChatMessage message(std::string_view role, std::string_view content) {
  ChatMessage out;
  out.role = role;
  out.content = content;
  return out;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Returns the text, or "" if the template refuses. Only a lack of memory is an error.
Result<String> rendered(const ChatTemplate& chat, std::span<const ChatMessage> messages,
                        bool argument_texts = false) {
  TemplateOptions options;
  options.bos = "<s>", options.eos = "</s>";
  options.argument_texts = argument_texts;
  options.max_steps = kMostSteps;
  options.now_unix = 1;
  String out;
  Result<void> done = chat.render(messages, options, out);
  if (done.has_value()) return out;
  if (done.error().code == Errc::kOutOfMemory) return std::unexpected(done.error());
  return String();
}

// Some templates accept only ids of nine letters and digits.
constexpr std::string_view kCalls =
    R"([{"id":"probecall","type":"function","function":{"name":"probe_name","arguments":)"
    R"({"probe_key":"probe-value"}}}])";

Result<void> probe_calls(const ChatTemplate& chat, json::Value calls, TemplateAbilities& out) {
  ChatMessage messages[] = {message("user", "x"), message("assistant", "")};
  messages[1].tool_calls = calls;
  String as_object = TRY(rendered(chat, messages));
  String as_text = TRY(rendered(chat, messages, true));
  auto shows = [](const String& text) { return has(text.view(), "probe_name"); };
  if (!shows(as_object) && !shows(as_text)) {
    messages[1].has_content = false;
    as_object = TRY(rendered(chat, messages));
    as_text = TRY(rendered(chat, messages, true));
    out.calls_need_null = shows(as_object) || shows(as_text);
  }
  out.calls = shows(as_object) || shows(as_text);
  constexpr std::string_view kJson = "\"probe_key\":";
  out.argument_texts = has(as_text.view(), kJson) && !has(as_object.view(), kJson);
  return {};
}

Result<void> probe_results(const ChatTemplate& chat, json::Value calls, TemplateAbilities& out) {
  ChatMessage messages[] = {message("user", "x"), message("assistant", out.calls ? "" : "y"),
                            message("tool", kWord)};
  if (out.calls) messages[1].tool_calls = calls;
  messages[1].has_content = !out.calls_need_null;
  messages[2].name = "probe_name";
  messages[2].tool_call_id = "probecall";
  String text = TRY(rendered(chat, messages, out.argument_texts));
  out.results = has(text.view(), kWord);
  return {};
}

}  // namespace

Result<TemplateAbilities> probe_template(const ChatTemplate& chat) {
  TemplateAbilities out;
  const ChatMessage plain[] = {message("user", kWord)};
  String text = TRY(rendered(chat, plain));
  if (!has(text.view(), kWord)) return out;  // nothing can be told
  const ChatMessage system[] = {message("system", kWord), message("user", "x")};
  text = TRY(rendered(chat, system));
  out.system = has(text.view(), kWord);
  json::Document calls = TRY(json::Document::parse(kCalls));
  TRY(probe_calls(chat, calls.root(), out));
  TRY(probe_results(chat, calls.root(), out));
  return out;
}

}  // namespace ai
