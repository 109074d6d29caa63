// SPDX-License-Identifier: GPL-2.0-or-later
// The JSON reader and writer (RFC 8259): bounded depth and size, no floating point, and growth that
// can fail. For threads only, because documents are on the heap.
//
// A Document is a flat run of nodes in document order. Numbers and strings without escapes point
// into the parsed text, which must outlive the document; decoded strings are owned by the document.
// Parsing takes time proportional to the text. A member is found in about the same time in an
// object of any size, because a large one has an index.
#pragma once

#include <span>
#include <string_view>

#include "kernel/base/containers.h"
#include "kernel/base/format.h"

namespace json {

enum class Kind : u8 { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

constexpr u32 kMaxDepth = 128;

struct Limits {
  u32 depth = 64;  // at most kMaxDepth
  usize bytes = 16 * kMiB;
  u32 nodes = 1 << 20;
  u32 members = 1 << 16;  // most members of one object
};

struct Node {
  Kind kind = Kind::kNull;
  u32 count = 0;  // elements of an array, members of an object
  u32 end = 0;    // index of the first node after this one's children
  // a number as written, or a string decoded; for an object it begins at the index
  std::string_view text;
};

class Value;

struct Member;

// A handle that is cheap to copy. It is valid as long as its document. A default Value is "absent".
class Value {
 public:
  Value() = default;
  Value(const Node* nodes, u32 index) : nodes_(nodes), index_(index) {}

  bool present() const { return nodes_ != nullptr; }
  explicit operator bool() const { return present(); }
  Kind kind() const { return nodes_ == nullptr ? Kind::kNull : nodes_[index_].kind; }
  bool is_null() const { return kind() == Kind::kNull; }  // also true when absent
  bool is_bool() const { return kind() == Kind::kTrue || kind() == Kind::kFalse; }
  bool is_true() const { return kind() == Kind::kTrue; }
  bool is_number() const { return kind() == Kind::kNumber; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_array() const { return kind() == Kind::kArray; }
  bool is_object() const { return kind() == Kind::kObject; }

  // Returns a string decoded to UTF-8 (it may contain NUL), or a number as written. Returns "" for
  // other kinds.
  std::string_view text() const { return nodes_ == nullptr ? "" : nodes_[index_].text; }
  u32 size() const { return nodes_ == nullptr ? 0 : nodes_[index_].count; }
  // Returns the number of nodes of this value and everything in it, including the names of members.
  u32 node_count() const { return nodes_ == nullptr ? 0 : nodes_[index_].end - index_; }
  std::span<const Node> nodes() const { return {node(), node_count()}; }

  // Returns a number without a fraction (1, 1.0, 1e3) that fits. Otherwise kInvalidArgument or
  // kOutOfRange.
  Result<i64> integer() const;
  // Returns the number times 10^digits, computed exactly and rounded half away from zero.
  Result<i64> scaled(u32 digits) const;

  // Returns the last member of that name. As in most readers, a repeated name replaces the earlier
  // one.
  Value find(std::string_view name) const;
  // absent past the end; walks from the first element, so a loop should use elements()
  Value at(u32 element) const;

  class Elements;
  class Members;
  Elements elements() const;  // for (Value v : list.elements())
  Members members() const;    // for (Member m : object.members())

  const Node* node() const { return nodes_ == nullptr ? nullptr : nodes_ + index_; }
  bool same_as(const Value& other) const { return node() == other.node(); }

 private:
  friend class Elements;
  const Node* nodes_ = nullptr;
  u32 index_ = 0;
};

struct Member {
  std::string_view name;
  Value value;
};

class Value::Elements {
 public:
  struct Iterator {
    const Node* nodes;
    u32 index;
    Value operator*() const { return Value(nodes, index); }
    void operator++() { index = nodes[index].end; }
    bool operator!=(const Iterator& other) const { return index != other.index; }
  };
  Elements(const Node* nodes, u32 first, u32 end) : nodes_(nodes), first_(first), end_(end) {}
  Iterator begin() const { return {nodes_, first_}; }
  Iterator end() const { return {nodes_, end_}; }

 private:
  const Node* nodes_;
  u32 first_, end_;
};

class Value::Members {
 public:
  struct Iterator {
    const Node* nodes;
    u32 index;  // index of the name; its value follows
    Member operator*() const { return {nodes[index].text, Value(nodes, index + 1)}; }
    void operator++() { index = nodes[index + 1].end; }
    bool operator!=(const Iterator& other) const { return index != other.index; }
  };
  Members(const Node* nodes, u32 first, u32 end) : nodes_(nodes), first_(first), end_(end) {}
  Iterator begin() const { return {nodes_, first_}; }
  Iterator end() const { return {nodes_, end_}; }

 private:
  const Node* nodes_;
  u32 first_, end_;
};

class Document {
 public:
  // `text` must outlive the document. On failure `*error_at`, if given, is the byte offset of the
  // error.
  static Result<Document> parse(std::string_view text, const Limits& limits = {},
                                usize* error_at = nullptr);
  Value root() const { return nodes_.empty() ? Value() : Value(nodes_.data(), 0); }

  Document() = default;
  Document(Document&&) noexcept = default;
  Document& operator=(Document&&) noexcept;
  ~Document();  // zeroes the text, which people may have written

 private:
  friend class Parser;
  Vector<Node> nodes_;
  Vector<String> decoded_;       // strings that had escapes, many in a piece, which never grows
  Vector<Vector<u64>> indices_;  // indices of large objects
};

// Writes JSON and its commas. Calls must nest properly, which an ASSERT checks. Output goes to any
// base::Writer; if a StringWriter fails to grow, its status() says so.
class Writer {
 public:
  explicit Writer(base::Writer& out) : out_(out) {}

  Writer& begin_object() { return open('{'); }
  Writer& end_object() { return close('}'); }
  Writer& begin_array() { return open('['); }
  Writer& end_array() { return close(']'); }
  Writer& key(std::string_view name);

  // Replaces bytes that are not UTF-8 by U+FFFD.
  Writer& value(std::string_view text);
  Writer& value(const char* text) { return value(std::string_view(text)); }
  Writer& value(const String& text) { return value(text.view()); }
  Writer& value(bool flag) { return raw(flag ? "true" : "false"); }
  Writer& value(base::Decimal number);
  Writer& value(Value copy);
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Writer& value(T number) {
    comma();
    base::format_to(out_, "{}", number);
    return *this;
  }
  Writer& null() { return raw("null"); }
  // Writes one value that is JSON already.
  Writer& raw(std::string_view text) {
    comma();
    out_.write(text);
    return *this;
  }
  template <class T>
  Writer& field(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }
  Writer& field_null(std::string_view name) { return key(name).null(); }

 private:
  Writer& open(char bracket);
  Writer& close(char bracket);
  void comma();

  base::Writer& out_;
  u64 not_first_[kMaxDepth / 64 + 1] = {};
  u32 depth_ = 0;
  bool after_key_ = false;
};

// Writes `text` as JSON string contents, without the quotes.
void write_escaped(base::Writer& out, std::string_view text);

}  // namespace json
