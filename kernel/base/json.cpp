// SPDX-License-Identifier: GPL-2.0-or-later
// Implements JSON: an iterative parser into flat nodes, exact decimal numbers, and the writer.
#include "kernel/base/json.h"

#include <bit>

#include "kernel/base/hash.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"
#include "kernel/base/wipe.h"

namespace json {
namespace {

// The index of a large object is a hash table that is at most a quarter full, with a power of two
// of slots. The upper half of a slot is the hash of a name. The lower half says how many nodes
// after the object's own node the name stands; 0 marks a free slot. The parser refuses names that
// were made to collide.
// object's its name stands; 0 is free. Names made to collide are refused by the parser.
constexpr u32 kIndexedMembers = 64;
constexpr u64 kSlotsPerMember = 4;
constexpr u32 kMaxProbes = 48;  // honest names never need that many

u64 slot_count(const Node& object) {
  return std::bit_ceil(object.count * kSlotsPerMember);
}

// Returns the slot where `name` is or may be put, or null after kMaxProbes.
const u64* find_slot(std::span<const u64> slots, const Node* object, std::string_view name) {
  u32 hash = base::slot_hash(name);
  u64 mask = slots.size() - 1, at = hash & mask;
  for (u32 probe = 0; probe < kMaxProbes; at = (at + 1) & mask, probe++) {
    u64 slot = slots[at];
    bool same = slot >> 32 == hash && object[static_cast<u32>(slot)].text == name;
    if (static_cast<u32>(slot) == 0 || same) return &slots[at];
  }
  return nullptr;
}

}  // namespace

// Parses in one pass without recursion: the open containers are a small stack of node indices.
class Parser {
 public:
  Parser(std::string_view text, const Limits& limits, Document& out)
      : text_(text), limits_(limits), out_(out) {}

  Result<void> run() {
    if (text_.size() > limits_.bytes) return fail(Errc::kFull, "JSON text is too long");
    skip_space();
    TRY(value());
    while (depth_ > 0) TRY(next_in_container());
    skip_space();
    if (at_ != text_.size()) return fail(Errc::kCorrupt, "text after the JSON value");
    return {};
  }
  usize position() const { return at_; }

