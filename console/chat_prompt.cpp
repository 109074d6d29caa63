// SPDX-License-Identifier: GPL-2.0-or-later
// Conversations: their editing, their file form, and their way through the template.
#include "console/chat_prompt.h"

#include "ai/text/chat_template.h"
#include "kernel/base/json.h"
#include "kernel/log.h"

namespace console {
namespace {

constexpr std::string_view kRoleNames[] = {"system", "user", "assistant"};
constexpr std::string_view kPlainNames[] = {"", "User: ", "Assistant: "};
constexpr std::string_view kPlainStops[] = {"\nUser:"};

Result<void> render_plain(std::span<const Message> messages, Continue continuation, String& out) {
  for (const Message& message : messages) {
    TRY(out.append(kPlainNames[static_cast<usize>(message.role)]));
    TRY(out.append(message.text.view()));
    TRY(out.append("\n"));
  }
  if (continuation == Continue::kAssistant) TRY(out.append("Assistant:"));
  return {};
}

// How models spell the tokens that begin and end a text. A tokenizer gives control tokens no text
// of their own; which spelling is this model's shows when it is read back as that one token.
constexpr std::string_view kSpellings[] = {
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<bos>",
    "<eos>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|startoftext|>",
    "[BOS]",
    "[EOS]",
    "<|end|>",
    "<end_of_turn>",
    "<\xef\xbd\x9c"
    "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
    "<\xef\xbd\x9c"
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
};

Result<std::string_view> spelling(const ai::Tokenizer& tokenizer, ai::TokenId id) {
  if (id == ai::Tokenizer::kNoToken) return std::string_view();
  Vector<ai::TokenId> tokens;
  for (std::string_view text : kSpellings) {
    tokens.clear();
    TRY(tokenizer.encode(text, ai::AddSpecial::kNo, ai::ParseSpecial::kYes, tokens));
    if (tokens.size() == 1 && tokens[0] == id) return text;
  }
  return std::string_view();
}

Result<void> render_template(const ai::Engine& engine, std::span<const Message> messages,
                             Continue continuation, String& out) {
  Vector<ai::ChatMessage> views;
  for (const Message& message : messages) {
    ai::ChatMessage view;
    view.role = role_name(message.role);
    view.content = message.text.view();
    TRY(views.push_back(view));
  }
  ai::TemplateOptions options;
  options.add_generation_prompt = continuation == Continue::kAssistant;
  options.bos = TRY(spelling(engine.tokenizer(), engine.tokenizer().bos()));
  options.eos = TRY(spelling(engine.tokenizer(), engine.tokenizer().eos()));
  ai::TemplateError error;
  Result<void> done = engine.chat_template()->render(views.view(), options, out, &error);
  if (done.has_value()) return {};
  if (error.raised) {
    log::warn("template", "the model's template refuses: {}", error.message());
  } else {
    log::warn("template", "line {}, column {}: {}", error.line, error.column, error.message());
  }
  return done;
}

}  // namespace

const char* role_name(Role role) {
  return kRoleNames[static_cast<usize>(role)].data();
}

Result<void> Conversation::add(Role role, std::string_view text) {
  Message message{role, TRY(String::from(text))};
  return messages_.push_back(std::move(message));
}

Result<void> Conversation::set_system(std::string_view text) {
  bool there = !messages_.empty() && messages_[0].role == Role::kSystem;
  if (text.empty()) {
    if (there) messages_.erase(0);
    return {};
  }
  if (there) return messages_[0].text.assign(text);
  TRY(add(Role::kSystem, text));
  for (usize i = messages_.size() - 1; i > 0; i--) std::swap(messages_[i], messages_[i - 1]);
  return {};
}

void Conversation::clear() {
  bool system = !messages_.empty() && messages_[0].role == Role::kSystem;
  messages_.truncate(system ? 1 : 0);
}

bool Conversation::undo_answer() {
  if (messages_.empty() || messages_.back().role != Role::kAssistant) return false;
  messages_.pop_back();
  return true;
}

bool Conversation::undo() {
  undo_answer();
  if (messages_.empty() || messages_.back().role != Role::kUser) return false;
  messages_.pop_back();
  return true;
}

bool Conversation::drop_oldest() {
  if (turns() < 2) return false;
  usize first = messages_[0].role == Role::kSystem ? 1 : 0;
  do messages_.erase(first);
  while (messages_[first].role != Role::kUser);
  return true;
}

usize Conversation::turns() const {
  usize n = 0;
  for (const Message& message : messages_) n += message.role == Role::kUser ? 1 : 0;
  return n;
}

Result<void> Conversation::write_json(base::Writer& out) const {
  json::Writer writer(out);
  writer.begin_object().key("messages").begin_array();
  for (const Message& message : messages_) {
    writer.begin_object().key("role").value(role_name(message.role));
    writer.key("content").value(message.text).end_object();
  }
  writer.end_array().end_object();
  out.write("\n");
  return {};
}

Result<Conversation> Conversation::parse_json(std::string_view text) {
  json::Document document = TRY(json::Document::parse(text));
  json::Value list = document.root().find("messages");
  if (!list.is_array()) return fail(Errc::kCorrupt, "not a saved conversation");
  Conversation conversation;
  for (json::Value entry : list.elements()) {
    std::string_view name = entry.find("role").text();
    json::Value content = entry.find("content");
    usize role = 0;
    while (role < std::size(kRoleNames) && kRoleNames[role] != name) role++;
    bool first = conversation.messages_.empty();
    bool fits = role < std::size(kRoleNames) && content.is_string() && (role != 0 || first);
    if (!fits) return fail(Errc::kCorrupt, "a saved message has no role or no text");
    TRY(conversation.add(static_cast<Role>(role), content.text()));
  }
  return conversation;
}

Result<void> render_chat(const ai::Engine& engine, std::span<const Message> messages,
                         Continue continuation, String& out) {
  if (engine.chat_template() != nullptr)
    return render_template(engine, messages, continuation, out);
  return render_plain(messages, continuation, out);
}

Result<void> encode_chat(const ai::Engine& engine, std::span<const Message> messages,
                         Vector<ai::TokenId>& out) {
  String text;
  TRY(render_chat(engine, messages, Continue::kAssistant, text));
  const ai::Tokenizer& tokenizer = engine.tokenizer();
  out.clear();
  TRY(tokenizer.encode(text.view(), ai::AddSpecial::kYes, ai::ParseSpecial::kYes, out));
  // A template that writes the beginning-of-text token itself must not get a second one.
  ai::TokenId bos = tokenizer.bos();
  if (out.size() >= 2 && out[0] == bos && out[1] == bos) out.erase(0);
  return {};
}

Result<std::string_view> token_spelling(const ai::Tokenizer& tokenizer, ai::TokenId id) {
  return spelling(tokenizer, id);
}

std::span<const std::string_view> chat_stops(const ai::Engine& engine) {
  if (engine.chat_template() != nullptr) return {};
  return kPlainStops;
}

}  // namespace console
