// SPDX-License-Identifier: GPL-2.0-or-later
// Finds which of many texts a text begins with, in a sorted list that is narrowed byte by byte.
#pragma once

#include <algorithm>
#include <string_view>

#include "ai/tokenizer/tokenizer.h"

namespace ai {

// Keeps only ids; the owner of the texts passes `text_of` with each call.
class PrefixIndex {
 public:
  static constexpr usize kMaxBytes = 256;  // longer texts are left out, which bounds the work

  // Builds the index. If texts are equal, the one that `before(a, b)` puts first stays.
  template <class TextOf, class Before>
  Result<void> build(Vector<TokenId> ids, const TextOf& text_of, const Before& before) {
    auto out_of_bounds = [&](TokenId id) {
      return text_of(id).empty() || text_of(id).size() > kMaxBytes;
    };
    TokenId* kept = std::remove_if(ids.begin(), ids.end(), out_of_bounds);
    ids.truncate(static_cast<usize>(kept - ids.begin()));
    std::sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
      int order = text_of(a).compare(text_of(b));
      return order != 0 ? order < 0 : before(a, b);
    });
    TokenId* last = std::unique(ids.begin(), ids.end(),
                                [&](TokenId a, TokenId b) { return text_of(a) == text_of(b); });
    ids.truncate(static_cast<usize>(last - ids.begin()));
    ids_ = std::move(ids);
    return {};
  }

  // Calls match(id, bytes) for each text of the list that `text` begins with, shortest first.
  template <class TextOf, class Match>
  void each(std::string_view text, const TextOf& text_of, Match&& match) const {
    const TokenId* first = ids_.begin();
    const TokenId* last = ids_.end();
    for (usize depth = 0; depth < text.size() && first != last; depth++) {
      auto byte = [&](TokenId id) { return static_cast<u8>(text_of(id)[depth]); };
      u8 wanted = static_cast<u8>(text[depth]);
      // The list is sorted: texts that end here come first, then the others by the byte at `depth`.
      first = std::partition_point(first, last, [&](TokenId id) {
        return text_of(id).size() <= depth || byte(id) < wanted;
      });
      last = std::partition_point(first, last, [&](TokenId id) { return byte(id) == wanted; });
      if (first != last && text_of(*first).size() == depth + 1) match(*first, depth + 1);
    }
  }

  // Returns true if a text of the list begins with all of `text` and is longer.
  template <class TextOf>
  bool begins(std::string_view text, const TextOf& text_of) const {
    const TokenId* at = std::partition_point(ids_.begin(), ids_.end(),
                                             [&](TokenId id) { return text_of(id) <= text; });
    return at != ids_.end() && text_of(*at).starts_with(text);
  }

  std::span<const TokenId> ids() const { return ids_.view(); }

 private:
  Vector<TokenId> ids_;
};

}  // namespace ai
