// SPDX-License-Identifier: GPL-2.0-or-later
// A medium that remembers what was written to it, and the images that a power cut could leave.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernel/base/bytes.h"
#include "kernel/fs/medium.h"

using Image = std::vector<Byte>;

// Writes to an image and remembers them.
class RecordedMedium final : public fs::Medium {
 public:
  explicit RecordedMedium(Image& image) : image_(image) {}
  u64 size() const override { return image_.size(); }
  bool writable() const override { return true; }
  Result<void> read(u64 offset, std::span<Byte> out) override {
    std::memcpy(out.data(), image_.data() + offset, out.size());
    return {};
  }
  Result<void> write(u64 offset, std::span<const Byte> in) override {
    writes.push_back({offset, Image(in.begin(), in.end())});
    std::memcpy(image_.data() + offset, in.data(), in.size());
    if (lossy && in.size() > 64 * kKiB) image_[offset + in.size() / 2] ^= 1;
    return {};
  }
  Result<void> flush() override {
    flushes.push_back(writes.size());
    return {};
  }

  struct Write {
    u64 offset;
    Image bytes;
  };
  std::vector<Write> writes;
  std::vector<usize> flushes;  // the number of writes before each
  bool lossy = false;

 private:
  Image& image_;
};

// Applies writes to an image, and takes them back.
class Patch {
 public:
  explicit Patch(Image& image) : image_(image) {}
  Patch(const Patch&) = delete;
  Patch& operator=(const Patch&) = delete;
  ~Patch() {
    for (usize i = old_.size(); i-- > 0;)
      std::ranges::copy(old_[i].bytes, image_.data() + old_[i].offset);
  }
  void add(const RecordedMedium::Write& write, usize bytes) {
    Byte* at = image_.data() + write.offset;
    old_.push_back({write.offset, Image(at, at + bytes)});
    std::copy_n(write.bytes.begin(), bytes, at);
  }

 private:
  Image& image_;
  std::vector<RecordedMedium::Write> old_;
};

// Gives `judge` the images that a power cut could leave: the first writes, of the last one only
// some sectors, and of those since the last flush any.
template <class Judge>
void cut_everywhere(const Image& before, const RecordedMedium& medium, Judge judge) {
  std::mt19937_64 random(7);
  Image image = before, flushed = before;  // after `count` writes, and those before the last flush
  usize sure = 0;
  auto write = [](Image& to, const RecordedMedium::Write& w) {
    std::memcpy(to.data() + w.offset, w.bytes.data(), w.bytes.size());
  };
  for (usize count = 0; count < medium.writes.size(); count++) {
    judge(image, false);
    const RecordedMedium::Write& next = medium.writes[count];
    if (usize sectors = next.bytes.size() / 512; sectors > 0) {
      Patch torn(image);
      torn.add(next, random() % (sectors + 1) * 512);
      judge(image, false);
    }
    for (usize at : medium.flushes)
      for (; at <= count && sure < at; sure++) write(flushed, medium.writes[sure]);
    for (u32 round = 0; round < 3; round++) {
      Patch mixed(flushed);
      for (usize i = sure; i <= count; i++)
        if (random() % 2 == 0) mixed.add(medium.writes[i], medium.writes[i].bytes.size());
      judge(flushed, false);
    }
    write(image, next);
  }
  judge(image, true);
}
