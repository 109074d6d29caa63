// SPDX-License-Identifier: GPL-2.0-or-later
// Reads flattened device trees. Devicetree Specification 0.4, chapters 2 and 5.
#include "boot/fdt.h"

#include "kernel/base/bytes.h"

namespace boot::fdt {
namespace {

constexpr u32 kMagic = 0xd00dfeed;
constexpr u32 kVersion = 17, kOldestReader = 16;
constexpr u32 kBeginNode = 1, kEndNode = 2, kProperty = 3, kNop = 4, kEnd = 9;

struct Header {  // 5.2, big-endian
  u32 magic, bytes, structure, strings, reserved, version, last_compatible, boot_cpu, strings_bytes,
      structure_bytes;
};
static_assert(sizeof(Header) == kHeaderBytes);

u32 big32(const Byte* at) {
  return base::swap_be(base::load<u32>(at));
}
u64 big64(const Byte* at) {
  return base::swap_be(base::load<u64>(at));
}

// Returns the text from `offset` on, which must end with a NUL inside `bytes`.
Result<std::string_view> text_at(Bytes bytes, u64 offset) {
  if (offset >= bytes.size()) return fail(Errc::kCorrupt, "a name outside the device tree");
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()) + offset,
                        bytes.size() - offset);
  usize length = rest.find('\0');
  if (length == std::string_view::npos)
    return fail(Errc::kCorrupt, "a name without an end in the device tree");
  return rest.substr(0, length);
}

}  // namespace

u32 Property::cell(usize index) const {
  return index < cells() ? big32(value.data() + 4 * index) : 0;
}

u64 Property::number(usize index, u32 count) const {
  u64 number = 0;
  for (u32 i = 0; i < count; i++) number = number << 32 | cell(index + i);
  return number;
}

std::string_view Property::text() const {
  std::string_view all(reinterpret_cast<const char*>(value.data()), value.size());
  return all.substr(0, all.find('\0'));
}

