// SPDX-License-Identifier: GPL-2.0-or-later
// Loader protocols: what GRUB and QEMU say becomes a BootInfo, and nonsense becomes an error.
#include "boot/multiboot2.h"
#include "boot/pvh.h"
#include "kernel/base/test.h"

namespace {

// A growing run of bytes to build foreign structures in.
class Bytes {
 public:
  template <class T>
  Bytes& put(T value) {
    const auto* raw = reinterpret_cast<const Byte*>(&value);
    for (usize i = 0; i < sizeof value; i++) ASSERT(data_.push_back(raw[i]));
    return *this;
  }
  Bytes& put_text(std::string_view text) {
    for (char c : text) put(static_cast<u8>(c));
    return put(u8{0});
  }
  Bytes& pad(usize to) {
    while (data_.size() % to != 0) put(u8{0});
    return *this;
  }
  // Multiboot2: a tag whose length is found when it ends.
  Bytes& tag(u32 type) {
    pad(8);
    tag_at_ = data_.size();
    return put(type).put(u32{0});
  }
  Bytes& end_tag() {
    set(tag_at_ + 4, static_cast<u32>(data_.size() - tag_at_));
    return pad(8);
  }
  void set(usize at, u32 value) { base::store(&data_[at], value); }
  usize size() const { return data_.size(); }
  std::span<const Byte> view() const { return data_.view(); }

 private:
  StaticVector<Byte, 4096> data_;
  usize tag_at_ = 0;
};

Bytes grub_information() {
  Bytes b;
  b.put(u32{0}).put(u32{0});
  b.tag(1).put_text("threads=2 run=\"help\"").end_tag();
  b.tag(2).put_text("GRUB 2.06").end_tag();
  b.tag(3).put(u32{0x200000}).put(u32{0x300000}).put_text("/models/a.gguf").end_tag();
  b.tag(6).put(u32{24}).put(u32{0});
  b.put(u64{0}).put(u64{0x9fc00}).put(u32{1}).put(u32{0});
  b.put(u64{0x100000}).put(u64{0x7f00000}).put(u32{1}).put(u32{0});
  b.put(u64{0x8000000}).put(u64{0x10000}).put(u32{3}).put(u32{0});
  b.end_tag();
  b.tag(8).put(u64{0xfd000000}).put(u32{4096}).put(u32{1024}).put(u32{768}).put(u8{32});
  b.put(u8{1}).put(u16{0}).put(u8{16}).put(u8{8}).put(u8{8}).put(u8{8}).put(u8{0}).put(u8{8});
  b.end_tag();
  b.tag(0).end_tag();
  b.set(0, static_cast<u32>(b.size()));
  return b;
}

}  // namespace

TEST(boot_multiboot2, reads_what_grub_says) {
  Bytes b = grub_information();
  BootInfo info;
  REQUIRE(boot::parse_multiboot2(b.view(), info).has_value());
  EXPECT_EQ(info.command_line, "threads=2 run=\"help\"");
  EXPECT_EQ(std::string_view(info.loader), "GRUB 2.06");
  REQUIRE(info.memory.size() == 3);
  EXPECT_EQ(info.memory[1].base, 0x100000u);
  EXPECT(info.memory[2].kind == MemoryKind::kAcpiReclaimable);
  REQUIRE(info.modules.size() == 1);
  EXPECT_EQ(info.modules[0].command_line, "/models/a.gguf");
  EXPECT_EQ(info.modules[0].size, 0x100000u);
  EXPECT_EQ(info.framebuffer.width, 1024u);
  EXPECT_EQ(info.framebuffer.red_shift, 16);
}

TEST(boot_multiboot2, refuses_every_truncation) {
  Bytes b = grub_information();
  for (usize length = 0; length < b.size(); length++) {
    BootInfo info;
    EXPECT(!boot::parse_multiboot2(b.view().first(length), info).has_value());
  }
}

