// SPDX-License-Identifier: GPL-2.0-or-later
// A writer of exFAT volumes for tests: clusters, chains, bitmap, entry sets with their checksums.
#include "tests/hosted/kernel/fs/exfat_writer.h"

#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "kernel/base/bytes.h"
#include "kernel/base/utf8.h"

namespace {

constexpr u32 kEnd = 0xffffffff;

struct Node {
  std::map<std::string, Node> folders;
  std::map<std::string, std::string*> files;
};

class Writer {
 public:
  explicit Writer(std::string& image) : bytes_(reinterpret_cast<Byte*>(&image[0])) {
    u32 sector = 1u << bytes_[108];
    cluster_bytes_ = sector << bytes_[109];
    table_ = base::load<u32>(bytes_ + 80) * u64{sector};
    heap_ = base::load<u32>(bytes_ + 88) * u64{sector};
    clusters_ = base::load<u32>(bytes_ + 92);
    root_ = base::load<u32>(bytes_ + 96);
    const Byte* slot = cluster(root_);
    for (; *slot != 0; slot += 32, root_used_ += 32) {
      if (slot[0] == 0x81) bitmap_ = cluster(base::load<u32>(slot + 20));
      if (slot[0] == 0x82) read_upcase(slot);
    }
  }

  bool write(Node& root) {
    std::string entries(reinterpret_cast<const char*>(cluster(root_)), root_used_);
    if (!entries_of(root, entries)) return false;
    // The root grows by a chain.
    u32 last = root_;
    for (usize at = 0; at < entries.size(); at += cluster_bytes_) {
      if (at > 0) {
        std::vector<u32> more = allocate(1, false);
        if (more.empty()) return false;
        link(last, more[0]);
        last = more[0];
        std::memset(cluster(last), 0, cluster_bytes_);
      }
      std::memcpy(cluster(last), entries.data() + at,
                  std::min<usize>(cluster_bytes_, entries.size() - at));
    }
    link(last, kEnd);
    return true;
  }

 private:
  Byte* cluster(u32 c) { return bytes_ + heap_ + u64{c - 2} * cluster_bytes_; }
  void link(u32 from, u32 to) { base::store<u32>(bytes_ + table_ + u64{from} * 4, to); }
  bool used(u32 c) const { return (bitmap_[(c - 2) / 8] >> (c - 2) % 8 & 1) != 0; }
  void use(u32 c) { bitmap_[(c - 2) / 8] |= static_cast<Byte>(1u << (c - 2) % 8); }

  void read_upcase(const Byte* slot) {
    const Byte* table = cluster(base::load<u32>(slot + 20));
    usize units = base::load<u64>(slot + 24) / 2;
    for (usize i = 0; i < units; i++) {
      u16 unit = base::load<u16>(table + 2 * i);
      if (unit == 0xffff && i + 1 < units) {
        for (u32 n = base::load<u16>(table + 2 * ++i); n > 0; n--)
          upcase_.push_back(static_cast<u16>(upcase_.size()));
      } else {
        upcase_.push_back(unit);
      }
    }
  }

  // In one piece, or with a gap behind every cluster.
  std::vector<u32> allocate(u32 count, bool contiguous) {
    std::vector<u32> got;
    for (u32 c = contiguous ? next_ : 2; c < clusters_ + 2 && got.size() < count; c++) {
      if (used(c)) {
        if (contiguous) got.clear();
        continue;
      }
      got.push_back(c);
      if (!contiguous) c++;
    }
    if (got.size() < count) return {};
    for (u32 c : got) use(c);
    if (contiguous && !got.empty()) next_ = got.back() + 1;
    return got;
  }

  // The first cluster of `text`, chained unless `contiguous`. 0 = no room.
  u32 store(const std::string& text, bool contiguous) {
    auto count = static_cast<u32>((text.size() + cluster_bytes_ - 1) / cluster_bytes_);
    std::vector<u32> where = allocate(count, contiguous);
    if (where.empty()) return 0;
    for (u32 i = 0; i < count; i++) {
      usize at = usize{i} * cluster_bytes_;
      std::memset(cluster(where[i]), 0xa5, cluster_bytes_);  // what no reader may show
      std::memcpy(cluster(where[i]), text.data() + at,
                  std::min<usize>(cluster_bytes_, text.size() - at));
      if (!contiguous) link(where[i], i + 1 < count ? where[i + 1] : kEnd);
    }
    return where[0];
  }

