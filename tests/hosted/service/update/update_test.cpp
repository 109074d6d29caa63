// SPDX-License-Identifier: GPL-2.0-or-later
// Updates of a boot volume in memory: what is refused, what GRUB would start after a power cut at
// any write, and how a kernel becomes the good one.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "ai/openai/health_field.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hex.h"
#include "kernel/fs/fat.h"
#include "kernel/fs/fat_format.h"
#include "kernel/options.h"
#include "kernel/trial.h"
#include "service/update/slots.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_mount.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::update;
using Image = std::vector<Byte>;

constexpr std::string_view kPoint = "/disk/esp";

std::string text_of(std::span<const Byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

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

struct NoSink final : service::ProgressSink {
  void on_progress(u64 done, u64 total) override { ASSERT(done <= total); }
  bool stopped() override { return stop; }
  bool stop = false;
};

std::string kernel_of(char fill, usize bytes = 2'500'000) {
  std::string kernel(bytes, fill);
  for (usize i = 0; i < bytes; i += 1000) kernel[i] = static_cast<char>(i / 1000);
  return kernel;
}

std::string manifest_of(const std::string& kernel, const std::string& version = "99.1",
                        std::string_view machine = this_machine()) {
  String hex = MUST(base::hex_text(crypto::sha256(kernel)));
  return "name = \"marrow\"\nformat = \"kernel\"\nversion = \"" + version + "\"\nmachine = \"" +
         std::string(machine) + "\"\n\n[file.kernel]\npath = \"marrow.elf\"\nsha256 = \"" +
         std::string(hex.view()) + "\"\nsize = " + std::to_string(kernel.size()) + "\n";
}

std::string file_of(const std::string& manifest, const std::string& kernel) {
  std::string head = manifest;
  head.resize(kHeadBytes, '\0');
  return head + kernel;
}

std::string signed_file(const std::string& kernel, const std::string& version = "99.1") {
  return file_of(test_bundle::signed_by(manifest_of(kernel, version), test_bundle::kSeed), kernel);
}

void make_file(fs::Fat& fat, std::string_view path, std::span<const Byte> bytes, u64 size) {
  for (usize at = path.find('/'); at != path.npos; at = path.find('/', at + 1))
    if (!fat.stat(path.substr(0, at)).has_value()) MUST(fat.make_directory(path.substr(0, at)));
  auto file = MUST(fat.create(path));
  MUST(file->write_at(0, bytes));
  MUST(file->truncate(size));
  MUST(file->flush());
}

std::span<const Byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

const std::string kInstalledKernel = kernel_of('i', 300'000);
constexpr u64 kSlotBytes = 3 * kMiB;

// A boot volume as the installation makes it, mounted as long as it lives.
struct Volume {
  Image image = Image(fs::least_fat32_bytes(512) + kMiB);
  RecordedMedium medium{image};
  base::Owner<fs::Fat> fat;
  FewFiles keys{"/boot", {{"site.pub", text_of(test_bundle::trusted(test_bundle::kSeed).key)}}};

  Volume() {
    test_threads::start();
    service::bundle::forget_trusted_keys();
    MUST(fs::format_fat32(medium, {.label = "BOOT"}));
    fat = MUST(fs::Fat::mount(medium));
    make_file(*fat, slot_path(Slot::kInstalled), bytes_of(kInstalledKernel),
              kInstalledKernel.size());
    for (Slot slot : kWrittenSlots) make_file(*fat, slot_path(slot), {}, kSlotBytes);
    char block[kBlockBytes];
    write_block({}, block);
    make_file(*fat, kBlockPath, bytes_of(std::string(block, sizeof block)), kBlockBytes);
    MUST(fs::mount(kPoint, *fat));
  }
  ~Volume() {
    fs::unmount(kPoint);
    options::reset();
    service::bundle::forget_trusted_keys();
  }
  Volume(const Volume&) = delete;

  Result<Slot> update(const std::string& file, const BootBlock& expected = {}, bool stop = false) {
    FewFiles stick("/stick", {{"new.update", file}});
    NoSink sink;
    sink.stop = stop;
    Result<Written> written = write_update("/stick/new.update", Plan{kPoint, expected, sink});
    if (!written.has_value()) return std::unexpected(written.error());
    return written->slot;
  }
  BootBlock block() { return MUST(read_boot_block(kPoint)); }
  // Does what GRUB and the kernel that it starts do.
  Slot start() {
    BootBlock now = block();
    Slot slot = now.pending ? *now.attempt : now.good;
    now.pending = false;
    MUST(store_boot_block(kPoint, now));
    options::reset();
    options::parse_command_line("update.slot=" + std::string(slot_name(slot)));
    return slot;
  }
};

// Returns the kernel that GRUB would start from an image, of these; '?' for anything else.
struct Known {
  char name;
  const std::string* kernel;
};
struct Starts {
  char first, second;  // the second start comes after one that proved nothing
};
char look_at(fs::Fat& fat, Slot slot, std::span<const Known> known) {
  auto file = fat.open(slot_path(slot));
  if (!file.has_value()) return '?';
  std::string text(static_cast<usize>((*file)->size()), 0);
  MUST((*file)->read_at(0, {reinterpret_cast<Byte*>(text.data()), text.size()}));
  for (const Known& k : known)
    if (text.starts_with(*k.kernel)) return k.name;
  return '?';
}
Starts starts_of(const Image& image, std::span<const Known> known) {
  fs::MemoryMedium medium{std::span<const Byte>(image)};
  auto fat = MUST(fs::Fat::mount(medium));
  auto file = MUST(fat->open(kBlockPath));
  char bytes[kBlockBytes];
  MUST(file->read_at(0, {reinterpret_cast<Byte*>(bytes), sizeof bytes}));
  // GRUB takes the installed kernel if the block is damaged; here none may be.
  BootBlock block = MUST(parse_block({bytes, sizeof bytes}));
  return {look_at(*fat, block.pending ? *block.attempt : block.good, known),
          look_at(*fat, block.good, known)};
}

void apply(Image& image, const RecordedMedium::Write& write, usize bytes) {
  std::memcpy(image.data() + write.offset, write.bytes.data(), bytes);
}

// Tries the images that a power cut could leave: the first writes, of the last one only some
// sectors, and of those since the last flush any.
template <class Judge>
void cut_everywhere(const Image& before, const RecordedMedium& medium, Judge judge) {
  std::mt19937_64 random(7);
  for (usize count = 0; count <= medium.writes.size(); count++) {
    Image image = before;
    for (usize i = 0; i < count; i++) apply(image, medium.writes[i], medium.writes[i].bytes.size());
    judge(image, count == medium.writes.size());
    if (count == medium.writes.size()) break;
    Image torn = image;
    usize sectors = medium.writes[count].bytes.size() / 512;
    if (sectors > 0) apply(torn, medium.writes[count], random() % (sectors + 1) * 512);
    judge(torn, false);
    usize flushed = 0;
    for (usize at : medium.flushes)
      if (at <= count) flushed = at;
    for (u32 round = 0; round < 3; round++) {
      Image mixed = before;
      for (usize i = 0; i <= count; i++)
        if (i < flushed || random() % 2 == 0)
          apply(mixed, medium.writes[i], medium.writes[i].bytes.size());
      judge(mixed, false);
    }
  }
}

TEST(update, blocks) {
  BootBlock block;
  block.good = Slot::kB;
  block.old = Slot::kInstalled;
  block.attempt = Slot::kA;
  block.pending = block.network = true;
  block.model = std::string_view("a model\\ with #\n");
  block.answer = std::string_view("0123456789abcdef");
  block.step = std::string_view("selftest and more than fits");
  block.reason = std::string_view(std::string(200, 'r'));
  char bytes[kBlockBytes];
  write_block(block, bytes);
  std::string text(bytes, sizeof bytes);
  EXPECT(text.starts_with("# GRUB Environment Block\ngood=b\ntry=a\nleft=1\nold=installed\n"));
  auto back = parse_block(text);
  REQUIRE(back.has_value());
  EXPECT(back->good == Slot::kB && back->old == Slot::kInstalled && back->attempt == Slot::kA);
  EXPECT(back->pending && back->network);
  EXPECT(back->model.view() == "a model? with ??");
  EXPECT(back->step.view() == "selftest and mor");
  EXPECT_EQ(back->reason.view().size(), 96u);
  for (const char* bad : {"good=c\n", "left=2\n", "left=1\n", "other=1\n", "good=a\ngood=a\n",
                          "good\n", "model=a\\\\b\n"}) {
    std::string other = "# GRUB Environment Block\n" + std::string(bad);
    other.resize(kBlockBytes, '#');
    EXPECT(!parse_block(other).has_value());
  }
  EXPECT(!parse_block(text.substr(0, 1000)).has_value());
  EXPECT(!parse_block(text + "#").has_value());
  EXPECT(!parse_block(std::string(kBlockBytes, '\0')).has_value());
}

// Reads a block as GRUB and iso/grub.cfg do: lines as they come, a damaged head for none, and the
// installed kernel for a name that is none. Takes the try back, as GRUB does before it starts it.
Slot grub_starts(std::string& bytes) {
  constexpr std::string_view kHead = "# GRUB Environment Block\n";
  std::string good = "installed", attempt, left;
  bool whole = bytes.starts_with(kHead);
  for (usize at = kHead.size(), end = 0; whole && at < bytes.size(); at = end + 1) {
    end = bytes.find('\n', at);
    usize equals = bytes.find('=', at);
    if (end == bytes.npos || (bytes[at] != '#' && equals == bytes.npos)) break;
    std::string name = bytes.substr(at, equals - at);
    if (bytes[at] == '#' || equals > end) continue;
    std::string value = bytes.substr(equals + 1, end - equals - 1);
    if (name == "good") good = value;
    if (name == "try") attempt = value;
    if (name == "left") left = value, value == "1" ? void(bytes[equals + 1] = '0') : void();
  }
  return slot_of(left == "1" ? attempt : good).value_or(Slot::kInstalled);
}

// Returns the block after each of the writes that an update, its trial and a rollback make.
std::vector<std::string> blocks_of_a_life() {
  std::vector<BootBlock> blocks(1);
  auto then = [&](auto change) {
    BootBlock next = blocks.back();
    change(next);
    blocks.push_back(next);
  };
  auto tries = [&](Slot slot) {
    then([](BootBlock& b) { b.attempt.reset(), b.pending = false; });
    then([&](BootBlock& b) {
      b.attempt = slot, b.pending = b.network = true;
      b.model = std::string_view("smollm2"), b.answer = std::string_view("0123456789abcdef");
      b.step = std::string_view("start"), b.reason = {};
    });
    then([](BootBlock& b) { b.pending = false; });  // GRUB's write
    then([](BootBlock& b) { b.step = std::string_view("selftest"); });
  };
  auto becomes_good = [&] {
    then([](BootBlock& b) {
      BootBlock good;
      good.good = *b.attempt, good.old = b.good;
      b = good;
    });
  };
  tries(Slot::kA), becomes_good();
  tries(Slot::kB);
  then([](BootBlock& b) { b.reason = std::string_view("the model answers with other tokens"); });
  tries(Slot::kB), becomes_good();
  tries(Slot::kA);
  blocks.resize(blocks.size() - 2);  // it still waits for its try, and is withdrawn
  then([](BootBlock& b) { b.attempt.reset(), b.pending = false; });
  tries(Slot::kInstalled), becomes_good();
  std::vector<std::string> texts;
  for (const BootBlock& block : blocks) {
    char bytes[kBlockBytes];
    write_block(block, bytes);
    texts.emplace_back(bytes, sizeof bytes);
  }
  return texts;
}

// A sector is written as a whole or not at all; here a cut may even split one, at any byte.
TEST(update, a_torn_block_starts_a_kernel_that_is_whole) {
  std::vector<std::string> texts = blocks_of_a_life();
  usize tried = 0, damaged = 0;
  for (usize i = 0; i + 1 < texts.size(); i++) {
    BootBlock before = MUST(parse_block(texts[i])), after = MUST(parse_block(texts[i + 1]));
    auto sound = [&](Slot slot) {
      auto waits = [&](const BootBlock& b) { return b.pending && b.attempt == slot; };
      return slot == Slot::kInstalled || slot == before.good || slot == after.good ||
             waits(before) || waits(after);
    };
    for (usize at = 0; at <= kBlockBytes; at++) {
      std::string torn = texts[i + 1].substr(0, at) + texts[i].substr(at);
      auto parsed = parse_block(torn);
      damaged += parsed.has_value() ? 0 : 1;
      if (parsed.has_value()) EXPECT(sound(parsed->good));
      if (parsed.has_value() && parsed->pending) EXPECT(sound(*parsed->attempt));
      Slot first = grub_starts(torn), second = grub_starts(torn);
      EXPECT(sound(first));
      // A try is never repeated.
      EXPECT(second == Slot::kInstalled || second == before.good || second == after.good);
      tried += first != second ? 1 : 0;
      if (at == 0 || at == 512 || at == kBlockBytes) EXPECT(parsed.has_value());
    }
  }
  EXPECT(tried > 0 && damaged > 0);
  // GRUB writes one character, so its write has no state between.
  for (const std::string& text : texts) {
    std::string taken = text;
    grub_starts(taken);
    usize different = 0;
    for (usize at = 0; at < text.size(); at++) different += text[at] != taken[at] ? 1 : 0;
    EXPECT(different <= 1);
  }
}

TEST(update, versions) {
  auto below = [](const char* a, const char* b) {
    return MUST(parse_version(a)) < MUST(parse_version(b));
  };
  EXPECT(below("0.2.0", "0.10") && below("0.2", "0.2.0.1") && !below("0.2", "0.2.0"));
  for (const char* bad : {"", "1.", ".1", "1..2", "1.2.3.4.5", "v1", "1 ", "-1", "4294967296"})
    EXPECT(!parse_version(bad).has_value());
}

TEST(update, refused_files_change_nothing) {
  Volume volume;
  std::string kernel = kernel_of('n'), good = signed_file(kernel);
  std::string changed = good, cut = good.substr(0, good.size() - 1),
              large = kernel_of('l', kSlotBytes);
  changed[good.size() / 2] ^= 1;
  auto other_machine = manifest_of(kernel, "99.1", "aarch64");
  auto refused = [&](const std::string& file) {
    auto written = volume.update(file);
    return written.has_value() ? "nothing" : errc_name(written.error().code);
  };
  usize writes = volume.medium.writes.size();
  const char* permission = errc_name(Errc::kPermission);
  const char* corrupt = errc_name(Errc::kCorrupt);
  EXPECT_EQ(std::string(refused(file_of(manifest_of(kernel), kernel))), permission);  // not signed
  EXPECT_EQ(std::string(refused(file_of(
                test_bundle::signed_by(manifest_of(kernel), test_bundle::kOtherSeed), kernel))),
            permission);
  EXPECT_EQ(std::string(refused(signed_file(kernel, "0.0.1"))), permission);  // older
  EXPECT_EQ(std::string(refused(changed)), corrupt);
  EXPECT_EQ(std::string(refused(cut)), corrupt);
  EXPECT_EQ(std::string(refused("short")), corrupt);
  EXPECT_EQ(std::string(refused(kernel)), corrupt);  // a kernel is no update file
  EXPECT_EQ(std::string(refused(signed_file(large))), errc_name(Errc::kFull));
  EXPECT_EQ(std::string(refused(
                file_of(test_bundle::signed_by(other_machine, test_bundle::kSeed), kernel))),
            errc_name(Errc::kUnsupported));
  EXPECT_EQ(std::string(refused(file_of(
                test_bundle::signed_by(test_bundle::manifest(), test_bundle::kSeed), kernel))),
            corrupt);  // of a model
  EXPECT_EQ(volume.medium.writes.size(), writes);
  for (usize bit = 0; bit < 8 * kHeadBytes; bit += 97) {
    std::string flipped = good;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT(std::string(refused(flipped)) != "nothing");
  }
  EXPECT_EQ(volume.medium.writes.size(), writes);
}

// Returns the fields of /health that are rows.
std::string health() {
  String text;
  base::StringWriter out(text);
  json::Writer writer(out);
  writer.begin_object();
  for (const ai::openai::HealthField* field : health_fields_rows()) field->write(writer);
  writer.end_object();
  return std::string(text.view());
}

TEST(update, a_kernel_becomes_the_good_one_and_goes_back) {
  Volume volume;
  BootBlock expected;
  expected.network = true;
  expected.model = std::string_view("tiny");
  auto slot = volume.update(signed_file(kernel_of('n')), expected);
  REQUIRE(slot.has_value());
  EXPECT(*slot == Slot::kA && volume.block().pending && volume.block().network);
  EXPECT(volume.block().model.view() == "tiny");
  EXPECT(volume.start() == Slot::kA);
  REQUIRE(note_step(kPoint, "model").has_value());
  REQUIRE(make_good(kPoint).has_value());
  EXPECT(volume.start() == Slot::kA && volume.block().old == Slot::kInstalled);
  EXPECT(!make_good(kPoint).has_value());  // no trial is under way
  // The next one goes to the other slot and is never good.
  REQUIRE(volume.update(signed_file(kernel_of('m'))).has_value());
  EXPECT(volume.start() == Slot::kB);
  REQUIRE(note_reason(kPoint, "it was bad").has_value());
  EXPECT(volume.start() == Slot::kA);
  auto report = read_report(kPoint);
  REQUIRE(report.has_value());
  char room[256];
  EXPECT(report->state == State::kFailed && report->running == Slot::kA);
  EXPECT(failure_of(*report, room) == "it was bad (step start)");
  std::string shown = R"({"update":{"slot":"a","version":")" + std::string(running_version());
  shown += R"x(","state":"failed","tried":"b","reason":"it was bad (step start)"}})x";
  EXPECT_EQ(health(), shown);
  NoSink sink;
  auto back = roll_back(Plan{kPoint, {}, sink});
  REQUIRE(back.has_value());
  EXPECT(!back->withdrawn && back->slot == Slot::kInstalled);
  back = roll_back(Plan{kPoint, {}, sink});
  REQUIRE(back.has_value() && back->withdrawn);
  EXPECT(volume.start() == Slot::kA && volume.block().old == Slot::kInstalled);
}

