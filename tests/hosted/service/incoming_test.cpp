// SPDX-License-Identifier: GPL-2.0-or-later
// Models that come to a disk: whole, interrupted, stopped, changed on the way, too large.
#include "service/incoming.h"

#include <map>
#include <string>
#include <vector>

#include "kernel/base/test.h"
#include "kernel/fs/exfat.h"
#include "kernel/fs/exfat_format.h"
#include "kernel/options.h"
#include "service/bundle/find.h"
#include "service/import.h"
#include "tests/hosted/test_threads.h"

namespace {

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// A medium whose bytes may turn bad after they were written.
class Medium final : public fs::Medium {
 public:
  explicit Medium(u64 bytes) : bytes_(bytes) {}
  u64 size() const override { return bytes_.size(); }
  bool writable() const override { return true; }
  Result<void> read(u64 offset, std::span<Byte> out) override {
    std::copy_n(bytes_.begin() + static_cast<long>(offset), out.size(), out.begin());
    return {};
  }
  Result<void> write(u64 offset, std::span<const Byte> in) override {
    if (dead) return fail(Errc::kIo, "the power is gone");
    std::copy(in.begin(), in.end(), bytes_.begin() + static_cast<long>(offset));
    // One bit of a large transfer does not arrive.
    if (lossy && in.size() > 4096) bytes_[offset + in.size() / 2] ^= 1;
    return {};
  }
  bool dead = false, lossy = false;

 private:
  std::vector<Byte> bytes_;
};

// A disk with exFAT that is mounted.
struct Disk {
  explicit Disk(const char* where, u64 bytes = 4 * kMiB) : point(where), medium(bytes) {
    test_threads::start();
    MUST(fs::format_exfat(medium, {}));
    insert();
  }
  ~Disk() { fs::unmount(point); }
  Disk(const Disk&) = delete;
  void insert() {
    exfat = MUST(fs::Exfat::mount(medium));
    MUST(fs::mount(point, *exfat, fs::Home::kFixedDisk));
  }
  // As after a power cut.
  void insert_again() {
    fs::unmount(point);
    medium.dead = false;
    insert();
  }
  std::string path(const std::string& below) const { return std::string(point) + "/" + below; }
  void put(const std::string& below, const std::string& text) const {
    auto file = MUST(fs::create(path(below)));
    MUST(file->write_at(0, bytes_of(text)));
    MUST(file->flush());
  }
  std::string get(const std::string& below) const {
    auto text = fs::read_text(path(below), 4 * kMiB);
    return text.has_value() ? std::string(text->view()) : "(nothing)";
  }
  bool has(const std::string& below) const { return fs::stat(path(below)).has_value(); }
  const char* point;
  Medium medium;
  base::Owner<fs::Exfat> exfat;
};

std::string gguf(char fill, usize bytes = 700'000) {
  std::string text(bytes, fill);
  for (usize i = 0; i < bytes; i += 100) text[i] = static_cast<char>(i / 100);
  text.replace(0, 4, "GGUF");
  return text;
}

Result<service::Imported> import(const Disk& from, const std::string& below, const Disk& to,
                                 const char* name = "", service::ProgressSink* watcher = nullptr) {
  service::ModelFile source = TRY(service::find_model(from.path(below)));
  return service::import_model(
      source, {.root = to.point, .name = name, .copying = watcher, .checking = watcher});
}

struct Stopper final : service::ProgressSink {
  void on_progress(u64, u64) override {}
  bool stopped() override { return true; }
};

usize partial_count(const Disk& disk) {
  Vector<service::PartialModel> partial;
  MUST(service::find_partial(disk.point, partial));
  return partial.size();
}

constexpr const char* kIdentity = "the model that is meant";
Result<base::Owner<service::Incoming>> begin(const Disk& disk, const std::string& text,
                                             const char* identity = kIdentity) {
  return service::Incoming::begin({.root = disk.point,
                                   .name = "tiny",
                                   .bytes = text.size(),
                                   .largest = text.size(),
                                   .identity = identity});
}

}  // namespace

TEST(incoming, a_file_becomes_a_bundle) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  stick.put("tiny.gguf", gguf('a'));
  auto first = import(stick, "tiny.gguf", disk);
  REQUIRE(first.has_value());
  EXPECT_EQ(first->folder.view(), disk.path("models/tiny/1"));
  EXPECT(!first->present);
  EXPECT(disk.get("models/tiny/1/model.gguf") == gguf('a'));
  EXPECT(!disk.has("models/tiny/1/partial"));
  EXPECT(service::bundle::read_bundle(first->folder.view()).has_value());
  EXPECT(MUST(import(stick, "tiny.gguf", disk)).present);
  stick.put("tiny.gguf", gguf('b'));
  auto second = import(stick, "tiny.gguf", disk);
  REQUIRE(second.has_value());
  EXPECT_EQ(second->folder.view(), disk.path("models/tiny/2"));
  EXPECT(disk.get("models/tiny/1/model.gguf") == gguf('a'));
  EXPECT(disk.get("models/tiny/2/model.gguf") == gguf('b'));
  REQUIRE(service::remove_generation(disk.path("models/tiny/1")).has_value());
  EXPECT(!disk.has("models/tiny/1") && disk.has("models/tiny/2"));
  REQUIRE(service::remove_generation(disk.path("models/tiny/2")).has_value());
  EXPECT(!disk.has("models/tiny"));
  EXPECT(!service::remove_generation(disk.path("models")).has_value());
}