 private:
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (!more() || text_[at_] != c) return false;
    at_++;
    return true;
  }
  void skip_space() {
    while (more() && (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t')) at_++;
  }

  Result<u32> add(Kind kind, std::string_view text) {
    if (out_.nodes_.size() >= limits_.nodes) return fail(Errc::kFull, "JSON has too many values");
    u32 index = static_cast<u32>(out_.nodes_.size());
    TRY(out_.nodes_.push_back({kind, 0, index + 1, text}));
    return index;
  }

  // Continues inside the innermost container: takes its end, or a comma and one more element.
  Result<void> next_in_container() {
    u32 container = open_[depth_ - 1];
    bool object = out_.nodes_[container].kind == Kind::kObject;
    skip_space();
    if (take(object ? '}' : ']')) {
      out_.nodes_[container].end = static_cast<u32>(out_.nodes_.size());
      depth_--;
      return object ? index_members(container) : Result<void>();
    }
    if (out_.nodes_[container].count > 0 && !take(','))
      return fail(Errc::kCorrupt, "expected a comma or the end of the list");
    if (object && out_.nodes_[container].count >= limits_.members)
      return fail(Errc::kFull, "an object in the JSON has too many members");
    out_.nodes_[container].count++;
    skip_space();
    if (object) {
      if (peek() != '"') return fail(Errc::kCorrupt, "expected a member name in quotes");
      TRY(string());
      skip_space();
      if (!take(':')) return fail(Errc::kCorrupt, "expected a colon after the member name");
      skip_space();
    }
    return value();
  }

  Result<void> index_members(u32 container) {
    Node* object = &out_.nodes_[container];
    if (object->count < kIndexedMembers) return {};
    Vector<u64> slots;
    TRY(slots.resize(slot_count(*object)));
    for (Member m : Value(out_.nodes_.data(), container).members()) {
      const u64* slot = find_slot(slots.view(), object, m.name);
      if (slot == nullptr)
        return fail(Errc::kCorrupt, "an object's member names collide too often");
      u64 place = static_cast<u64>(m.value.node() - 1 - object);
      slots[static_cast<usize>(slot - slots.data())] = u64{base::slot_hash(m.name)} << 32 | place;
    }
    // An object has no text of its own. Its empty text begins where its index lies.
    object->text = std::string_view(reinterpret_cast<const char*>(slots.data()), 1).substr(0, 0);
    return out_.indices_.push_back(std::move(slots));
  }

  Result<void> value() {
    switch (peek()) {
      case '{':
        return container(Kind::kObject);
      case '[':
        return container(Kind::kArray);
      case '"':
        return string();
      case 't':
        return word("true", Kind::kTrue);
      case 'f':
        return word("false", Kind::kFalse);
      case 'n':
        return word("null", Kind::kNull);
      default:
        return number();
    }
  }

  Result<void> container(Kind kind) {
    if (depth_ >= limits_.depth || depth_ >= kMaxDepth)
      return fail(Errc::kFull, "JSON is nested too deeply");
    at_++;
    open_[depth_] = TRY(add(kind, {}));
    depth_++;
    return {};
  }

  Result<void> word(std::string_view literal, Kind kind) {
    if (!text_.substr(at_).starts_with(literal)) return fail(Errc::kCorrupt, "expected a value");
    at_ += literal.size();
    TRY(add(kind, {}));
    return {};
  }

  bool digits() {
    usize first = at_;
    while (peek() >= '0' && peek() <= '9') at_++;
    return at_ > first;
  }
  Result<void> number() {
    usize first = at_;
    take('-');
    if (!take('0') && !digits()) return fail(Errc::kCorrupt, "expected a value");
    if (take('.') && !digits()) return fail(Errc::kCorrupt, "expected digits after the point");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return fail(Errc::kCorrupt, "expected digits in the exponent");
    }
    TRY(add(Kind::kNumber, text_.substr(first, at_ - first)));
    return {};
  }

  // Most strings have no escape and point into the parsed text.
  Result<void> string() {
    usize first = ++at_;
    while (more()) {
      char c = text_[at_];
      if (c == '"') {
        TRY(add(Kind::kString, text_.substr(first, at_ - first)));
        at_++;
        return {};
      }
      if (c == '\\') return escaped_string(first);
      TRY(plain_character());
    }
    return fail(Errc::kCorrupt, "string without an end");
  }

  Result<void> plain_character() {
    u8 c = static_cast<u8>(text_[at_]);
    if (c < 0x20) return fail(Errc::kCorrupt, "control character in a string");
    if (c < 0x80) {
      at_++;
      return {};
    }
    utf8::Decoded d = utf8::decode(text_.substr(at_));
    if (!d.valid) return fail(Errc::kCorrupt, "string is not UTF-8");
    at_ += d.bytes;
    return {};
  }

  // Decoded text is never longer than its escaped form, so its room is known before it is decoded.
  Result<void> escaped_string(usize first) {
    usize end = at_;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    String& text = *TRY(room(std::min(end, text_.size()) - first));
    usize begin = text.size();
    TRY(text.append(text_.substr(first, at_ - first)));
    while (more()) {
      if (take('"')) {
        TRY(add(Kind::kString, text.view().substr(begin)));
        return {};
      }
      if (take('\\')) {
        TRY(escape(text));
        continue;
      }
      usize from = at_;
      while (more() && peek() != '"' && peek() != '\\') TRY(plain_character());
      TRY(text.append(text_.substr(from, at_ - from)));
    }
    return fail(Errc::kCorrupt, "string without an end");
  }

  // Returns a piece of decoded text with room for that many more bytes.
  Result<String*> room(usize bytes) {
    Vector<String>& pieces = out_.decoded_;
    if (pieces.empty() || bytes > pieces.back().chars().capacity() - pieces.back().size()) {
      String piece;
      TRY(piece.reserve(std::max(bytes, std::min(kPieceBytes, text_.size()))));
      TRY(pieces.push_back(std::move(piece)));
    }
    return &pieces.back();
  }

  Result<void> escape(String& text) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    char c = peek();
    if (!more()) return fail(Errc::kCorrupt, "string without an end");
    at_++;
    usize known = kLetters.find(c);
    if (known != std::string_view::npos) return text.push_back(kMeanings[known]);
    if (c != 'u') return fail(Errc::kCorrupt, "unknown escape in a string");
    u32 unit = TRY(hex4());
    if (unit >= 0xdc00 && unit <= 0xdfff) return fail(Errc::kCorrupt, "lone surrogate");
    if (unit >= 0xd800 && unit <= 0xdbff) {
      if (!take('\\') || !take('u')) return fail(Errc::kCorrupt, "lone surrogate");
      u32 low = TRY(hex4());
      if (low < 0xdc00 || low > 0xdfff) return fail(Errc::kCorrupt, "lone surrogate");
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    char bytes[4];
    return text.append({bytes, utf8::encode(unit, bytes)});
  }

  Result<u32> hex4() {
    u32 unit = 0;
    for (u32 i = 0; i < 4; i++, at_++) {
      std::optional<u8> digit = base::hex_digit(peek());
      if (!digit) return fail(Errc::kCorrupt, "expected four hex digits after \\u");
      unit = unit << 4 | *digit;
    }
    return unit;
  }

  static constexpr usize kPieceBytes = 64 * kKiB;

  std::string_view text_;
  const Limits& limits_;
  Document& out_;
  usize at_ = 0;
  u32 depth_ = 0;
  u32 open_[kMaxDepth] = {};
};

Document& Document::operator=(Document&& other) noexcept {
  Document old(std::move(*this));
  nodes_ = std::move(other.nodes_);
  decoded_ = std::move(other.decoded_);
  return *this;
}

Document::~Document() {
  for (String& text : decoded_) base::wipe(text);
}

Result<Document> Document::parse(std::string_view text, const Limits& limits, usize* error_at) {
  Document document;
  Parser parser(text, limits, document);
  Result<void> result = parser.run();
  if (error_at != nullptr) *error_at = parser.position();
  if (!result.has_value()) return std::unexpected(result.error());
  return document;
}

// ---- values ---------------------------------------------------------------------------------

namespace {

// A number as parts of its text: sign * digits * 10^exponent, digits without leading zeros.
struct DecimalText {
  bool negative = false;
  std::string_view whole, fraction;
  i64 exponent = 0;

