// SPDX-License-Identifier: GPL-2.0-or-later
// `embed`: shows the vectors of texts and how similar they are. It computes in millionths, because
// the console has no floats; it only reads the bits of the engine's floats.
#include <algorithm>
#include <cstring>

#include "console/chat/fixed_point.h"
#include "console/shell/command.h"
#include "console/shell/model_use.h"
#include "kernel/base/json.h"

namespace console {
namespace {

constexpr i64 kOne = 1'000'000;

// Lets other requests make their steps between two chunks of a long text.
class Between final : public ai::EmbedSink {
 public:
  explicit Between(service::Turn& turn) : turn_(turn) {}
  bool on_read(u32, u32) override { return turn_.go_on(); }

 private:
  service::Turn& turn_;
};

// Returns the vector of one text, each number in millionths.
Result<Vector<i64>> vector_of(const ai::Lease& model, std::string_view text, u32& token_count) {
  const ai::ModelInfo& info = model.info();
  Vector<ai::TokenId> tokens;
  TRY(model.tokenizer().encode(text, ai::AddSpecial::kYes, ai::ParseSpecial::kNo, tokens));
  token_count = static_cast<u32>(tokens.size());
  Vector<float> numbers;
  TRY(numbers.resize(info.width));
  KeyPatience patience(io());
  TRY(service::engine_host().between_steps(model, &patience, [&](service::Turn& turn) {
    Between sink(turn);
    return turn.engine().embed(tokens.view(), info.pooling, numbers.view(), &sink);
  }));
  Vector<i64> micro;
  TRY(micro.resize(numbers.size()));
  for (usize i = 0; i < micro.size(); i++) {
    u32 bits = 0;
    std::memcpy(&bits, &numbers[i], sizeof bits);
    micro[i] = float_bits_to_micro(bits);
  }
  return micro;
}

// The vectors have length 1, so their product is the cosine of the angle between them.
i64 cosine(std::span<const i64> a, std::span<const i64> b) {
  i64 sum = 0;  // at most kOne * kOne
  for (usize i = 0; i < a.size(); i++) sum += a[i] * b[i];
  return sum / kOne;
}

void write_json(const ai::Lease& model, std::string_view text, u32 tokens,
                std::span<const i64> numbers, base::Writer& out) {
  json::Writer writer(out);
  writer.begin_object();
  writer.key("model").value(model.info().name);
  writer.key("text").value(text);
  writer.key("tokens").value(tokens);
  writer.key("embedding_millionths").begin_array();
  for (i64 number : numbers) writer.value(number);
  writer.end_array().end_object();
  out.write("\n");
}

void print_first(std::span<const i64> numbers, u32 tokens, base::Writer& out) {
  constexpr usize kShown = 8;
  base::format_to(out, "{} tokens, {} numbers:", tokens, numbers.size());
  for (i64 number : numbers.first(std::min(kShown, numbers.size())))
    base::format_to(out, " {}", base::Decimal{number, 6});
  out.write(numbers.size() > kShown ? " …\n" : "\n");
}

Result<void> run_embed(const Arguments& arguments, base::Writer& out) {
  std::span<const std::string_view> texts = arguments.words.subspan(1);
  bool json = !texts.empty() && texts[0] == "--json";
  if (json) texts = texts.subspan(1);
  if (texts.empty()) return fail(Errc::kInvalidArgument, "embed [--json] TEXT [TEXT ...]");
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Vector<Vector<i64>> vectors;
  for (std::string_view text : texts) {
    u32 tokens = 0;
    TRY(vectors.push_back(TRY(vector_of(model, text, tokens))));
    if (json) {
      write_json(model, text, tokens, vectors.back().view(), out);
    } else {
      print_first(vectors.back().view(), tokens, out);
    }
  }
  for (usize i = 1; !json && i < vectors.size(); i++)
    base::format_to(out, "text {} is {} like the first (1 = the same, 0 = nothing in common)\n",
                    i + 1, base::Decimal{cosine(vectors[0].view(), vectors[i].view()), 6});
  return {};
}

constexpr Command kEmbed{"embed", "embed [--json] TEXT [TEXT ...]",
                         "prints embeddings of texts and their similarity", run_embed,
                         "Quote a text of several words: embed \"a cat\" \"a dog\". Two or more "
                         "texts are compared with\n"
                         "the first. --json prints all numbers in millionths, one line per text. "
                         "The pooling is that of\n"
                         "the model's file, else the mean."};
CONSOLE_COMMAND(kEmbed);

}  // namespace
}  // namespace console
