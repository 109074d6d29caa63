// SPDX-License-Identifier: GPL-2.0-or-later
// Hostile vocabularies and texts: the first bytes choose the algorithm, lines of the input are
// tokens, merges and the text. Whatever loads must encode anything, and give only its own ids.
#include <vector>

#include "ai/tokenizer/config.h"
#include "ai/tokenizer/pretokenize.h"
#include "tests/hosted/test_platform.h"

namespace {

struct Input {
  std::string_view rest;
  u8 byte() {
    if (rest.empty()) return 0;
    u8 value = static_cast<u8>(rest[0]);
    rest.remove_prefix(1);
    return value;
  }
  // Text up to the next 0xff, which no UTF-8 has.
  std::string_view part() {
    usize end = std::min(rest.find('\xff'), rest.size());
    std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return text;
  }
};

void fill(Input& input, ai::TokenizerConfig& config) {
  constexpr std::string_view kModels[] = {"gpt2", "llama", "t5", "bert", "gemma4"};
  u8 flags = input.byte();
  config.model = kModels[input.byte() % std::size(kModels)];
  config.pre = ai::pre_tokenizer_name(input.byte() % ai::pre_tokenizer_count());
  config.general_name = (flags & 1) != 0 ? "Phi-3" : "";
  config.add_bos = (flags & 2) != 0;
  config.add_eos = (flags & 4) != 0;
  if ((flags & 8) != 0) config.bos = input.byte() * 0x01010101ull;
  if ((flags & 16) != 0) config.unknown = u64{input.byte()};
  if ((flags & 32) != 0) config.remove_extra_spaces = true;
  u32 tokens = input.byte(), merges = input.byte();
  for (u32 i = 0; i < tokens; i++) {
    u8 type = input.byte();
    MUST(config.types.push_back(static_cast<ai::TokenType>(type % 7)));
    MUST(
        config.scores.push_back(type == 0xee ? __builtin_nanf("") : static_cast<float>(type) - 99));
    MUST(config.tokens.push_back(input.part()));
  }
  for (u32 i = 0; i < merges; i++) MUST(config.merges.push_back(input.part()));
  if ((flags & 64) != 0) {
    std::string_view map = input.part();
    MUST(config.charsmap.append({reinterpret_cast<const Byte*>(map.data()), map.size()}));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  Input input{{reinterpret_cast<const char*>(data), size}};
  ai::TokenizerConfig config;
  fill(input, config);
  TestPlatform platform;
  auto tokenizer = ai::make_tokenizer(config, platform);
  if (!tokenizer.has_value()) return 0;
  for (auto parse : {ai::ParseSpecial::kNo, ai::ParseSpecial::kYes}) {
    Vector<ai::TokenId> ids;
    auto encoded = (*tokenizer)->encode(input.rest, ai::AddSpecial::kYes, parse, ids);
    if (!encoded.has_value()) continue;
    for (ai::TokenId id : ids) {
      ASSERT(id < (*tokenizer)->size());
      (*tokenizer)->piece(id);
    }
  }
  (*tokenizer)->piece(~0u);
  return 0;
}
