// SPDX-License-Identifier: GPL-2.0-or-later
// Filling in the middle of a text: llama-server's /infill, and "suffix" of /v1/completions and of
// Ollama's /api/generate. The model must have tokens that mark the gap.
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

constexpr u32 kMostExtra = 256;  // other texts beside the one with the gap

// The parts of a prompt around the gap.
struct Parts {
  base::Wiped<Vector<TokenId>> extra, before, typed, after;
};

Result<void> encode(const Tokenizer& tokenizer, std::string_view text, Vector<TokenId>& out) {
  // Text around a gap is somebody's program: what looks like a control token in it is none.
  return tokenizer.encode(text, AddSpecial::kNo, ParseSpecial::kNo, out);
}

// Writes the other texts, each with its name, as models learn them from whole projects. A model
// without a token for that gets them as text.
Result<void> encode_extra(const Tokenizer& tokenizer, json::Value list, Vector<TokenId>& out,
                          ApiError& error) {
  if (list.is_null()) return {};
  if (!list.is_array() || list.size() > kMostExtra)
    return error.bad("input_extra", "'input_extra' must be a list of at most {} objects",
                     kMostExtra);
  if (list.size() == 0) return {};
  FillTokens marks = tokenizer.fill_tokens();
  auto begin_file = [&](std::string_view name) -> Result<void> {
    if (marks.file != Tokenizer::kNoToken) TRY(out.push_back(marks.file));
    TRY(encode(tokenizer, name, out));
    return encode(tokenizer, "\n", out);
  };
  if (marks.repository != Tokenizer::kNoToken) {
    TRY(out.push_back(marks.repository));
    TRY(encode(tokenizer, "project\n", out));
  }
  for (json::Value one : list.elements()) {
    std::string_view text = TRY(text_field(one, "text", error));
    std::string_view name = TRY(text_field(one, "filename", error));
    if (!one.is_object() || text.empty())
      return error.bad("input_extra", "each object of 'input_extra' must have a 'text'");
    TRY(begin_file(name.empty() ? "unnamed" : name));
    TRY(encode(tokenizer, text, out));
    TRY(encode(tokenizer, "\n", out));
  }
  return marks.file == Tokenizer::kNoToken ? Result<void>() : begin_file("this");
}

// Cuts the parts to `room` tokens: first the other texts, from their beginning, then what is
// farthest from the gap. Three quarters of the room are for the text before it, but neither side
// leaves room unused that the other one needs.
void cut(Parts& parts, usize room) {
  auto drop_first = [](Vector<TokenId>& tokens, usize kept) {
    usize dropped = tokens.size() - std::min(tokens.size(), kept);
    std::copy(tokens.begin() + dropped, tokens.end(), tokens.begin());
    tokens.truncate(tokens.size() - dropped);
  };
  room -= std::min(room, parts.typed.size());
  usize before = parts.before.size(), after = parts.after.size();
  if (before + after > room) {
    usize most_after = std::max(room / 4, room - std::min(room, before));
    after = std::min(after, most_after);
    before = std::min(before, room - after);
    drop_first(parts.before, before);
    parts.after.truncate(after);
  }
  drop_first(parts.extra, room - before - after);
}

Result<void> add_bos(const Tokenizer& tokenizer, Vector<TokenId>& out) {
  Vector<TokenId> around;  // a text's own beginning, and perhaps an end
  TRY(tokenizer.encode({}, AddSpecial::kYes, ParseSpecial::kNo, around));
  if (around.empty() || around[0] != tokenizer.bos()) return {};
  return out.push_back(around[0]);
}

}  // namespace

bool can_fill(const Tokenizer& tokenizer) {
  FillTokens marks = tokenizer.fill_tokens();
  for (TokenId id : {marks.prefix, marks.suffix, marks.middle})
    if (id == Tokenizer::kNoToken) return false;
  return true;
}

Result<void> Service::fill_prompt(Exchange& exchange, const Gap& gap, ApiError& error) {
  const Tokenizer& tokenizer = exchange.lease.tokenizer();
  if (!can_fill(tokenizer))
    return error.bad(gap.field,
                     "this model cannot fill in: its file names no tokens that mark a gap "
                     "(tokenizer.ggml.fim_pre_token_id, fim_suf_token_id, fim_mid_token_id)");
  FillTokens marks = tokenizer.fill_tokens();
  Parts parts;
  TRY(encode_extra(tokenizer, gap.extra, parts.extra, error));
  TRY(encode(tokenizer, gap.before, parts.before));
  TRY(encode(tokenizer, gap.typed, parts.typed));
  TRY(encode(tokenizer, gap.after, parts.after));
  // A quarter of the context stays for the answer, unless it needs less.
  constexpr usize kMarks = 4;  // with the token that begins a text
  usize context = exchange.context(), most = exchange.parameters.max_tokens;
  usize answer = most == 0 ? context / 4 : std::min(most, context / 4);
  cut(parts, context - std::min(context, answer + kMarks));
  Vector<TokenId> prompt;
  TRY(prompt.append(parts.extra.view()));
  TRY(add_bos(tokenizer, prompt));
  TRY(prompt.push_back(marks.prefix));
  TRY(prompt.append(parts.before.view()));
  TRY(prompt.append(parts.typed.view()));
  TRY(prompt.push_back(marks.suffix));
  TRY(prompt.append(parts.after.view()));
  TRY(prompt.push_back(marks.middle));
  if (exchange.echo) TRY(exchange.prompt_texts.push_back(TRY(String::from(gap.before))));
  return exchange.prompts.push_back(std::move(prompt));
}

Result<void> Service::infill(Call& call) {
  ApiError& error = call.error;
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  exchange->id_prefix = "cmpl-";
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value body = exchange->body.root();
  TRY(lend(*exchange, TRY(lease_for(call, body, ModelUse::kWrite))));
  set_defaults(*exchange);
  exchange->parameters.may_say_nothing = true;
  TRY(read_parameters(body, exchange->lease.tokenizer(), exchange->parameters, error));
  if (exchange->parameters.n != 1) return error.bad("n", "'n' is not part of /infill");
  exchange->parameters.return_tokens |= exchange->parameters.stream;
  exchange->parameters.after_sampling = TRY(bool_field(body, "post_sampling_probs", false, error));
  for (std::string_view name : {"input_prefix", "input_suffix"})
    if (!body.find(name).is_string()) return error.bad(name, "'{}' must be a string", name);
  TRY(fill_prompt(*exchange,
                  {.before = body.find("input_prefix").text(),
                   .typed = TRY(text_field(body, "prompt", error)),
                   .after = body.find("input_suffix").text(),
                   .extra = body.find("input_extra"),
                   .field = "input_prefix"},
                  error));
  return begin(call, std::move(exchange));
}

// "suffix" beside one prompt that is a text.
Result<void> Service::prompt_with_suffix(Exchange& exchange, json::Value body, ApiError& error) {
  json::Value prompt = body.find("prompt");
  if (!prompt.is_string()) return error.bad("prompt", "'suffix' needs a 'prompt' that is one text");
  return fill_prompt(exchange,
                     {.before = prompt.text(),
                      .typed = {},
                      .after = body.find("suffix").text(),
                      .extra = {},
                      .field = "suffix"},
                     error);
}

}  // namespace ai::openai
