// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the parts of answers that several forms have: usage, timings, probabilities, errors.
#include "ai/openai/exchange.h"
#include "ai/openai/service.h"

namespace ai::openai {

void Form::error(Exchange& exchange, const ApiError& error) const {
  char text[kMaxErrorText];  // on the stack, because there may be no memory left
  base::BufferWriter sink(text);
  sink.write("data: ");
  write_error(error, exchange.error_form, sink);
  sink.write("\n\n");
  exchange.send_text(sink.view());
}

// Comments (a leading colon) are ignored by every client; other events are not.
std::string_view Form::heartbeat(std::span<char> room, u32 done, u32 total) const {
  return base::format_into(room, ": prefill {}/{}\n\n", done, total);
}

void write_usage(Exchange& exchange, json::Writer& w) {
  u32 prompt = exchange.prompt_tokens(), generated = exchange.total_generated();
  w.begin_object();
  w.field("prompt_tokens", prompt).field("completion_tokens", generated);
  w.field("total_tokens", prompt + generated);
  w.key("prompt_tokens_details").begin_object();
  w.field("cached_tokens", exchange.cached_tokens()).end_object();
  w.key("completion_tokens_details").begin_object();
  w.field("reasoning_tokens", exchange.thought_tokens()).end_object().end_object();
}

void write_timings(const Timings& t, json::Writer& w) {
  u32 prompt = t.prompt_tokens - std::min(t.prompt_tokens, t.cached_tokens);
  // The prefill gives the first token; decoding gives the others.
  u64 decoded = t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
  constexpr u64 kNsPerMs = 1'000'000, kNsPerSecond = 1'000'000'000;
  auto per_second = [](u64 count, u64 ns) { return base::ratio(count * kNsPerSecond, ns, 2); };
  w.begin_object();
  w.field("cache_n", t.cached_tokens).field("prompt_n", prompt);
  w.field("prompt_ms", base::ratio(t.prefill_ns, kNsPerMs, 3));
  w.field("prompt_per_token_ms", base::ratio(t.prefill_ns, kNsPerMs * std::max(prompt, 1u), 3));
  w.field("prompt_per_second", per_second(prompt, t.prefill_ns));
  w.field("predicted_n", t.generated_tokens);
  w.field("predicted_ms", base::ratio(t.decode_ns, kNsPerMs, 3));
  w.field("predicted_per_token_ms",
          base::ratio(t.decode_ns, kNsPerMs * std::max<u64>(decoded, 1), 3));
  w.field("predicted_per_second", per_second(decoded, t.decode_ns));
  w.field("first_token_ms", base::ratio(t.first_token_ns, kNsPerMs, 3));
  w.field("gap_p50_ms", base::ratio(t.gap_p50_ns, kNsPerMs, 3));
  w.field("gap_p99_ms", base::ratio(t.gap_p99_ns, kNsPerMs, 3));
  w.field("draft_n", t.drafted_tokens).field("draft_n_accepted", t.accepted_tokens);
  w.end_object();
}

void write_calls(Choice& choice, json::Writer& w) {
  if (choice.calls().empty()) return;
  w.key("tool_calls").begin_array();
  for (const base::Owner<ToolCall>& call : choice.calls()) {
    w.begin_object().field("id", call->id_text()).field("type", "function");
    w.key("function").begin_object().field("name", call->name);
    w.field("arguments", call->arguments).end_object().end_object();
  }
  w.end_array();
}

void write_receipt(const Choice& choice, json::Writer& w) {
  if (!choice.receipt().empty()) w.key("receipt").raw(choice.receipt());
}

void write_receipts(Exchange& exchange, json::Writer& w) {
  if (!exchange.parameters.receipt) return;
  std::span<base::Owner<Choice>> choices = exchange.choices();
  if (choices.size() == 1) return write_receipt(*choices[0], w);
  w.key("receipts").begin_array();
  for (const base::Owner<Choice>& choice : choices) w.raw(choice->receipt());
  w.end_array();
}

void write_running_timings(Choice& choice, json::Writer& w) {
  Timings t = choice.running_timings();
  u64 decoded = t.generated_tokens > 0 ? t.generated_tokens - 1 : 0;
  constexpr u64 kNsPerMs = 1'000'000, kNsPerSecond = 1'000'000'000;
  w.begin_object().field("prompt_n", t.prompt_tokens).field("predicted_n", t.generated_tokens);
  w.field("predicted_ms", base::ratio(t.decode_ns, kNsPerMs, 3));
  w.field("predicted_per_token_ms",
          base::ratio(t.decode_ns, kNsPerMs * std::max<u64>(decoded, 1), 3));
  w.field("predicted_per_second", base::ratio(decoded * kNsPerSecond, t.decode_ns, 2));
  w.end_object();
}

void write_progress(Exchange& exchange, u32 done, u32 total, json::Writer& w) {
  u64 ms = (exchange.service().backend().now_ns() - exchange.accepted_ns) / 1'000'000;
  w.key("prompt_progress").begin_object().field("total", total).field("processed", done);
  w.field("time_ms", ms).end_object();
}

void end_chunk(Exchange& exchange, Choice& choice, const char* finish, json::Writer& w) {
  if (finish == nullptr)
    w.field_null("finish_reason");
  else
    w.field("finish_reason", finish);
  w.end_object().end_array();
  if (finish != nullptr) {
    w.key("timings");
    write_timings(choice.timings(), w);
    if (choice.truncated()) w.field("truncated", true);
    write_receipt(choice, w);
  } else if (exchange.parameters.timings_per_token) {
    w.key("timings");
    write_running_timings(choice, w);
  }
  // If a stream ends with a chunk of usage, all chunks before it have the field with null, as
  // OpenAI's do.
  if (exchange.parameters.include_usage) w.field_null("usage");
  w.end_object();
}

void write_token(Exchange& exchange, TokenId id, i32 micro, json::Writer& w, const char* number) {
  std::string_view piece = exchange.token_text(id);
  // Probabilities after sampling come in billionths.
  u8 digits = exchange.parameters.after_sampling ? 9 : 6;
  w.field("token", piece).field(number, base::Decimal{micro, digits});
  w.key("bytes").begin_array();
  for (char c : piece) w.value(static_cast<u32>(static_cast<u8>(c)));
  w.end_array();
}

void write_logprob_list(Exchange& exchange, Choice& choice,
                        std::span<const Choice::LogprobEntry> entries, json::Writer& w) {
  w.begin_array();
  for (const Choice::LogprobEntry& entry : entries) {
    w.begin_object();
    write_token(exchange, entry.id, entry.micro, w);
    w.key("top_logprobs").begin_array();
    u32 wanted = std::min(entry.top_count, exchange.parameters.logprobs);
    for (const TokenLogprob& top : choice.tops().subspan(entry.first_top, wanted)) {
      w.begin_object();
      write_token(exchange, top.id, top.logprob_micro, w);
      w.end_object();
    }
    w.end_array().end_object();
  }
  w.end_array();
}

void write_chat_logprobs(Exchange& exchange, Choice& choice, u32 from, json::Writer& w) {
  if (!exchange.parameters.want_logprobs) {
    w.null();
    return;
  }
  w.begin_object().key("content");
  write_logprob_list(exchange, choice, choice.logprobs(from), w);
  w.field_null("refusal").end_object();
}

}  // namespace ai::openai
