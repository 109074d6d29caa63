// SPDX-License-Identifier: GPL-2.0-or-later
// Follows JSON texts and hashes the items of their arrays.
#include "ai/text/distinct_items.h"

#include <algorithm>

#include "ai/text/exact_decimal.h"
#include "kernel/base/hash.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

u64 mix(u64 a, u64 b) {
  u64 v = (a ^ (b + 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
  return (v ^ v >> 32) * 0xc4ceb9fe1a85ec53;
}

constexpr u64 kStringSeed = 1, kNumberSeed = 2, kArraySeed = 3, kObjectSeed = 4, kLiteralSeed = 5;

}  // namespace

Result<base::Owner<DistinctItems>> DistinctItems::create() {
  base::Owner<DistinctItems> made = TRY(base::make<DistinctItems>());
  TRY(made->items_.reserve(kMaxItems));
  return made;
}

Result<base::Owner<DistinctItems>> DistinctItems::clone() const {
  base::Owner<DistinctItems> copy = TRY(create());
  TRY(copy->items_.append(items_.view()));
  copy->cursor_ = cursor_;
  return copy;
}

void DistinctItems::reset() {
  cursor_ = {};
  items_.clear();
}

void DistinctItems::move_to(const Cursor& to) {
  items_.truncate(to.kept_);
  // create() reserved room, and known() lets no cursor have more.
  (void)items_.append(to.fresh_.view());
  cursor_ = to;
  cursor_.kept_ = static_cast<u32>(items_.size());
  cursor_.fresh_.clear();
}

bool DistinctItems::Cursor::step(u8 byte, bool distinct, const DistinctItems& seen) {
  switch (state_) {
    case State::kString:
      if (byte == '"') return end_string(seen);
      if (byte == '\\')
        state_ = State::kEscape;
      else
        string_ = mix(string_, byte);
      return true;
    case State::kEscape:
    case State::kHex:
      return escaped(byte);
    case State::kScalar:
      if (byte != ',' && byte != ']' && byte != '}' && byte != ' ' && byte != '\n' &&
          byte != '\t') {
        // A scalar that is too long for the buffer is one of a kind for us.
        (void)scalar_.push_back(static_cast<char>(byte));
        return true;
      }
      state_ = State::kBetween;
      if (!end_scalar(seen)) return false;
      break;
    case State::kBetween:
      break;
  }
  switch (byte) {
    case '{':
    case '[':
      return open(byte == '{', distinct);
    case '}':
    case ']':
      return close(seen);
    case ',':
      if (depth_ > 0) frames_[depth_ - 1].wants_key = frames_[depth_ - 1].object;
      return true;
    case '"':
      state_ = State::kString;
      string_ = kStringSeed;
      high_ = 0;
      return true;
    case ':':
    case ' ':
    case '\n':
    case '\t':
    case '\r':
      return true;
    default:
      return begin_scalar(byte, seen);
  }
}

bool DistinctItems::Cursor::open(bool object, bool distinct) {
  if (depth_ == kMaxDepth) return false;
  u32 first = kept_ + static_cast<u32>(fresh_.size());
  frames_[depth_++] = {
      object ? kObjectSeed : kArraySeed, 0, first, object, !object && distinct, object};
  watched_ += !object && distinct;
  return true;
}

bool DistinctItems::Cursor::close(const DistinctItems& seen) {
  if (depth_ == 0) return false;
  Frame frame = frames_[--depth_];
  watched_ -= frame.distinct;
  // Forgets the array's items.
  if (frame.first < kept_) {
    kept_ = frame.first;
    fresh_.clear();
  } else {
    fresh_.truncate(frame.first - kept_);
  }
  return end_value(mix(frame.hash, frame.object), seen);
}

bool DistinctItems::Cursor::begin_scalar(u8 byte, const DistinctItems& seen) {
  state_ = State::kScalar;
  scalar_.clear();
  (void)scalar_.push_back(static_cast<char>(byte));
  bool literal = byte == 't' || byte == 'f' || byte == 'n';
  // The first letter tells the literal, and nothing else could follow it.
  return !literal || !repeats(seen);
}

u64 DistinctItems::Cursor::scalar_hash() const {
  std::string_view text(scalar_.begin(), scalar_.size());
  char first = text[0];
  if (first == 't' || first == 'f' || first == 'n')
    return mix(kLiteralSeed, static_cast<u8>(first));
  Result<ExactDecimal> number = ExactDecimal::from(text);
  if (!number.has_value() || scalar_.full()) return mix(kNumberSeed, base::fnv1a(text));
  u64 hash = mix(kNumberSeed, base::fnv1a(number->digits()));
  return mix(mix(hash, number->negative()), static_cast<u64>(number->exponent()));
}

bool DistinctItems::Cursor::end_scalar(const DistinctItems& seen) {
  return end_value(watched_ > 0 ? scalar_hash() : 0, seen);
}

bool DistinctItems::Cursor::end_string(const DistinctItems& seen) {
  state_ = State::kBetween;
  if (depth_ == 0 || !frames_[depth_ - 1].wants_key) return end_value(string_, seen);
  Frame& frame = frames_[depth_ - 1];
  frame.key = string_;
  frame.wants_key = false;
  // A name that is there twice would count once for a reader, and the hash would be wrong.
  return watched_ == 0 || remember(string_, seen);
}

// Adds to the items of the innermost bracket. Returns false if it has that one already.
bool DistinctItems::Cursor::remember(u64 hash, const DistinctItems& seen) {
  return !known(hash, seen) && kept_ + fresh_.size() < kMaxItems && fresh_.push_back(hash);
}

bool DistinctItems::Cursor::end_value(u64 hash, const DistinctItems& seen) {
  if (depth_ == 0) return true;
  Frame& frame = frames_[depth_ - 1];
  if (frame.object) {
    frame.hash += mix(frame.key, hash);  // in any order
    return true;
  }
  frame.hash = mix(frame.hash, hash);
  return !frame.distinct || remember(hash, seen);
}

bool DistinctItems::Cursor::known(u64 hash, const DistinctItems& seen) const {
  u32 first = frames_[depth_ - 1].first;
  std::span<const u64> old = seen.items_.view().first(kept_);
  std::span<const u64> more = fresh_.view();
  if (first < kept_)
    old = old.subspan(first);
  else
    more = more.subspan(first - kept_), old = {};
  return std::find(old.begin(), old.end(), hash) != old.end() ||
         std::find(more.begin(), more.end(), hash) != more.end();
}

bool DistinctItems::Cursor::repeats(const DistinctItems& seen) const {
  if (depth_ == 0 || watched_ == 0) return false;
  const Frame& frame = frames_[depth_ - 1];
  if (!frame.distinct && !frame.wants_key) return false;
  if (state_ == State::kString) return known(string_, seen);
  return state_ == State::kScalar && known(scalar_hash(), seen);
}

void DistinctItems::Cursor::string_char(u32 c) {
  char bytes[4];
  u32 length = utf8::encode(c, bytes);
  for (u32 i = 0; i < length; i++) string_ = mix(string_, static_cast<u8>(bytes[i]));
}

bool DistinctItems::Cursor::escaped(u8 byte) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (state_ == State::kEscape) {
    if (byte == 'u') {
      state_ = State::kHex;
      unit_ = digits_ = 0;
      return true;
    }
    usize at = kLetters.find(static_cast<char>(byte));
    if (at == std::string_view::npos) return false;
    state_ = State::kString;
    string_char(static_cast<u8>(kMeanings[at]));
    return true;
  }
  std::optional<u8> digit = base::hex_digit(static_cast<char>(byte));
  if (!digit) return false;
  unit_ = unit_ << 4 | *digit;
  if (++digits_ < 4) return true;
  state_ = State::kString;
  if (unit_ >= 0xd800 && unit_ < 0xdc00) {
    high_ = unit_;
  } else if (unit_ >= 0xdc00 && unit_ < 0xe000) {
    string_char(0x10000 + ((high_ - 0xd800) << 10) + (unit_ - 0xdc00));
    high_ = 0;
  } else {
    string_char(unit_);
  }
  return true;
}

}  // namespace ai
