// SPDX-License-Identifier: GPL-2.0-or-later
// Power cuts while exFAT is written: a device records all writes, and volumes as a cut could leave
// them are made of the record. Each must mount and hold either the state before the change that
// was cut or the one after it.
#include <fstream>
#include <functional>
#include <random>

#include "kernel/fs/exfat.h"
#include "kernel/fs/exfat_format.h"
#include "tests/hosted/kernel/fs/images.h"

namespace {

constexpr usize kSector = 512, kVolume = 1 * kMiB, kCluster = 1024;
using Tree = std::map<std::string, std::string>;

// Keeps each sector that is written, and when the device was flushed.
class Recorder final : public fs::Medium {
 public:
  struct Write {
    u64 sector = 0;
    usize flushes = 0;   // how often the device had been flushed before
    bool first = false;  // of the sectors of one request
    std::vector<Byte> bytes;
  };

  explicit Recorder(std::span<Byte> bytes) : bytes_(bytes) {}
  u64 size() const override { return bytes_.size(); }
  bool writable() const override { return true; }
  Result<void> read(u64 offset, std::span<Byte> out) override {
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }
  Result<void> write(u64 offset, std::span<const Byte> in) override {
    std::memcpy(bytes_.data() + offset, in.data(), in.size());
    u64 begin = offset / kSector;
    for (u64 s = begin; s * kSector < offset + in.size(); s++) {
      auto sector = bytes_.subspan(s * kSector, kSector);
      writes.push_back({s, flushes, s == begin, {sector.begin(), sector.end()}});
    }
    return {};
  }
  Result<void> flush() override {
    flushes++;
    return {};
  }

  std::vector<Write> writes;
  usize flushes = 0;