  usize digit_count() const { return whole.size() + fraction.size(); }
  u32 digit(usize i) const {
    char c = i < whole.size() ? whole[i] : fraction[i - whole.size()];
    return static_cast<u32>(c - '0');
  }
};

DecimalText split_number(std::string_view text) {
  DecimalText n;
  if (text.starts_with('-')) n.negative = true, text.remove_prefix(1);
  usize e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view power = text.substr(e + 1);
    bool minus = power.starts_with('-');
    if (minus || power.starts_with('+')) power.remove_prefix(1);
    for (char c : power)
      if (n.exponent < 1'000'000'000) n.exponent = n.exponent * 10 + (c - '0');
    if (minus) n.exponent = -n.exponent;
    text = text.substr(0, e);
  }
  usize point = text.find('.');
  n.whole = text.substr(0, point);
  if (point != std::string_view::npos) n.fraction = text.substr(point + 1);
  return n;
}

}  // namespace

Result<i64> Value::scaled(u32 digits) const {
  if (!is_number()) return fail(Errc::kInvalidArgument, "not a number");
  DecimalText n = split_number(text());
  // The digits left of the point once the number is multiplied by 10^digits.
  i64 keep = static_cast<i64>(n.whole.size()) + n.exponent + digits;
  u64 magnitude = 0;
  for (i64 i = 0; i < keep; i++) {
    u32 digit = i < static_cast<i64>(n.digit_count()) ? n.digit(static_cast<usize>(i)) : 0;
    if (magnitude == 0 && digit == 0 && i >= static_cast<i64>(n.digit_count())) break;
    if (magnitude > (u64{1} << 62) / 10) return fail(Errc::kOutOfRange, "number is too large");
    magnitude = magnitude * 10 + digit;
  }
  if (keep >= 0 && keep < static_cast<i64>(n.digit_count()) &&
      n.digit(static_cast<usize>(keep)) >= 5)
    magnitude++;
  i64 value = static_cast<i64>(magnitude);
  return n.negative ? -value : value;
}

Result<i64> Value::integer() const {
  if (!is_number()) return fail(Errc::kInvalidArgument, "not a number");
  DecimalText n = split_number(text());
  i64 keep = static_cast<i64>(n.whole.size()) + n.exponent;
  for (i64 i = std::max<i64>(keep, 0); i < static_cast<i64>(n.digit_count()); i++)
    if (n.digit(static_cast<usize>(i)) != 0)
      return fail(Errc::kInvalidArgument, "not a whole number");
  return scaled(0);
}

Value Value::find(std::string_view name) const {
  Value found;
  if (!is_object()) return found;
  if (const char* index = text().data(); index != nullptr) {
    std::span<const u64> slots(reinterpret_cast<const u64*>(index), slot_count(nodes_[index_]));
    const u64* slot = find_slot(slots, node(), name);
    bool known = slot != nullptr && static_cast<u32>(*slot) != 0;
    return known ? Value(nodes_, index_ + static_cast<u32>(*slot) + 1) : found;
  }
  for (Member m : members())
    if (m.name == name) found = m.value;
  return found;
}

Value Value::at(u32 element) const {
  if (!is_array() || element >= size()) return {};
  u32 index = index_ + 1;
  while (element-- > 0) index = nodes_[index].end;
  return Value(nodes_, index);
}

Value::Elements Value::elements() const {
  if (!is_array()) return {nodes_, 0, 0};
  return {nodes_, index_ + 1, nodes_[index_].end};
}

Value::Members Value::members() const {
  if (!is_object()) return {nodes_, 0, 0};
  return {nodes_, index_ + 1, nodes_[index_].end};
}

// ---- writer ---------------------------------------------------------------------------------

void write_escaped(base::Writer& out, std::string_view text) {
  constexpr std::string_view kShort = "\b\t\n\f\r\"\\", kLetters = "btnfr\"\\";
  usize plain = 0, at = 0;
  auto flush = [&] {
    if (at > plain) out.write(text.substr(plain, at - plain));
  };
  while (at < text.size()) {
    u8 c = static_cast<u8>(text[at]);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      at++;
      continue;
    }
    utf8::Decoded d = utf8::decode(text.substr(at));
    if (d.valid && c >= 0x80) {
      at += d.bytes;
      continue;
    }
    flush();
    usize known = kShort.find(static_cast<char>(c));
    if (!d.valid) {
      out.write("\xef\xbf\xbd");
    } else if (known != std::string_view::npos) {
      const char pair[2] = {'\\', kLetters[known]};
      out.write({pair, 2});
    } else {
      base::format_to(out, "\\u{:04x}", static_cast<u32>(c));
    }
    at += d.bytes;
    plain = at;
  }
  flush();
}