  std::vector<u16> units_of(const std::string& name) const {
    std::vector<u16> units;
    for (std::string_view rest = name; !rest.empty();) {
      utf8::Decoded d = utf8::decode(rest);
      rest.remove_prefix(d.bytes);
      u32 c = d.code_point;
      if (c >= 0x10000) units.push_back(static_cast<u16>(0xd7c0 + (c >> 10)));
      units.push_back(static_cast<u16>(c >= 0x10000 ? 0xdc00 | (c & 0x3ff) : c));
    }
    return units;
  }

  void add_set(std::string& out, const std::string& name, bool folder, u32 first, u64 bytes,
               u64 valid, bool contiguous) {
    std::vector<u16> units = units_of(name);
    usize slots = 2 + (units.size() + 14) / 15;
    std::vector<Byte> set(slots * 32);
    Byte* file = set.data();
    file[0] = 0x85;
    file[1] = static_cast<Byte>(slots - 1);
    base::store<u16>(file + 4, folder ? 0x10 : 0x20);
    for (u32 at : {8u, 12u, 16u}) base::store<u32>(file + at, 0x21 << 16);  // 1 January 1980
    Byte* stream = file + 32;
    stream[0] = 0xc0;
    stream[1] = static_cast<Byte>((first != 0 ? 1 : 0) | (contiguous && first != 0 ? 2 : 0));
    stream[3] = static_cast<Byte>(units.size());
    u16 hash = 0;
    for (u16 unit : units) {
      u16 up = unit < upcase_.size() ? upcase_[unit] : unit;
      for (u32 byte : {u32{up} & 0xff, u32{up} >> 8})
        hash = static_cast<u16>(std::rotr(hash, 1) + byte);
    }
    base::store<u16>(stream + 4, hash);
    base::store<u64>(stream + 8, valid);
    base::store<u32>(stream + 20, first);
    base::store<u64>(stream + 24, bytes);
    for (usize i = 0; i < units.size(); i++) {
      Byte* slot = file + 64 + i / 15 * 32;
      slot[0] = 0xc1;
      base::store<u16>(slot + 2 + i % 15 * 2, units[i]);
    }
    u16 sum = 0;
    for (usize i = 0; i < set.size(); i++)
      if (i != 2 && i != 3) sum = static_cast<u16>(std::rotr(sum, 1) + set[i]);
    base::store<u16>(file + 2, sum);
    out.append(reinterpret_cast<const char*>(set.data()), set.size());
  }

  bool entries_of(Node& node, std::string& out) {
    for (auto& [name, text] : node.files) {
      bool contiguous = count_++ % 2 == 0;
      usize valid = count_ % 11 == 0 ? text->size() / 2 : text->size();
      std::memset(text->data() + valid, 0, text->size() - valid);
      std::string stored = text->substr(0, valid) + std::string(text->size() - valid, '\x5a');
      u32 first = stored.empty() ? 0 : store(stored, contiguous);
      if (first == 0 && !stored.empty()) return false;
      add_set(out, name, false, first, stored.size(), valid, contiguous);
    }
    for (auto& [name, folder] : node.folders) {
      bool contiguous = count_++ % 2 == 0;
      std::string inside;
      if (!entries_of(folder, inside)) return false;
      inside.resize((inside.size() / cluster_bytes_ + 1) * cluster_bytes_);
      u32 first = store(inside, contiguous);
      if (first == 0) return false;
      add_set(out, name, true, first, inside.size(), inside.size(), contiguous);
    }
    return true;
  }

  Byte* bytes_;
  Byte* bitmap_ = nullptr;
  std::vector<u16> upcase_;
  u64 table_ = 0, heap_ = 0;
  u32 cluster_bytes_ = 0, clusters_ = 0, root_ = 0, next_ = 2, count_ = 0;
  usize root_used_ = 0;
};

}  // namespace

bool fill_exfat(std::string& image, std::map<std::string, std::string>& files) {
  Node root;
  for (auto& [path, text] : files) {
    Node* at = &root;
    usize begin = 0;
    for (usize slash; (slash = path.find('/', begin)) != std::string::npos; begin = slash + 1)
      at = &at->folders[path.substr(begin, slash - begin)];
    at->files[path.substr(begin)] = &text;
  }
  return Writer(image).write(root);
}