TEST(update, a_power_cut_at_any_write) {
  Volume volume;
  std::string second = kernel_of('2'), third = kernel_of('3');
  const Known known[] = {{'1', &kInstalledKernel}, {'2', &second}, {'3', &third}};
  auto judged = [&](const std::string& kernel, char old, char next) {
    Image before = volume.image;
    volume.medium.writes.clear(), volume.medium.flushes.clear();
    ASSERT(volume.update(signed_file(kernel)).has_value());
    usize tried = 0;
    cut_everywhere(before, volume.medium, [&](const Image& image, bool complete) {
      Starts starts = starts_of(image, known);
      EXPECT(starts.first == old || starts.first == next);
      EXPECT_EQ(starts.second, old);
      if (complete) EXPECT_EQ(starts.first, next);
      tried += starts.first == next;
    });
    EXPECT(tried > 0);
  };
  judged(second, '1', '2');
  EXPECT(volume.start() == Slot::kA);
  // So is the sector by which it becomes the good one.
  Image before = volume.image;
  volume.medium.writes.clear(), volume.medium.flushes.clear();
  REQUIRE(make_good(kPoint).has_value());
  cut_everywhere(before, volume.medium, [&](const Image& image, bool complete) {
    char first = starts_of(image, known).first;
    EXPECT(first == '2' || (first == '1' && !complete));
  });
  EXPECT(volume.start() == Slot::kA);
  judged(third, '2', '3');
}

