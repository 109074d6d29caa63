// SPDX-License-Identifier: GPL-2.0-or-later
// Where the console keeps texts, and where it keeps secrets and accepts them from.
#include "service/storage.h"

#include <map>
#include <string>

#include "kernel/base/test.h"

namespace {

using service::StoreOn;

// Files by path; folders are there as soon as somebody names them.
class Files final : public fs::FileSystem {
 public:
  std::map<std::string, std::string> texts;

  const char* kind() const override { return "test"; }
  bool writable() const override { return true; }
  Result<base::Owner<fs::File>> open(std::string_view path) override {
    auto found = texts.find(std::string(path));
    if (found == texts.end()) return fail(Errc::kNotFound, "no such file");
    return base::Owner<fs::File>(TRY(base::make<OneFile>(found->second)));
  }
  Result<base::Owner<fs::File>> create(std::string_view path) override {
    texts[std::string(path)].clear();
    return open(path);
  }
  Result<fs::FileInfo> stat(std::string_view path) override {
    auto found = texts.find(std::string(path));
    if (found == texts.end()) return fail(Errc::kNotFound, "no such file");
    return fs::FileInfo{fs::FileKind::kFile, found->second.size()};
  }
  Result<void> list(std::string_view, fs::DirectoryVisitor&) override { return {}; }
  Result<void> make_directory(std::string_view) override { return {}; }

 private:
  struct OneFile final : fs::File {
    explicit OneFile(std::string& text) : text_(text) {}
    u64 size() const override { return text_.size(); }
    Result<usize> read_at(u64 offset, std::span<Byte> out) override {
      std::string part = text_.substr(std::min<usize>(offset, text_.size()), out.size());
      std::copy(part.begin(), part.end(), out.begin());
      return part.size();
    }
    Result<usize> write_at(u64 offset, std::span<const Byte> in) override {
      text_.resize(std::max<usize>(text_.size(), offset + in.size()));
      std::copy(in.begin(), in.end(), text_.begin() + static_cast<long>(offset));
      return in.size();
    }
    std::string& text_;
  };
};

struct Mounted {
  const char* point;
  Mounted(const char* where, fs::FileSystem& system, fs::Home home) : point(where) {
    MUST(fs::mount(where, system, home));
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  ~Mounted() { fs::unmount(point); }
};

constexpr const char* kFile = "marrow/tls-secret.json";

}  // namespace

TEST(console_storage, secrets_stay_in_the_machine) {
  Files stick, boot, inner;
  boot.texts["boot/marrow.elf"] = "kernel";
  Mounted first("/disk/stick", stick, fs::Home::kElsewhere);
  Mounted second("/disk/boot", boot, fs::Home::kFixedDisk);
  auto kept = service::store_text("tls", "secret", "key 1", StoreOn::kFixedDisk);
  REQUIRE(kept.has_value());
  EXPECT(kept->view().find("in memory only") != std::string_view::npos);
  EXPECT(kept->view().find("sticks") != std::string_view::npos);
  EXPECT(stick.texts.empty());
  EXPECT_EQ(boot.texts.size(), 1u);
  EXPECT_EQ(MUST(service::load_text("tls", "secret", StoreOn::kFixedDisk)).view(), "key 1");
  // A text that is no secret still goes to the first disk.
  EXPECT_EQ(MUST(service::store_text("tls", "open", "text")).view(),
            "/disk/stick/marrow/tls-open.json");

  Mounted third("/disk/inner", inner, fs::Home::kFixedDisk);
  EXPECT_EQ(MUST(service::store_text("tls", "secret", "key 2", StoreOn::kFixedDisk)).view(),
            "/disk/inner/marrow/tls-secret.json");
  EXPECT_EQ(inner.texts[kFile], "key 2");
  EXPECT_EQ(MUST(service::load_text("tls", "secret", StoreOn::kFixedDisk)).view(), "key 2");
}

TEST(console_storage, secrets_that_others_bring_are_not_taken) {
  Files stick, boot;
  boot.texts["boot/marrow.elf"] = "kernel";
  stick.texts["marrow/tls-brought.json"] = boot.texts["marrow/tls-brought.json"] = "their key";
  Mounted first("/disk/stick", stick, fs::Home::kElsewhere);
  Mounted second("/disk/boot", boot, fs::Home::kFixedDisk);
  EXPECT(!service::load_text("tls", "brought", StoreOn::kFixedDisk).has_value());
  // A place that somebody names is taken as it is.
  EXPECT_EQ(
      MUST(service::load_text("tls", "/disk/stick/marrow/tls-brought.json", StoreOn::kFixedDisk))
          .view(),
      "their key");
  EXPECT_EQ(MUST(service::load_text("tls", "brought")).view(), "their key");
}

TEST(console_storage, boot_volumes_come_last) {
  Files boot, data;
  boot.texts["boot/marrow.elf"] = "kernel";
  boot.texts["marrow/talk-old.json"] = "from there";
  Mounted first("/disk/vda2", boot, fs::Home::kFixedDisk);
  EXPECT_EQ(MUST(service::store_text("talk", "alone", "text")).view(),
            "/disk/vda2/marrow/talk-alone.json");
  Mounted second("/disk/vda4", data, fs::Home::kFixedDisk);
  EXPECT_EQ(MUST(service::store_text("talk", "new", "text")).view(),
            "/disk/vda4/marrow/talk-new.json");
  EXPECT_EQ(MUST(service::load_text("talk", "old")).view(), "from there");
}
