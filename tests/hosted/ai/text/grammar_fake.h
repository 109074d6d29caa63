// SPDX-License-Identifier: GPL-2.0-or-later
// A small tokenizer for grammar and protocol tests: every byte, some longer pieces, one end token.
#pragma once

#include "ai/text/grammar.h"

class ApiTestTokenizer final : public ai::Tokenizer {
 public:
  static constexpr ai::TokenId kEnd = 256;
  static constexpr std::string_view kPieces[] = {
      "true", "false", "null",   "\": ",  "\", \"", "{\"", "\"}", "[]",  "  ",    "\n  ", "hello",
      "wor",  "ld",    "\"name", "12",    "345",    "-1",  ".5",  "},",  "aa",    "ab",   "\\n",
      "\\u",  "00e9",  "\xc3",   "\xa9x", "the ",   "a",   "]",   "\"a", "cdefg", "}}"};

  Result<void> encode(std::string_view text, ai::AddSpecial special, ai::ParseSpecial,
                      Vector<ai::TokenId>& out) const override {
    if (special == ai::AddSpecial::kYes && begins != kNoToken) TRY(out.push_back(begins));
    for (char c : text) TRY(out.push_back(static_cast<u8>(c)));
    return {};
  }
  std::string_view piece(ai::TokenId id) const override {
    if (id < 256) return {&bytes_[id], 1};
    if (id == kEnd || id >= size()) return "";
    return kPieces[id - kEnd - 1];
  }
  u32 size() const override { return kEnd + 1 + std::size(kPieces); }
  bool is_end(ai::TokenId id) const override { return id == kEnd; }
  bool is_control(ai::TokenId id) const override { return id == kEnd; }
  ai::TokenId bos() const override { return begins; }
  ai::TokenId eos() const override { return kEnd; }

  ai::FillTokens fill_tokens() const override { return fill; }

  ai::TokenId begins = kNoToken;  // of every text
  ai::FillTokens fill;

  ApiTestTokenizer() {
    for (u32 i = 0; i < 256; i++) bytes_[i] = static_cast<char>(i);
  }

 private:
  char bytes_[256];
};