// `update URL` asks this when it has the head, and nothing else.
TEST(update, a_head_is_judged_by_itself) {
  Volume volume;
  std::string kernel = kernel_of('n'), file = signed_file(kernel);
  auto head_of = [](const std::string& whole) {
    return MUST(parse_head(bytes_of(whole).first(kHeadBytes)));
  };
  auto code = [](const auto& result) {
    return std::string(result.has_value() ? "good" : errc_name(result.error().code));
  };
  auto good = judge_update(head_of(file), file.size(), kPoint);
  REQUIRE(good.has_value());
  EXPECT(good->slot == Slot::kA);
  EXPECT_EQ(std::string(service::bundle::name_of(good->key).view()),
            test_bundle::id_of(test_bundle::kSeed));
  for (u64 size : {u64{0}, u64{kHeadBytes}, file.size() - 1, file.size() + 1, ~u64{0}})
    EXPECT_EQ(code(judge_update(head_of(file), size, kPoint)), errc_name(Errc::kCorrupt));
  std::string unsigned_file = file_of(manifest_of(kernel), kernel);
  EXPECT_EQ(code(judge_update(head_of(unsigned_file), unsigned_file.size(), kPoint)),
            errc_name(Errc::kPermission));
  std::string large = signed_file(kernel_of('l', kSlotBytes));
  EXPECT_EQ(code(judge_update(head_of(large), large.size(), kPoint)), errc_name(Errc::kFull));
}

TEST(update, a_disk_that_lies_and_ctrl_c) {
  Volume volume;
  volume.medium.lossy = true;
  EXPECT(!volume.update(signed_file(kernel_of('n'))).has_value());
  EXPECT(!volume.block().pending && !volume.block().attempt.has_value());
  volume.medium.lossy = false;
  EXPECT(!volume.update(signed_file(kernel_of('n')), {}, true).has_value());
  EXPECT(volume.start() == Slot::kInstalled);
  NoSink sink;
  EXPECT(!roll_back(Plan{kPoint, {}, sink}).has_value());  // there is nothing to go back to
}

TEST(update, who_is_on_trial) {
  for (const char* line : {"", "update.trial=no", "xupdate.trial", "update.trials"}) {
    trial::look_at(line);
    EXPECT(!trial::on());
  }
  trial::look_at("update.slot=a update.trial talk");
  EXPECT(trial::on());
  Volume volume;
  EXPECT(!volume.update(signed_file(kernel_of('n'))).has_value());
  trial::end();
  EXPECT(!trial::on() && volume.update(signed_file(kernel_of('n'))).has_value());
}

}  // namespace
