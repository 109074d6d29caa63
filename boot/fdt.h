// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a flattened device tree: its nodes in order, their properties, their places in the address
// space. Devicetree Specification 0.4, chapters 2 and 5.
//
// All functions are pure, allocate nothing and can be called before the MMU is on. open() checks
// every token once, so the other functions cannot run past the end. Texts and values stay where the
// tree lies.
#pragma once

#include <span>
#include <string_view>

#include "boot/hardware.h"
#include "kernel/base/containers.h"

namespace boot::fdt {

using Bytes = std::span<const Byte>;

constexpr usize kMostDepth = 16;
constexpr usize kMostBytes = 2 * kMiB;  // as Linux's loaders have it
constexpr usize kHeaderBytes = 40;

struct Property {
  static constexpr usize kAbsent = ~usize{0};
  bool found = false;
  Bytes value;

  usize cells() const { return value.size() / 4; }
  u32 cell(usize index) const;               // 0 past the end
  u64 number(usize index, u32 count) const;  // `count` cells from `index`; the last two matter
  std::string_view text() const;             // up to the first NUL
  // Returns the place of `word` among the list's strings, or kAbsent.
  usize index_of(std::string_view word) const;
  bool has(std::string_view word) const { return index_of(word) != kAbsent; }
};

struct Node {
  std::string_view name;  // "memory@40000000"; the root's is empty
  u32 at = 0;             // offset of the node in the structure block
  u32 properties = 0;     // offset of what follows its name
};

// A node and all that enclose it, the root first.
using Path = StaticVector<Node, kMostDepth>;

// Returns the length of the tree that begins with `header`, its first kHeaderBytes.
Result<usize> total_bytes(Bytes header);

class Tree {
 public:
  static Result<Tree> open(Bytes blob);

  Property property(const Node& node, std::string_view name) const;
  // Returns the first cell of a property, or `otherwise` if the node has no such property.
  u32 cell(const Node& node, std::string_view name, u32 otherwise) const;
  bool is_enabled(const Node& node) const;  // no `status`, or "okay" or "ok"
  bool is_compatible(const Node& node, std::string_view with) const;

  // Returns the node with this phandle and all that enclose it, or kNotFound.
  Result<Path> with_phandle(u32 phandle) const;
  // Returns the node at "/soc/serial@9000000" or at an alias, with or without ":115200" behind it.
  Result<Path> at_path(std::string_view text) const;

  // Returns range `index` of `reg` as the CPU sees it, translated by every bus in between.
  Result<AddressRange> reg(std::span<const Node> path, usize index) const;
  // Returns an address on the bus `path.back()` as the CPU sees it.
  Result<u64> to_cpu(std::span<const Node> path, u64 address) const;
  // Returns row `index` of `interrupts` as the GIC numbers it.
  Result<LineTrigger> interrupt(std::span<const Node> path, usize index) const;

  // Sets `out` to memory that the firmware wants left alone. Returns false past the last row.
  bool reserved(usize index, AddressRange& out) const;

 private:
  friend class Walk;
  struct Token {
    u32 kind;
    std::string_view name;
    Bytes value;
    u32 next;  // offset of the next token
  };
  Result<Token> token(u32 at) const;
  Result<void> check() const;

  Bytes structure_, strings_, reserved_;
};

// Visits every node in the tree's order: while (walk.next()) ... walk.path().
class Walk {
 public:
  explicit Walk(const Tree& tree) : tree_(tree) {}
  bool next();
  const Path& path() const { return path_; }
  const Node& node() const { return path_[path_.size() - 1]; }

 private:
  const Tree& tree_;
  Path path_;
  u32 at_ = 0;
};

// Reads three cells of a GIC's interrupt specifier: kind, number, flags.
Result<LineTrigger> gic_line(const Property& property, usize first_cell);

}  // namespace boot::fdt
