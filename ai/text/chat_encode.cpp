// SPDX-License-Identifier: GPL-2.0-or-later
// Renders the template with guarded messages, then encodes the result.
#include "ai/text/chat_encode.h"

#include <algorithm>

#include "ai/text/chat_fold.h"

namespace ai {
namespace {

constexpr std::string_view kPlainStops[] = {"\nUser:"};

Result<void> render_plain(const Tokenizer& tokenizer, const ChatInput& input, String& out) {
  for (const ChatMessage& message : input.messages) {
    if (message.role == "user") TRY(out.append("User: "));
    if (message.role == "assistant") TRY(out.append("Assistant: "));
    TRY(tokenizer.guard(message.content, out));
    TRY(out.push_back('\n'));
  }
  if (input.add_generation_prompt) TRY(out.append("Assistant:"));
  return {};
}

Result<void> render(const ChatTemplate* chat, const Tokenizer& tokenizer, const ChatInput& input,
                    String& out, TemplateError* error) {
  if (chat == nullptr) return render_plain(tokenizer, input, out);
  TemplateOptions options;
  options.add_generation_prompt = input.add_generation_prompt;
  options.bos = tokenizer.spelling(tokenizer.bos());
  options.eos = tokenizer.spelling(tokenizer.eos());
  options.tools = input.tools;
  options.extra = input.extra;
  options.now_unix = input.now_unix;
  options.guard = &tokenizer;
  options.max_output = std::min(options.max_output, tokenizer.longest_text());
  options.argument_texts = chat->abilities().argument_texts;
  FoldedChat folded = TRY(FoldedChat::make(chat->abilities(), input.messages));
  return chat->render(folded.messages(), options, out, error);
}

}  // namespace

Result<void> encode_chat(const ChatTemplate* chat, const Tokenizer& tokenizer,
                         const ChatInput& input, String* text, Vector<TokenId>* tokens,
                         TemplateError* error) {
  String guarded;
  TRY(render(chat, tokenizer, input, guarded, error));
  if (!input.continued.empty() && chat == nullptr) TRY(guarded.push_back(' '));
  TRY(tokenizer.guard(input.continued, guarded));
  if (text != nullptr) TRY(Tokenizer::unguard(guarded.view(), *text));
  if (tokens == nullptr) return {};
  usize begin = tokens->size();
  TRY(tokenizer.encode_guarded(guarded.view(), AddSpecial::kYes, *tokens));
  // If the template writes the beginning-of-text token itself, no second one is added.
  TokenId bos = tokenizer.bos();
  bool twice =
      tokens->size() - begin >= 2 && (*tokens)[begin] == bos && (*tokens)[begin + 1] == bos;
  if (twice) tokens->erase(begin);
  return {};
}

std::span<const std::string_view> chat_stops(const ChatTemplate* chat) {
  if (chat != nullptr) return {};
  return kPlainStops;
}

}  // namespace ai