void Writer::comma() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  u64& word = not_first_[depth_ / 64];
  u64 bit = u64{1} << depth_ % 64;
  if (depth_ > 0 && (word & bit) != 0) out_.write(",");
  word |= bit;
}

Writer& Writer::open(char bracket) {
  comma();
  ASSERT(depth_ < kMaxDepth);
  depth_++;
  not_first_[depth_ / 64] &= ~(u64{1} << depth_ % 64);
  out_.write({&bracket, 1});
  return *this;
}

Writer& Writer::close(char bracket) {
  ASSERT(depth_ > 0 && !after_key_);
  depth_--;
  out_.write({&bracket, 1});
  return *this;
}

Writer& Writer::key(std::string_view name) {
  value(name);
  out_.write(":");
  after_key_ = true;
  return *this;
}

Writer& Writer::value(std::string_view text) {
  comma();
  out_.write("\"");
  write_escaped(out_, text);
  out_.write("\"");
  return *this;
}

Writer& Writer::value(base::Decimal number) {
  comma();
  base::format_to(out_, "{}", number);
  return *this;
}

// Recursion is bounded by the parser's depth limit.
Writer& Writer::value(Value copy) {
  switch (copy.kind()) {
    case Kind::kNull:
      return null();
    case Kind::kFalse:
    case Kind::kTrue:
      return value(copy.is_true());
    case Kind::kNumber:
      return raw(copy.text());
    case Kind::kString:
      return value(copy.text());
    case Kind::kArray:
      begin_array();
      for (Value element : copy.elements()) value(element);
      return end_array();
    case Kind::kObject:
      begin_object();
      for (Member m : copy.members()) key(m.name).value(m.value);
      return end_object();
  }
  return *this;
}

}  // namespace json
