// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/responses: answers, goes on from an earlier answer, shows and deletes kept ones.
#include "ai/openai/messages.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr std::string_view kPath = "/v1/responses/";

// Writes what the assistant said as a message that chat_from_responses() reads in again.
void write_said(Choice& choice, json::Writer& w) {
  w.begin_object().field("role", "assistant").field("content", choice.content());
  if (!choice.thought().empty()) w.field("reasoning_content", choice.thought());
  write_calls(choice, w);
  w.end_object();
}

// Writes the conversation with commas between its messages, without the instructions, which are
// the first one if the request has any.
Result<void> write_conversation(Exchange& exchange, String& out, usize& answer_at) {
  json::Value body = exchange.body.root();
  bool skip = body.find("instructions").is_string();
  base::StringWriter sink(out);
  for (json::Value message : body.find("messages").elements()) {
    if (!std::exchange(skip, false)) {
      json::Writer(sink).value(message);
      sink.write(",");
    }
  }
  answer_at = out.size();
  json::Writer w(sink);
  write_said(*exchange.choices()[0], w);
  return sink.status();
}

// Finds the answers of one owner by the ids of their items.
class KeptItems final : public ItemSource {
 public:
  KeptItems(ResponseStore& store, const ResponseStore::OwnerHash& owner, Exchange& exchange)
      : store_(store), owner_(owner), exchange_(exchange) {}

  std::string_view message_of(std::string_view item_id) override {
    usize begin = item_id.find('_');
    if (begin == std::string_view::npos || item_id.size() < begin + kItemDigits) return {};
    item_id.remove_suffix(kItemDigits);
    char id[64];
    const ResponseStore::Entry* entry =
        store_.find(owner_, base::format_into(id, "resp{}", item_id.substr(begin)));
    // A short reference may stand for a long text, so these bytes count as the request's own.
    if (entry == nullptr || !exchange_.count_body(entry->messages.size()).has_value()) return {};
    return entry->messages.view().substr(entry->answer_at);
  }

 private:
  ResponseStore& store_;
  const ResponseStore::OwnerHash& owner_;
  Exchange& exchange_;
};

}  // namespace

Result<void> Service::responses(Call& call) {
  json::Document body;
  TRY(parse_body(call, call.in.body, body));
  json::Value root = body.root();
  ApiError& error = call.error;
  auto exchange = TRY(new_exchange(call, *kResponsesForm));
  exchange->id_prefix = "resp_";
  exchange->store = TRY(bool_field(root, "store", true, error)) && responses_.keeps_anything();
  std::string_view earlier_id = TRY(text_field(root, "previous_response_id", error));
  std::string_view earlier;
  if (!earlier_id.empty()) {
    earlier = TRY(earlier_messages(call, earlier_id));
    TRY(exchange->count_body(earlier.size()));
  }
  KeptItems items(responses_, call.owner, *exchange);
  TRY(chat_from_responses(root, earlier, items, exchange->body_text, error));
  Result<json::Document> chat = json::Document::parse(exchange->body_text.view(), kBodyLimits);
  if (!chat.has_value() && chat.error().code != Errc::kOutOfMemory)
    return error.bad("input", "the conversation is too long: {}", chat.error().what);
  exchange->body = TRY(std::move(chat));
  TRY(prepare_chat(call, *exchange, exchange->body.root()));
  return begin(call, std::move(exchange));
}

// The view is valid until an answer is kept or dropped.
Result<std::string_view> Service::earlier_messages(Call& call, std::string_view id) {
  if (const ResponseStore::Entry* entry = responses_.find(call.owner, id); entry != nullptr)
    return entry->messages.view();
  call.error.code = "previous_response_not_found";
  if (!responses_.keeps_anything())
    return call.error.bad("previous_response_id",
                          "this server keeps no responses (responses.mb=0): send the whole "
                          "conversation as 'input'");
  return call.error.bad("previous_response_id",
                        "there is no response '{}' with this key, or it was dropped for newer "
                        "ones: send the whole conversation as 'input'",
                        id.substr(0, 64));
}

// The answer is kept before its end is sent, since the client may go on from it at once.
bool Service::keep_response(Exchange& exchange) {
  base::Wiped<String> messages, answer;
  usize answer_at = 0;
  exchange.choices()[0]->need_item();
  if (!write_conversation(exchange, messages, answer_at).has_value()) return false;
  base::StringWriter sink(answer);
  json::Writer w(sink);
  exchange.form().whole(exchange, w);
  if (!sink.status().has_value()) return false;
  return responses_.keep(exchange.owner, exchange.id(), messages.view(), answer_at, answer.view())
      .has_value();
}

Result<void> Service::one_response(Call& call) {
  std::string_view id = call.in.path.substr(kPath.size());
  const ResponseStore::Entry* entry = responses_.find(call.owner, id);
  if (entry == nullptr) return no_response(call, id);
  respond_json(call.to(), 200, entry->answer.view());
  return {};
}

Result<void> Service::drop_response(Call& call) {
  std::string_view id = call.in.path.substr(kPath.size());
  if (!responses_.forget(call.owner, id)) return no_response(call, id);
  String text;
  base::StringWriter sink(text);
  json::Writer w(sink);
  w.begin_object().field("id", id).field("object", "response").field("deleted", true).end_object();
  TRY(sink.status());
  respond_json(call.to(), 200, text.view());
  return {};
}

std::unexpected<Error> Service::no_response(Call& call, std::string_view id) {
  return call.error.refuse(404, "invalid_request_error", "not_found",
                           "there is no response '{}' with this key", id.substr(0, 64));
}

}  // namespace ai::openai