 private:
  std::span<Byte> bytes_;
};

void collect(fs::FileSystem& system, const std::string& path, Tree& out, bool& good) {
  struct Names final : fs::DirectoryVisitor {
    std::vector<std::pair<std::string, fs::FileKind>> entries;
    void on_entry(std::string_view name, const fs::FileInfo& info) override {
      entries.emplace_back(std::string(name), info.kind);
    }
  } names;
  good = system.list(path, names).has_value() && good;
  for (const auto& [name, kind] : names.entries) {
    std::string full = path.empty() ? name : path + "/" + name;
    if (kind == fs::FileKind::kDirectory) {
      collect(system, full, out, good);
      continue;
    }
    auto file = system.open(full);
    good = file.has_value() && good;
    if (!file.has_value()) continue;
    std::string text((*file)->size(), 0);
    auto n = (*file)->read_at(0, std::span(reinterpret_cast<Byte*>(text.data()), text.size()));
    good = n.has_value() && *n == text.size() && good;
    out[full] = text;
  }
}

std::string text_of(u32 seed, usize bytes) {
  std::mt19937 random(seed);
  std::string text(bytes, 0);
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

// A volume that is being used, and what it must hold after each change.
struct Day {
  TestContext& test;
  fs::Exfat& exfat;
  Recorder& recorder;
  std::vector<Tree> states{Tree{}};
  std::vector<usize> begins{};    // the first write of each change
  std::vector<u64> free_after{};  // bytes, for each of `states`

  void change(const std::function<bool(Tree&)>& make) {
    begins.push_back(recorder.writes.size());
    states.push_back(states.back());
    EXPECT(make(states.back()));
    free_after.push_back(MUST(exfat.space()).free);
  }
  void put(const std::string& path, const std::string& text, usize piece = 7000) {
    change([&](Tree& tree) {
      auto file = exfat.create(path);
      if (!file.has_value()) return false;
      for (usize at = 0; at < text.size(); at += piece) {
        auto part = bytes_of(text).subspan(at, std::min(piece, text.size() - at));
        if (!(*file)->write_at(at, part).has_value()) return false;
      }
      tree[path] = text;
      return (*file)->flush().has_value();
    });
  }
  void append(const std::string& path, const std::string& text) {
    change([&](Tree& tree) {
      auto file = exfat.open(path);
      if (!file.has_value() || !(*file)->write_at((*file)->size(), bytes_of(text)).has_value())
        return false;
      tree[path] += text;
      return (*file)->flush().has_value();
    });
  }
  void cut(const std::string& path, usize bytes) {
    change([&](Tree& tree) {
      auto file = exfat.open(path);
      tree[path].resize(bytes);
      return file.has_value() && (*file)->truncate(bytes).has_value() &&
             (*file)->flush().has_value();
    });
  }
  void remove(const std::string& path) {
    change([&](Tree& tree) {
      tree.erase(path);
      return exfat.remove(path).has_value();
    });
  }
  void folder(const std::string& path) {
    change([&](Tree&) { return exfat.make_directory(path).has_value(); });
  }

  void live() {
    free_after.push_back(MUST(exfat.space()).free);
    put("an old file.bin", text_of(1, 30'000));
    put("second.bin", text_of(2, 9'000));
    folder("models");
    folder("models/tiny");
    put("models/tiny/model.gguf", text_of(3, 60'000));
    put("models/tiny/manifest.toml", text_of(4, 700));
    append("an old file.bin", text_of(5, 12'000));  // not contiguous any more
    append("an old file.bin", text_of(6, 25'000));  // a chain that grows
    put("second.bin", text_of(7, 20'000));          // takes the place of the old one
    cut("an old file.bin", 20'000);
    for (u32 i = 0; i < 12; i++)  // the directories grow, one of them chained
      put((i % 2 == 0 ? "models/a file with a long name " : "another one with a long name ") +
              std::string(100, static_cast<char>('a' + i)),
          text_of(20 + i, 300));
    folder("full");  // eight sets of four slots fill a cluster to its end
    for (u32 i = 0; i < 10; i++)
      put("full/a name of four slots " + std::to_string(i), text_of(40 + i, 200));
    remove("models/tiny/manifest.toml");
    remove("models/tiny/model.gguf");
    remove("models/tiny");
    put("models/empty", "");
    put("models/last.bin", text_of(50, 50'000));
  }
};

struct Cuts {
  TestContext& test;
  const std::vector<Byte>& fresh;
  const Recorder& recorder;
  const Day& day;
  u32 made = 0, checked_by_fsck = 0;

  bool holds(fs::Exfat& exfat, usize step) {
    Tree found;
    bool good = true;
    collect(exfat, "", found, good);
    return good && (found == day.states[step] || found == day.states[step + 1]);
  }

  void check(std::vector<Byte>& image, usize step, const char* what, usize at) {
    made++;
    fs::MemoryMedium medium{std::span<Byte>(image)};
    auto exfat = fs::Exfat::mount(medium);
    std::string where = std::string(what) + " at write " + std::to_string(at);
    if (!exfat.has_value()) return test.report(__FILE__, __LINE__, "no mount: " + where);
    if (!holds(**exfat, step)) return test.report(__FILE__, __LINE__, "another state: " + where);
    // The next write mends the volume, and costs no file.
    auto probe = (*exfat)->create("probe");
    bool written = probe.has_value() && (*probe)->write_at(0, bytes_of("xyz")).has_value() &&
                   (*probe)->flush().has_value();
    if (!written) return test.report(__FILE__, __LINE__, "not written again: " + where);
    probe->reset();
    if (!(*exfat)->remove("probe").has_value() || !holds(**exfat, step))
      return test.report(__FILE__, __LINE__, "lost by mending: " + where);
    // Nothing stays taken but a cluster by which a directory has grown.
    u64 free = MUST((*exfat)->space()).free;
    auto [less, more] = std::minmax(day.free_after[step], day.free_after[step + 1]);
    if (free + 2 * kCluster < less || free > more)
      return test.report(__FILE__, __LINE__, "clusters are lost: " + where);
    if (made % 9 != 0 || !have_tool("fsck.exfat")) return;
    std::string path = own_image_path();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<long>(image.size()));
    if (!run_tool("fsck.exfat -n " + path))
      return test.report(__FILE__, __LINE__, "fsck finds faults: " + where);
    run_tool("rm -f " + path);
    checked_by_fsck++;
  }

  static void apply(std::vector<Byte>& image, const Recorder::Write& write) {
    std::copy(write.bytes.begin(), write.bytes.end(),
              image.begin() + static_cast<long>(write.sector * kSector));
  }

  // The cut comes after `end` sectors, so the last request may be torn. What was not flushed before
  // may be missing, sector by sector.
  void run() {
    std::mt19937 random(3);
    std::vector<Byte> done = fresh;  // with all writes before the last flush
    usize flushed = 0, step = 0;
    for (usize end = 0; end <= recorder.writes.size(); end++) {
      while (step + 1 < day.begins.size() && end >= day.begins[step + 1]) step++;
      if (end > 0 && recorder.writes[end - 1].flushes > 0) {
        usize age = recorder.writes[end - 1].flushes;
        while (recorder.writes[flushed].flushes < age) apply(done, recorder.writes[flushed++]);
      }
      // A part of the cuts within a request is enough.
      bool within = end < recorder.writes.size() && !recorder.writes[end].first;
      if (within && random() % 8 != 0) continue;
      std::vector<Byte> image = done;
      for (usize i = flushed; i < end; i++) apply(image, recorder.writes[i]);
      check(image, step, "a prefix", end);
      for (u32 order = 0; order < 5 && end > flushed + 1; order++) {
        image = done;
        for (usize i = flushed; i < end; i++)
          if (random() % 2 == 0) apply(image, recorder.writes[i]);
        check(image, step, "an order", end);
      }
    }
  }
};

}  // namespace

TEST(fs_faults, exfat_power_cut) {
  std::vector<Byte> bytes(kVolume);
  fs::MemoryMedium medium{std::span<Byte>(bytes)};
  REQUIRE(fs::format_exfat(medium, {.cluster_bytes = kCluster}).has_value());
  {
    // Free clusters hold what somebody has deleted.
    auto empty = fs::Exfat::mount(medium);
    REQUIRE(empty.has_value());
    std::mt19937 random(9);
    for (u64 at = kVolume - MUST((*empty)->space()).free; at < kVolume; at++)
      bytes[at] = static_cast<Byte>(random());
  }
  std::vector<Byte> fresh = bytes;
  Recorder recorder{std::span<Byte>(bytes)};
  auto exfat = fs::Exfat::mount(recorder);
  REQUIRE(exfat.has_value());
  Day day{test, **exfat, recorder};
  day.live();
  Cuts cuts{test, fresh, recorder, day};
  cuts.run();
  EXPECT(cuts.made > 500);
}