usize Property::index_of(std::string_view word) const {
  std::string_view rest(reinterpret_cast<const char*>(value.data()), value.size());
  for (usize index = 0; !rest.empty(); index++) {
    usize end = rest.find('\0');
    if (rest.substr(0, end) == word) return index;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return kAbsent;
}

Result<usize> total_bytes(Bytes header) {
  if (header.size() < kHeaderBytes || big32(header.data()) != kMagic)
    return fail(Errc::kCorrupt, "not a device tree");
  u32 bytes = big32(header.data() + 4);
  if (bytes < kHeaderBytes || bytes > kMostBytes)
    return fail(Errc::kCorrupt, "a device tree of an absurd length");
  return usize{bytes};
}

Result<Tree> Tree::open(Bytes blob) {
  usize bytes = TRY(total_bytes(blob));
  Bytes all = TRY(base::slice(blob, 0, bytes));
  auto header = base::load<Header>(all.data());
  auto word = [](u32 big) { return base::swap_be(big); };
  if (word(header.version) < kVersion || word(header.last_compatible) > kVersion ||
      word(header.last_compatible) < kOldestReader)
    return fail(Errc::kUnsupported, "a device tree of an unknown version");
  Tree tree;
  tree.structure_ = TRY(base::slice(all, word(header.structure), word(header.structure_bytes)));
  tree.strings_ = TRY(base::slice(all, word(header.strings), word(header.strings_bytes)));
  if (word(header.reserved) > bytes)
    return fail(Errc::kCorrupt, "a device tree whose reserved memory lies outside it");
  tree.reserved_ = all.subspan(word(header.reserved));
  TRY(tree.check());
  return tree;
}

// Returns the token at `at`, an offset that is a multiple of four.
Result<Tree::Token> Tree::token(u32 at) const {
  Bytes head = TRY(base::slice(structure_, at, 4));
  Token token{.kind = big32(head.data()), .name = {}, .value = {}, .next = at + 4};
  if (token.kind == kBeginNode) {
    token.name = TRY(text_at(structure_, at + 4));
    token.next = static_cast<u32>(base::round_up(at + 4 + token.name.size() + 1, 4));
  } else if (token.kind == kProperty) {
    Bytes words = TRY(base::slice(structure_, u64{at} + 4, 8));
    u32 bytes = big32(words.data());
    token.name = TRY(text_at(strings_, big32(words.data() + 4)));
    token.value = TRY(base::slice(structure_, u64{at} + 12, bytes));
    token.next = static_cast<u32>(base::round_up(u64{at} + 12 + bytes, 4));
  } else if (token.kind != kEndNode && token.kind != kNop && token.kind != kEnd) {
    return fail(Errc::kCorrupt, "an unknown token in the device tree");
  }
  return token;
}

Result<void> Tree::check() const {
  usize depth = 0;
  bool began = false;
  for (u32 at = 0;;) {
    Token t = TRY(token(at));
    at = t.next;
    if (t.kind == kBeginNode) {
      if (depth == kMostDepth) return fail(Errc::kCorrupt, "a device tree that is too deep");
      if (depth == 0 && began) return fail(Errc::kCorrupt, "a device tree with two roots");
      began = true;
      depth++;
    } else if (t.kind == kEndNode) {
      if (depth == 0) return fail(Errc::kCorrupt, "a device tree that ends a node too many");
      depth--;
    } else if (t.kind == kProperty && depth == 0) {
      return fail(Errc::kCorrupt, "a property outside the nodes of the device tree");
    } else if (t.kind == kEnd) {
      if (depth != 0 || !began) return fail(Errc::kCorrupt, "a device tree without its end");
      return {};
    }
  }
}

bool Walk::next() {
  // A node that has no children ends before the next one begins, so the depth follows the tokens.
  for (;;) {
    auto token = tree_.token(at_);
    if (!token.has_value() || token->kind == kEnd) return false;
    u32 begin = at_;
    at_ = token->next;
    if (token->kind == kEndNode) path_.truncate(path_.size() - 1);
    if (token->kind == kBeginNode) return path_.push_back({token->name, begin, at_});
  }
}

Property Tree::property(const Node& node, std::string_view name) const {
  for (u32 at = node.properties;;) {
    auto t = token(at);
    if (!t.has_value() || (t->kind != kProperty && t->kind != kNop)) return {};
    if (t->kind == kProperty && t->name == name) return {.found = true, .value = t->value};
    at = t->next;
  }
}

u32 Tree::cell(const Node& node, std::string_view name, u32 otherwise) const {
  Property p = property(node, name);
  return p.cells() > 0 ? p.cell(0) : otherwise;
}

bool Tree::is_enabled(const Node& node) const {
  Property status = property(node, "status");
  return !status.found || status.text() == "okay" || status.text() == "ok";
}

bool Tree::is_compatible(const Node& node, std::string_view with) const {
  return property(node, "compatible").has(with);
}

Result<Path> Tree::with_phandle(u32 phandle) const {
  for (Walk walk(*this); walk.next();) {
    Property own = property(walk.node(), "phandle");
    if (!own.found) own = property(walk.node(), "linux,phandle");
    if (own.cells() > 0 && own.cell(0) == phandle) return walk.path();
  }
  return fail(Errc::kNotFound, "the device tree has no such node");
}

Result<Path> Tree::at_path(std::string_view text) const {
  text = text.substr(0, text.find(':'));
  if (!text.starts_with('/')) {
    Path aliases = TRY(at_path("/aliases"));
    Property alias = property(aliases[aliases.size() - 1], text);
    if (!alias.text().starts_with('/'))
      return fail(Errc::kNotFound, "the device tree has no such alias");
    text = alias.text().substr(0, alias.text().find(':'));
  }
  for (Walk walk(*this); walk.next();) {
    // A path may leave out the "@address" of a name.
    std::string_view rest = text;
    bool same = true;
    for (usize i = 1; i < walk.path().size() && same; i++) {
      std::string_view name = walk.path()[i].name;
      if (!rest.starts_with('/')) same = false;
      if (!same) break;
      rest.remove_prefix(1);
      std::string_view part = rest.substr(0, rest.find('/'));
      same = part == name || part == name.substr(0, name.find('@'));
      rest.remove_prefix(part.size());
    }
    if (same && (rest.empty() || rest == "/")) return walk.path();
  }
  return fail(Errc::kNotFound, "the device tree has no such path");
}

Result<u64> Tree::to_cpu(std::span<const Node> path, u64 address) const {
  for (usize i = path.size(); i > 1; i--) {
    const Node &bus = path[i - 1], &parent = path[i - 2];
    u32 own = cell(bus, "#address-cells", 2), outer = cell(parent, "#address-cells", 2),
        size = cell(bus, "#size-cells", 1);
    Property ranges = property(bus, "ranges");
    if (!ranges.found || own > 3 || outer > 3 || size > 2)
      return fail(Errc::kUnsupported, "a device behind a bus that the CPU does not reach");
    u32 row = own + outer + size;
    bool inside = ranges.value.empty();  // empty: the addresses are the parent's
    for (usize at = 0; row > 0 && at + row <= ranges.cells() && !inside; at += row) {
      u64 first = ranges.number(at, own), bytes = ranges.number(at + own + outer, size);
      if (address < first || address - first >= bytes) continue;
      address = address - first + ranges.number(at + own, outer);
      inside = true;
    }
    if (!inside) return fail(Errc::kUnsupported, "a device outside the ranges of its bus");
  }
  return address;
}

Result<AddressRange> Tree::reg(std::span<const Node> path, usize index) const {
  if (path.size() < 2) return fail(Errc::kNotFound, "the root has no registers");
  const Node& bus = path[path.size() - 2];
  u32 address = cell(bus, "#address-cells", 2), size = cell(bus, "#size-cells", 1);
  Property reg = property(path.back(), "reg");
  u64 row = u64{address} + size;
  if (address == 0 || address > 3 || size > 2 || index >= reg.cells() / row)
    return fail(Errc::kNotFound, "the node has no such registers");
  AddressRange range{reg.number(index * row, address), reg.number(index * row + address, size)};
  range.base = TRY(to_cpu(path.first(path.size() - 1), range.base));
  if (range.bytes > ~range.base) return fail(Errc::kCorrupt, "registers that wrap");
  return range;
}

Result<LineTrigger> gic_line(const Property& property, usize first_cell) {
  constexpr u32 kShared = 0, kPrivate = 1, kFirstPrivate = 16, kFirstShared = 32;
  constexpr u32 kLevelHigh = 4, kLevelLow = 8, kFallingEdge = 2, kMostLines = 1020;
  if (first_cell + 3 > property.cells())
    return fail(Errc::kNotFound, "the node has no such interrupt");
  u32 kind = property.cell(first_cell), number = property.cell(first_cell + 1),
      flags = property.cell(first_cell + 2) & 0xf;
  u32 first = kind == kPrivate ? kFirstPrivate : kFirstShared;
  if (kind > kPrivate || number >= (kind == kShared ? kMostLines - first : kFirstPrivate))
    return fail(Errc::kUnsupported, "an interrupt that is no line of a GIC");
  return LineTrigger{.line = first + number,
                     .level = (flags & (kLevelHigh | kLevelLow)) != 0,
                     .active_low = (flags & (kLevelLow | kFallingEdge)) != 0};
}

Result<LineTrigger> Tree::interrupt(std::span<const Node> path, usize index) const {
  Property parent;
  for (usize i = path.size(); i > 0 && !parent.found; i--)
    parent = property(path[i - 1], "interrupt-parent");
  Path controller = TRY(with_phandle(parent.cell(0)));
  u32 cells = cell(controller[controller.size() - 1], "#interrupt-cells", 0);
  // A GIC of version 3 may add a cell that names the CPUs that share a private line.
  if (cells < 3 || cells > 4)
    return fail(Errc::kUnsupported, "an interrupt of a controller that is no GIC");
  return gic_line(property(path.back(), "interrupts"), index * cells);
}

bool Tree::reserved(usize index, AddressRange& out) const {
  constexpr usize kRow = 16;
  if (index >= reserved_.size() / kRow) return false;
  out = {big64(reserved_.data() + index * kRow), big64(reserved_.data() + index * kRow + 8)};
  return out.bytes != 0;
}

}  // namespace boot::fdt
