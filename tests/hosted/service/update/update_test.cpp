// SPDX-License-Identifier: GPL-2.0-or-later
// Updates of a boot volume in memory: what is refused, what GRUB would start after a power cut at
// any write, and how a kernel becomes the good one.
#include <string>
#include <vector>

#include "ai/openai/health_field.h"
#include "kernel/trial.h"
#include "tests/hosted/service/update/test_volume.h"

namespace {

using namespace test_update;

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
  REQUIRE(note_reason(kPoint, "check: it was bad").has_value());
  EXPECT(volume.start() == Slot::kA);
  auto report = read_report(kPoint);
  REQUIRE(report.has_value());
  char room[256];
  EXPECT(report->state == State::kFailed && report->running == Slot::kA);
  EXPECT(failure_of(*report, room) == "check: it was bad (step start)");
  EXPECT(cause_of(*report) == kCheckCause);
  std::string shown = R"({"update":{"slot":"a","version":")" + std::string(running_version());
  shown += R"x(","state":"failed","tried":"b","cause":"check",)x";
  shown += R"x("reason":"check: it was bad (step start)"}})x";
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
