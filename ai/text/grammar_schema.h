// SPDX-License-Identifier: GPL-2.0-or-later
// The internals of the JSON Schema compiler: one class, implemented in grammar_schema*.cpp.
#pragma once

#include "ai/text/grammar.h"
#include "ai/text/name_index.h"

namespace ai {

// Limits of one schema. Each is checked before any work for it is done; within them, the work is
// proportional to the schema and the resulting grammar.
constexpr u32 kMaxSchemaValues = 128 * 1024;  // values and members' names
constexpr u32 kMaxProperties = 4096;          // of one object
constexpr u32 kMaxExclusive = 256;  // branches of one oneOf; each is compared with every other
constexpr usize kMaxPattern = 16 * 1024;  // bytes

// Appends GBNF text and keeps the first failed growth. Text beyond the limit of a grammar is
// dropped, because such a grammar is refused anyway.
class GbnfText final : public base::Writer {
 public:
  void write(std::string_view text) override {
    if (status_.has_value() && text_.size() <= Grammar::kMaxText) status_ = text_.append(text);
  }
  template <class... Args>
  GbnfText& add(std::string_view format, const Args&... args) {
    base::format_to(*this, format, args...);
    return *this;
  }
  // Appends `text` as a GBNF literal in quotes.
  GbnfText& literal(std::string_view text);
  std::string_view view() const { return text_.view(); }
  Result<void> status() const { return status_; }

 private:
  String text_;
  Result<void> status_;
};

// Inclusive bounds of a number. An absent bound is ±kUnbounded.
constexpr i64 kUnbounded = i64{1} << 60;
struct NumberBounds {
  i64 low = -kUnbounded, high = kUnbounded;
  bool open_low = false, open_high = false;  // the bound is a whole number that is excluded
};

class SchemaCompiler {
 public:
  SchemaCompiler(json::Value root, std::string_view prefix, String& out, base::Writer& problem)
      : root_(root), prefix_(prefix), out_(out), problem_(problem) {}

  Result<void> run();

 private:
  struct Property {
    std::string_view name;
    json::Value schema;
    bool required;
  };

  std::unexpected<Error> error(const char* what, std::string_view about = {});
  // Fails with, for example, "the schema has 80000 properties; at most 4096 are taken".
  Result<void> check_count(const char* what, usize have, usize most);
  // Returns the number of the rule for `schema`, and compiles it if it is not known yet.
  Result<u32> rule_for(json::Value schema);
  Result<void> emit(u32 rule, const GbnfText& body);
  u32 new_rule() { return next_rule_++; }
  GbnfText& reference(GbnfText& out, u32 rule) { return out.add(" {}-{}", prefix_, rule); }

  Result<void> check_keywords(json::Value schema);
  Result<void> body(json::Value schema, GbnfText& out);
  Result<void> typed(json::Value schema, std::string_view type, GbnfText& out);
  Result<std::string_view> guess_type(json::Value schema);
  Result<void> choices(json::Value list, GbnfText& out);
  Result<void> check_disjoint(json::Value list);
  Result<json::Value> resolve(std::string_view pointer);
  Result<json::Value> follow(json::Value schema);
  Result<void> literal_of(json::Value value, GbnfText& out);

  Result<void> object(std::span<const json::Value> parts, GbnfText& out);
  Result<void> count_properties(std::span<const json::Value> parts);
  Result<void> collect_properties(std::span<const json::Value> parts, Vector<Property>& list);
  Result<u32> additional_pair(json::Value additional, const Vector<Property>& known);
  // `names` are sorted, not empty, and share their first `depth` bytes.
  Result<void> other_names(std::span<const std::string_view> names, u32 depth, GbnfText& out);
  Result<void> array(json::Value schema, GbnfText& out);
  Result<void> string(json::Value schema, GbnfText& out);
  Result<void> format(std::string_view name, GbnfText& out);
  Result<void> integer(json::Value schema, GbnfText& out);
  Result<void> number(json::Value schema, GbnfText& out);
  Result<NumberBounds> bounds(json::Value schema);
  Result<u32> count(json::Value schema, std::string_view keyword, u32 absent);

  json::Value root_;
  std::string_view prefix_;
  String& out_;
  base::Writer& problem_;
  // rule number + 1, indexed by the schema's place in the document; 0 = none yet
  Vector<u32> rules_;
  u32 next_rule_ = 0;
  u32 depth_ = 0;
};

constexpr u32 kNoCount = ~u32{0};

// Writes the strings that a regular expression matches as GBNF between JSON quotes. What it cannot
// express (look-around, back references) is an error.
Result<void> regex_to_gbnf(std::string_view pattern, GbnfText& out, const char*& what);
// Writes the whole numbers of [low, high] in decimal.
void integer_range(i64 low, i64 high, GbnfText& out);

}  // namespace ai
