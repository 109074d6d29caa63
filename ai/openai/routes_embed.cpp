// SPDX-License-Identifier: GPL-2.0-or-later
// /v1/embeddings, and Ollama's two: one vector a text, as numbers or as base64 of their bytes.
#include "ai/openai/messages.h"
#include "ai/openai/nine_digits.h"
#include "ai/openai/ollama.h"
#include "ai/openai/service.h"

namespace ai::openai {
namespace {

void write_base64(std::span<const Byte> bytes, base::Writer& out) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (usize i = 0; i < bytes.size(); i += 3) {
    usize count = std::min<usize>(bytes.size() - i, 3);
    u32 bits = 0;
    for (usize j = 0; j < 3; j++) bits = bits << 8 | (j < count ? bytes[i + j] : 0);
    char group[4];
    for (u32 j = 0; j < 4; j++) group[j] = j <= count ? kDigits[bits >> (18 - 6 * j) & 63] : '=';
    out.write({group, 4});
  }
}

class EmbeddingWork final : public EngineWork {
 public:
  using EngineWork::EngineWork;
  EmbeddingShape shape = EmbeddingShape::kOpenAi;
  bool base64 = false;
  u32 dimensions = 0;  // only the first values of each vector, scaled to length 1 again

 private:
  // Embeds one text per piece, so that requests wait for one text at most.
  Result<bool> piece(Engine& engine) override {
    if (exchange().prompts.empty()) return true;
    u32 width = engine.info().width;
    TRY(vectors_.resize((done_ + 1) * width));
    ClientWaits waits(exchange());
    TRY(engine.embed(exchange().prompts[done_].view(), engine.info().pooling,
                     vectors_.view().subspan(done_ * width, width), &waits));
    return ++done_ == exchange().prompts.size();
  }

  void write(base::Writer& answer) override {
    Backend& backend = exchange().service().backend();
    u64 ms = (backend.now_ns() - exchange().accepted_ns) / 1'000'000;
    char line[120];
    backend.log(base::format_into(line, "embedded {} texts of {} tokens in {} ms", done_,
                                  exchange().prompt_tokens(), ms));
    json::Writer w(answer);
    if (shape == EmbeddingShape::kLlama) return write_llama(w);
    w.begin_object();
    if (shape == EmbeddingShape::kOpenAi)
      write_openai(w);
    else
      write_ollama(w);
    w.end_object();
  }
  std::span<float> vector(u32 index) {
    u32 width = exchange().lease.info().width;
    std::span<float> whole = vectors_.view().subspan(index * width, width);
    return dimensions < width ? shortened(whole) : whole;
  }
  static void write_numbers(std::span<const float> vector, json::Writer& w) {
    w.begin_array();
    for (float x : vector) w.value(nine_digits(x));
    w.end_array();
  }
  void write_openai(json::Writer& w) {
    w.field("object", "list").key("data").begin_array();
    for (u32 i = 0; i < done_; i++) {
      std::span<const float> numbers = vector(i);
      w.begin_object().field("object", "embedding").field("index", i).key("embedding");
      if (base64) {
        String text;
        base::StringWriter sink(text);
        write_base64({reinterpret_cast<const Byte*>(numbers.data()), numbers.size_bytes()}, sink);
        w.value(text);
      } else {
        write_numbers(numbers, w);
      }
      w.end_object();
    }
    u32 tokens = exchange().prompt_tokens();
    w.end_array().field("model", exchange().lease.model()).key("usage").begin_object();
    w.field("prompt_tokens", tokens).field("total_tokens", tokens).end_object();
  }
  void write_llama(json::Writer& w) {
    w.begin_array();
    for (u32 i = 0; i < done_; i++) {
      w.begin_object().field("index", i).key("embedding").begin_array();
      write_numbers(vector(i), w);
      w.end_array().end_object();
    }
    w.end_array();
  }
  void write_ollama(json::Writer& w) {
    if (shape == EmbeddingShape::kOllamaOne) {
      w.key("embedding");
      if (done_ > 0)
        write_numbers(vector(0), w);
      else
        w.begin_array().end_array();
      return;
    }
    char name[kOllamaNameRoom];
    w.field("model", ollama_name(exchange().lease.model(), name)).key("embeddings").begin_array();
    for (u32 i = 0; i < done_; i++) write_numbers(vector(i), w);
    u64 ns = exchange().service().backend().now_ns() - exchange().accepted_ns;
    w.end_array().field("total_duration", exchange().waited_ns + ns);
    w.field("load_duration", exchange().waited_ns);
    w.field("prompt_eval_count", exchange().prompt_tokens());
  }
  std::span<float> shortened(std::span<float> vector) const {
    std::span<float> first = vector.first(dimensions);
    float sum = 0;
    for (float x : first) sum = sum + x * x;
    float length = __builtin_sqrtf(sum);
    for (float& x : first) x = length > 0 ? x / length : 0;
    return first;
  }

