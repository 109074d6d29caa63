// SPDX-License-Identifier: GPL-2.0-or-later
// Splits text into words before byte-level merging, with hand-written scanners and one table of
// models.
#pragma once

#include <span>
#include <string_view>

#include "ai/tokenizer/scanners.h"
#include "kernel/base/result.h"

namespace ai {

// Scanners in order of preference. Text that none matches stays together up to the next match.
struct Pass {
  std::span<const Scanner> alternatives;
};

// Passes that run one inside the words of the other.
struct PreTokenizer {
  std::span<const Pass> passes;
  bool whole_words = false;    // a word that is a token is not merged ("ignore_merges")
  bool escape_spaces = false;  // spaces are written as U+2581, not in GPT-2's alphabet
  bool whole_breaks = false;   // as whole_words, but only for words of line breaks
  bool add_bos = false;        // used if the file says nothing
};

// Returns the row that tokenizer.ggml.pre names, or kUnsupported for an unknown name.
Result<const PreTokenizer*> find_pre_tokenizer(std::string_view name);
// List all names, for error messages and tests.
usize pre_tokenizer_count();
std::string_view pre_tokenizer_name(usize index);

// Calls word(begin, end) -> Result<void> for each word of [begin, end) of `text`, in order.
template <class Word>
Result<void> for_each_word(std::span<const Pass> passes, std::string_view text, usize begin,
                           usize end, Word&& word);

// Returns the end of the next piece of the run from `at`: a match, or the text before the next
// match.
usize next_piece(const Pass& pass, const Run& run, usize at);

template <class Word>
Result<void> for_each_word(std::span<const Pass> passes, std::string_view text, usize begin,
                           usize end, Word&& word) {
  if (passes.empty()) return begin < end ? word(begin, end) : Result<void>{};
  Run run(text, begin, end);
  for (usize at = begin; at < end;) {
    usize piece_end = next_piece(passes[0], run, at);
    TRY(for_each_word(passes.subspan(1), text, at, piece_end, word));
    at = piece_end;
  }
  return {};
}

}  // namespace ai
