// SPDX-License-Identifier: GPL-2.0-or-later
// The values of a template, as Python would have them. They are in the arena of one render.
#pragma once

#include "ai/text/jinja_arena.h"

namespace ai::jinja {

struct List;
struct Dict;
struct Macro;
struct Loop;
struct Method;

enum class Kind : u8 {
  kUndefined,  // text is the name that was not found
  kNone,
  kBool,
  kInteger,
  kFloat,  // text is the number as the source has it; templates only pass such numbers on
  kString,
  kList,
  kTuple,
  kDict,
  kNamespace,  // a dict whose entries are read as attributes
  kMacro,
  kLoop,
  kGlobal,  // text is the name of a built-in function
  kMethod,  // a method bound to its object
};

// Trivially copyable. Lists and dicts are shared by reference, as in Python.
struct Value {
  Kind kind = Kind::kUndefined;
  union {
    bool truth;
    i64 integer;
    const char* characters;
    List* list;
    Dict* dict;
    const Macro* macro;
    Loop* loop;
    const Method* method;
  };
  usize size = 0;  // bytes of text

  Value() : characters(nullptr) {}
  bool is(Kind wanted) const { return kind == wanted; }
  bool is_sequence() const { return kind == Kind::kList || kind == Kind::kTuple; }
  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kBool; }
  i64 number() const { return kind == Kind::kBool ? i64{truth} : integer; }
  std::string_view text() const { return {characters, size}; }
};
static_assert(sizeof(Value) == 24);

inline Value text_value(Kind kind, std::string_view text) {
  Value v;
  v.kind = kind;
  v.characters = text.data();
  v.size = text.size();
  return v;
}
inline Value undefined(std::string_view name) {
  return text_value(Kind::kUndefined, name);
}
inline Value none() {
  return text_value(Kind::kNone, {});
}
inline Value string(std::string_view text) {
  return text_value(Kind::kString, text);
}
inline Value boolean(bool truth) {
  Value v = none();
  v.kind = Kind::kBool;
  v.truth = truth;
  return v;
}
inline Value integer(i64 number) {
  Value v = none();
  v.kind = Kind::kInteger;
  v.integer = number;
  return v;
}

struct List {
  Value* items = nullptr;
  u32 size = 0, capacity = 0;

  std::span<Value> view() const { return {items, size}; }
  Result<void> append(Arena& arena, Value value) {
    if (size == capacity) {
      if (capacity > ~u32{0} / 4) return fail(Errc::kOutOfMemory, "template's list is too long");
      u32 wanted = capacity == 0 ? 4 : capacity * 2;
      Value* grown = TRY(arena.array<Value>(wanted));
      std::copy(items, items + size, grown);
      items = grown;
      capacity = wanted;
    }
    items[size++] = value;
    return {};
  }
};

struct Entry {
  Value key, value;
};

// Entries in order of insertion. Dicts of templates are small, so a search starts at the front.
struct Dict {
  Entry* entries = nullptr;
  u32 size = 0, capacity = 0;

  std::span<Entry> view() const { return {entries, size}; }
  Value* find(std::string_view key) const {
    for (Entry& entry : view()) {
      if (entry.key.is(Kind::kString) && entry.key.text() == key) return &entry.value;
    }
    return nullptr;
  }
  Result<void> append(Arena& arena, Value key, Value value) {
    if (size == capacity) {
      if (capacity > ~u32{0} / 4) return fail(Errc::kOutOfMemory, "template's dict is too long");
      u32 wanted = capacity == 0 ? 4 : capacity * 2;
      Entry* grown = TRY(arena.array<Entry>(wanted));
      std::copy(entries, entries + size, grown);
      entries = grown;
      capacity = wanted;
    }
    entries[size++] = {key, value};
    return {};
  }
  Result<void> set(Arena& arena, std::string_view key, Value value) {
    if (Value* old = find(key)) {
      *old = value;
      return {};
    }
    return append(arena, string(key), value);
  }
};

struct Method {
  Value self;
  std::string_view name;
};

inline Value list_value(List* list, Kind kind = Kind::kList) {
  Value v = none();
  v.kind = kind;
  v.list = list;
  return v;
}
inline Value dict_value(Dict* dict, Kind kind = Kind::kDict) {
  Value v = none();
  v.kind = kind;
  v.dict = dict;
  return v;
}

const char* kind_name(Kind kind);  // the name of the type in Python

}  // namespace ai::jinja
