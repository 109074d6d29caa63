// SPDX-License-Identifier: GPL-2.0-or-later
// Implements conversations: editing them, saving and loading them as JSON, and rendering them with
// the template.
#include "console/chat/chat_prompt.h"

#include "kernel/base/json.h"
#include "kernel/log.h"
#include "service/chat_text.h"

namespace console {
namespace {

constexpr std::string_view kRoleNames[] = {"system", "user", "assistant"};

Result<void> encode(const ai::Lease& model, std::span<const Message> messages,
                    Continue continuation, String* text, Vector<ai::TokenId>* tokens) {
  Vector<ai::ChatMessage> views;
  for (const Message& message : messages) {
    ai::ChatMessage view;
    view.role = role_name(message.role);
    view.content = message.text.view();
    TRY(views.push_back(view));
  }
  ai::ChatInput input;
  input.messages = views.view();
  input.add_generation_prompt = continuation == Continue::kAssistant;
  char problem[256];
  base::BufferWriter why(problem);
  Result<void> done = service::encode_chat(model, input, text, tokens, why);
  if (!done.has_value() && !why.view().empty())
    log::warn("template", "the model's template refuses: {}", why.view());
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

Result<void> render_chat(const ai::Lease& model, std::span<const Message> messages,
                         Continue continuation, String& out) {
  return encode(model, messages, continuation, &out, nullptr);
}

Result<void> encode_chat(const ai::Lease& model, std::span<const Message> messages,
                         Vector<ai::TokenId>& out) {
  out.clear();
  return encode(model, messages, Continue::kAssistant, nullptr, &out);
}

std::span<const std::string_view> chat_stops(const ai::Lease& model) {
  return ai::chat_stops(model.chat_template());
}

}  // namespace console