  Vector<float> vectors_;
  u32 done_ = 0;
};

}  // namespace

Result<void> Service::embeddings(Call& call) {
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value input = exchange->body.root().find("input");
  return embed(call, EmbeddingShape::kOpenAi, input, std::move(exchange));
}

// llama-server's own form; its older name for the texts is "content".
Result<void> Service::llama_embeddings(Call& call) {
  auto exchange = TRY(new_exchange(call, *kLlamaForm));
  TRY(exchange->body_text.append(call.in.body));
  TRY(parse_body(call, exchange->body_text.view(), exchange->body));
  json::Value body = exchange->body.root();
  json::Value input = body.find(body.find("input").is_null() ? "content" : "input");
  return embed(call, EmbeddingShape::kLlama, input, std::move(exchange));
}

namespace {

// Cuts off the end of a text that is too long. Ollama does so unless it is told not to.
void cut_prompts(Exchange& exchange) {
  for (Vector<TokenId>& prompt : exchange.prompts)
    if (prompt.size() >= exchange.context()) {
      TokenId last = prompt.back();  // an encoder's separator stays the last token
      prompt.truncate(exchange.context() - 1);
      if (exchange.lease.info().encodes) prompt.back() = last;
    }
}

}  // namespace

Result<void> Service::embed(Call& call, EmbeddingShape shape, json::Value input,
                            base::Owner<Exchange> exchange) {
  ApiError& error = call.error;
  bool ollama = shape == EmbeddingShape::kOllama || shape == EmbeddingShape::kOllamaOne;
  json::Value body = exchange->body.root();
  Lease lease = TRY(ollama ? lease_for(call, ollama_model_name(body), ModelUse::kEmbed)
                           : lease_for(call, body, ModelUse::kEmbed));
  TRY(lend(*exchange, std::move(lease)));
  auto work = TRY(base::make<EmbeddingWork>(*exchange));
  work->shape = shape;
  std::string_view format = TRY(text_field(body, "encoding_format", error));
  if (!format.empty() && format != "float" && format != "base64")
    return error.bad("encoding_format", "'encoding_format' must be float or base64");
  work->base64 = format == "base64";
  u32 width = exchange->lease.info().width;
  work->dimensions = static_cast<u32>(TRY(int_field(body, "dimensions", 1, width, width, error)));
  bool cuts = ollama && TRY(bool_field(body, "truncate", true, error));
  exchange->work = std::move(work);
  bool none = ollama && (input.is_null() || (input.is_string() && input.text().empty()) ||
                         (input.is_array() && input.size() == 0));
  Result<void> read;
  if (!none) read = prepare_prompts(*exchange, input, error);
  if (cuts) cut_prompts(*exchange);
  if (read.has_value() && exchange->prompts.empty() && !none)
    read = error.bad("input", "'input' must have at least one text");
  if (read.has_value()) read = check_prompts(*exchange, error);
  if (!read.has_value()) {
    if (!error.param.empty()) error.param = "input";
    return read;
  }
  return begin_work(call, std::move(exchange));
}

}  // namespace ai::openai