TEST(incoming, a_bundle_stays_as_it_is) {
  Disk stick("/disk/stick"), disk("/disk/inner"), third("/disk/third");
  stick.put("tiny.gguf", gguf('a'));
  REQUIRE(import(stick, "tiny.gguf", disk, "other").has_value());
  auto copied = import(disk, "models/other/1", third);
  REQUIRE(copied.has_value());
  EXPECT_EQ(copied->folder.view(), third.path("models/other/1"));
  EXPECT(third.get("models/other/1/manifest.toml") == disk.get("models/other/1/manifest.toml"));
  EXPECT(MUST(import(disk, "models/other/1", third)).present);
  EXPECT(!import(disk, "models/other/1", third, "renamed").has_value());
  // Another model of that name and generation is not overwritten.
  stick.put("tiny.gguf", gguf('c'));
  REQUIRE(import(stick, "tiny.gguf", stick, "other").has_value());
  auto refused = import(stick, "models/other/1", third);
  REQUIRE(!refused.has_value());
  EXPECT(refused.error().code == Errc::kBusy);
  EXPECT(third.get("models/other/1/model.gguf") == gguf('a'));
  // A damaged one does not arrive, and leaves nothing.
  REQUIRE(service::remove_generation(third.path("models/other/1")).has_value());
  std::string damaged = gguf('a');
  damaged[500'000] ^= 1;
  disk.put("models/other/1/model.gguf", damaged);
  auto wrong = import(disk, "models/other/1", third);
  REQUIRE(!wrong.has_value());
  EXPECT(wrong.error().code == Errc::kCorrupt);
  EXPECT(!third.has("models/other"));
}

TEST(incoming, a_model_in_several_files) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  const std::string kParts[] = {"big-00001-of-00003.gguf", "big-00002-of-00003.gguf",
                                "big-00003-of-00003.gguf"};
  for (const std::string& part : kParts) stick.put(part, gguf(part[8], 300'000));
  Stopper stopper;
  auto stopped = import(stick, kParts[0], disk, "", &stopper);
  EXPECT(!stopped.has_value() && stopped.error().code == Errc::kCancelled);
  for (const std::string& part : kParts) EXPECT(!disk.has("models/" + part));
  disk.put("models/" + kParts[1], gguf(kParts[1][8], 300'000));  // an earlier import had it
  auto copied = import(stick, kParts[0], disk);
  REQUIRE(copied.has_value());
  EXPECT(!copied->present);
  for (const std::string& part : kParts)
    EXPECT(disk.get("models/" + part) == gguf(part[8], 300'000));
  EXPECT_EQ(MUST(service::find_model(disk.path("models/" + kParts[0]))).parts, 3u);
  EXPECT(MUST(import(stick, kParts[0], disk)).present);
  EXPECT(!import(stick, kParts[0], disk, "renamed").has_value());
  // Other bytes of the same name are not overwritten.
  stick.put(kParts[2], gguf('z', 300'000));
  auto refused = import(stick, kParts[0], disk);
  EXPECT(!refused.has_value() && refused.error().code == Errc::kBusy);
  EXPECT(disk.get("models/" + kParts[2]) == gguf(kParts[2][8], 300'000));
}

TEST(incoming, verify_decides_what_may_come) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  stick.put("tiny.gguf", gguf('a'));
  REQUIRE(import(stick, "tiny.gguf", stick).has_value());
  options::parse_command_line("verify=require");
  for (const char* source : {"tiny.gguf", "models/tiny/1"}) {
    auto refused = import(stick, source, disk);
    EXPECT(!refused.has_value() && refused.error().code == Errc::kPermission);
  }
  options::reset();
  EXPECT(!disk.has("models/tiny"));
  EXPECT(import(stick, "models/tiny/1", disk).has_value());
}

TEST(incoming, goes_on_after_a_power_cut) {
  Disk disk("/disk/inner");
  std::string text = gguf('a');
  {
    auto one = begin(disk, text);
    REQUIRE(one.has_value());
    EXPECT(!begin(disk, text).has_value());  // one at a time
    EXPECT(!service::remove_generation((*one)->folder()).has_value());
    EXPECT_EQ(MUST((*one)->start_file("model.gguf", text.size())), 0u);
    REQUIRE((*one)->append(bytes_of(text).first(300'000)).has_value());
  }
  disk.insert_again();
  EXPECT_EQ(partial_count(disk), 1u);
  EXPECT(!service::bundle::bundle_at(disk.path("models/tiny")).has_value());
  {
    auto two = begin(disk, text);
    REQUIRE(two.has_value());
    EXPECT_EQ((*two)->generation(), 1u);
    EXPECT_EQ(MUST((*two)->start_file("model.gguf", text.size())), 300'000u);
    REQUIRE((*two)->skip_present(nullptr).has_value());
    EXPECT_EQ((*two)->taken(), 300'000u);
    REQUIRE((*two)->append(bytes_of(text).subspan(300'000)).has_value());
    auto digest = (*two)->end_file(nullptr);
    REQUIRE(digest.has_value());
    EXPECT(*digest == crypto::sha256(text));
    EXPECT(!(*two)->finish("no manifest").has_value());
    REQUIRE((*two)->abandon().has_value());
  }
  EXPECT(!disk.has("models/tiny"));
}

TEST(incoming, what_is_there_is_compared) {
  Disk disk("/disk/inner");
  std::string text = gguf('a'), other = text;
  other[200'000] ^= 1;
  for (bool same : {true, false}) {
    {
      auto one = begin(disk, text);
      REQUIRE(one.has_value());
      MUST((*one)->start_file("model.gguf", text.size()));
      REQUIRE((*one)->append(bytes_of(same ? text : other).first(300'000)).has_value());
    }
    auto two = begin(disk, text);
    REQUIRE(two.has_value());
    EXPECT_EQ(MUST((*two)->start_file("model.gguf", text.size())), 300'000u);
    for (usize at = 0; at < text.size(); at += 70'000)
      REQUIRE((*two)
                  ->append(bytes_of(text).subspan(at, std::min<usize>(70'000, text.size() - at)))
                  .has_value());
    auto digest = (*two)->end_file(nullptr);
    REQUIRE(digest.has_value());
    EXPECT(*digest == crypto::sha256(text));
    REQUIRE((*two)->abandon().has_value());
  }
}

TEST(incoming, something_else_does_not_go_on) {
  Disk disk("/disk/inner");
  std::string text = gguf('a');
  {
    auto one = begin(disk, text);
    MUST((*one)->start_file("model.gguf", text.size()));
    REQUIRE((*one)->append(bytes_of(text).first(300'000)).has_value());
  }
  auto two = begin(disk, text, "another model");
  REQUIRE(two.has_value());
  EXPECT_EQ((*two)->generation(), 1u);
  EXPECT_EQ(MUST((*two)->start_file("model.gguf", text.size())), 0u);
  EXPECT_EQ(partial_count(disk), 1u);
}

TEST(incoming, lies_about_the_length) {
  Disk disk("/disk/inner");
  std::string text = gguf('a');
  auto one = begin(disk, text);
  REQUIRE(one.has_value());
  MUST((*one)->start_file("model.gguf", 1000));
  EXPECT(!(*one)->append(bytes_of(text).first(1001)).has_value());
  REQUIRE((*one)->append(bytes_of(text).first(999)).has_value());
  auto ended = (*one)->end_file(nullptr);
  REQUIRE(!ended.has_value());
  EXPECT(ended.error().code == Errc::kCorrupt);
}

TEST(incoming, stopping_removes_the_copy) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  stick.put("tiny.gguf", gguf('a'));
  u64 free = MUST(fs::space(disk.point)).free;
  Stopper stopper;
  auto stopped = import(stick, "tiny.gguf", disk, "", &stopper);
  REQUIRE(!stopped.has_value());
  EXPECT(stopped.error().code == Errc::kCancelled);
  EXPECT(!disk.has("models/tiny"));
  EXPECT_EQ(partial_count(disk), 0u);
  EXPECT(free - MUST(fs::space(disk.point)).free <= 2 * 4096);  // the folder models
}

TEST(incoming, a_disk_that_loses_bits_is_noticed) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  stick.put("tiny.gguf", gguf('a'));
  disk.medium.lossy = true;
  auto lost = import(stick, "tiny.gguf", disk);
  REQUIRE(!lost.has_value());
  EXPECT(lost.error().code == Errc::kCorrupt);
  EXPECT(!disk.has("models/tiny"));
}

TEST(incoming, a_small_disk_refuses_before_it_is_written) {
  Disk stick("/disk/stick"), disk("/disk/inner");
  stick.put("tiny.gguf", gguf('a', 2'000'000));
  disk.put("taken", std::string(1'500'000, 'x'));
  auto refused = import(stick, "tiny.gguf", disk);
  REQUIRE(!refused.has_value());
  EXPECT(refused.error().code == Errc::kFull);
  EXPECT(!disk.has("models/tiny"));
}

TEST(incoming, names_that_leave_the_folder) {
  Disk disk("/disk/inner");
  for (const char* name : {"../x", "a/b", "", "..", "a\"b"}) {
    auto refused = service::Incoming::begin(
        {.root = disk.point, .name = name, .bytes = 1, .largest = 1, .identity = kIdentity});
    EXPECT(!refused.has_value());
  }
  auto one = begin(disk, "x");
  REQUIRE(one.has_value());
  EXPECT(!(*one)->start_file("../escape", 1).has_value());
}