TEST(boot_multiboot2, refuses_broken_tags) {
  struct Case {
    const char* what;
    void (*fill)(Bytes& b);
  };
  constexpr Case kCases[] = {
      {"module ends before it starts",
       [](Bytes& b) { b.tag(3).put(u32{2}).put(u32{1}).put_text("m").end_tag(); }},
      {"memory entries too short",
       [](Bytes& b) { b.tag(6).put(u32{16}).put(u32{0}).put(u64{0}).put(u64{1}).end_tag(); }},
      {"memory range wraps",
       [](Bytes& b) {
         b.tag(6).put(u32{24}).put(u32{0}).put(~u64{0}).put(u64{2}).put(u64{1}).end_tag();
       }},
      {"pitch below width",
       [](Bytes& b) {
         b.tag(8).put(u64{1} << 32).put(u32{16}).put(u32{64}).put(u32{64}).put(u8{32}).put(u8{1});
         b.put(u16{0}).put(u32{0}).put(u16{0}).end_tag();
       }},
      {"a tag shorter than its head", [](Bytes& b) { b.tag(1).end_tag().set(12, 4); }},
  };
  for (const Case& c : kCases) {
    Bytes b;
    b.put(u32{0}).put(u32{0});
    c.fill(b);
    b.tag(0).end_tag();
    b.set(0, static_cast<u32>(b.size()));
    BootInfo info;
    if (boot::parse_multiboot2(b.view(), info).has_value()) test.report(__FILE__, __LINE__, c.what);
  }
}

TEST(boot_multiboot2, more_modules_than_fit_are_counted) {
  constexpr u32 kMore = 3;
  Bytes b;
  b.put(u32{0}).put(u32{0});
  for (u32 i = 0; i < kMostBootModules + kMore; i++)
    b.tag(3).put(u32{1} << 20).put(u32{2} << 20).put_text("m").end_tag();
  b.tag(0).end_tag();
  b.set(0, static_cast<u32>(b.size()));
  BootInfo info;
  REQUIRE(boot::parse_multiboot2(b.view(), info).has_value());
  EXPECT_EQ(info.modules.size(), kMostBootModules);
  EXPECT_EQ(info.modules_left_out, kMore);
}

TEST(boot_pvh, more_modules_than_fit_are_counted) {
  constexpr u64 kBase = 0x1000;
  constexpr u32 kMore = 5;
  Bytes b;
  b.put(boot::kPvhMagic).put(u32{1}).put(u32{0}).put(kMostBootModules + kMore);
  b.put(kBase + 0x100).put(u64{0}).put(u64{0}).put(kBase).put(u32{0}).put(u32{0});
  b.pad(0x100);
  for (u32 i = 0; i < kMostBootModules + kMore; i++)
    b.put(u64{0x400000}).put(u64{0x1000}).put(u64{0}).put(u64{0});
  base::BufferView memory(kBase, b.view());
  BootInfo info;
  REQUIRE(boot::parse_pvh(memory, kBase, info).has_value());
  EXPECT_EQ(info.modules.size(), kMostBootModules);
  EXPECT_EQ(info.modules_left_out, kMore);
}

TEST(boot_pvh, reads_what_qemu_says) {
  constexpr u64 kBase = 0x1000;
  Bytes b;
  b.put(boot::kPvhMagic).put(u32{1}).put(u32{0}).put(u32{1});
  b.put(kBase + 0x100).put(kBase + 0x140).put(u64{0xf5a40});
  b.put(kBase + 0x180).put(u32{2}).put(u32{0});
  b.pad(0x100);
  b.put(u64{0x400000}).put(u64{0x1000}).put(kBase + 0x160).put(u64{0});
  b.pad(0x40).put_text("log=debug").pad(0x20).put_text("m.gguf").pad(0x20);
  b.put(u64{0}).put(u64{0x9fc00}).put(u32{1}).put(u32{0});
  b.put(u64{0xfffc0000}).put(u64{0x40000}).put(u32{2}).put(u32{0});
  base::BufferView memory(kBase, b.view());
  BootInfo info;
  REQUIRE(boot::parse_pvh(memory, kBase, info).has_value());
  EXPECT_EQ(info.command_line, "log=debug");
  EXPECT_EQ(info.acpi_rsdp, 0xf5a40u);
  REQUIRE(info.modules.size() == 1);
  EXPECT_EQ(info.modules[0].command_line, "m.gguf");
  REQUIRE(info.memory.size() == 2);
  EXPECT(info.memory[1].kind == MemoryKind::kReserved);
  // Every shorter memory is refused, and none is read past its end (AddressSanitizer).
  for (usize length = 0; length < b.size(); length++) {
    base::BufferView less(kBase, b.view().first(length));
    BootInfo cut;
    EXPECT(!boot::parse_pvh(less, kBase, cut).has_value());
  }
}
