// SPDX-License-Identifier: GPL-2.0-or-later
// Proof of the signatures: each bit of a trust file and of a list of chunks, and drawn bits of a
// payload, are flipped, and each is refused for the right cause. (Those of a manifest:
// manifest_test.cpp.) MARROW_FLIPS=10000 draws more bits of the payload than the few of each run.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "kernel/options.h"
#include "service/bundle/loading.h"
#include "service/bundle/trust_file.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::bundle;
using namespace test_bundle;
namespace files = std::filesystem;

usize drawn_bits(usize otherwise) {
  const char* text = std::getenv("MARROW_FLIPS");
  return text == nullptr ? otherwise : static_cast<usize>(std::strtoul(text, nullptr, 10));
}

void flip(std::span<Byte> bytes, u64 bit) {
  bytes[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
}

std::span<Byte> bytes_of(std::string& text) {
  return {reinterpret_cast<Byte*>(text.data()), text.size()};
}

// A bundle of drawn bytes in a folder of the host, with a signed manifest.
class DrawnBundle {
 public:
  explicit DrawnBundle(usize bytes) {
    mount_host_files();
    test_threads::start();
    char folder[] = "/tmp/marrow_flips_XXXXXX";
    ASSERT(mkdtemp(folder) != nullptr);
    root_ = folder;
    files::create_directories(root_ + "/models/tiny/1");
    std::mt19937_64 random(bytes);
    payload.resize(bytes);
    for (char& c : payload) c = static_cast<char>(random());
    std::ofstream(folder_on_host() + "/model.gguf", std::ios::binary) << payload;
    MUST(make_manifest(folder_of_machine(), nullptr));
    std::string text, path = folder_on_host() + "/manifest.toml";
    ASSERT(read_file(path, text));
    std::ofstream(path, std::ios::binary) << signed_by(text, kSeed);
    auto key = trusted(kSeed).key;
    std::ofstream(root_ + "/site.pub", std::ios::binary)
        .write(reinterpret_cast<const char*>(key.data()), key.size());
    options::parse_command_line("verify=require");
    options::parse_command_line("trust.keys=" + root_ + "/site.pub");
    forget_trusted_keys();
    file = MUST(describe_bundle(folder_of_machine()));
  }
  ~DrawnBundle() {
    files::remove_all(root_);
    options::reset();
    forget_trusted_keys();
  }
  DrawnBundle(const DrawnBundle&) = delete;
  DrawnBundle& operator=(const DrawnBundle&) = delete;

  std::string folder_on_host() const { return root_ + "/models/tiny/1"; }
  std::string folder_of_machine() const { return "/host" + folder_on_host(); }

  std::string payload;
  service::ModelFile file;

 private:
  std::string root_;
};

}  // namespace

TEST(bundle_flips, every_bit_of_a_trust_file) {
  Seed root = seed_of(1), next = seed_of(2);
  TrustedKey before = trusted(root);
  Quorum quorum{1, {}};
  ASSERT(quorum.keys.push_back({before.id, before.key, Use::kRoot}));
  std::string more = "epoch_floor = 3\nrevoked_keys = \"" + id_of(seed_of(5)) + "\"\n";
  std::string text = signed_by_all(trust_text(4, 1, {{next, "root"}}, more), {root, next});
  auto judged = [&]() -> Result<Step> { return judge_step(TRY(parse_trust(text)), 3, quorum); };
  REQUIRE(MUST(judged()) == Step::kFollows);
  usize end = text.find("[signature]"), malformed = 0, signature = 0, key = 0, version = 0;
  for (usize bit = 0; bit < text.size() * 8; bit++) {
    flip(bytes_of(text), bit);
    Result<Step> step = judged();
    bool in_version = bit / 8 < text.find('\n');
    bool in_name = bit / 8 >= end && text.rfind('[', bit / 8) == text.rfind('\n', bit / 8) + 1;
    // A version of one digit more or less is another version; a name of a signature another key.
    bool right = !step.has_value()              ? step.error().code == Errc::kCorrupt
                 : *step == Step::kBadSignature ? true
                 : *step == Step::kUnknownKey   ? in_name
                                                : in_version && *step != Step::kFollows;
    if (!right) test.report(__FILE__, __LINE__, text);
    malformed += step.has_value() ? 0 : 1;
    signature += step.has_value() && *step == Step::kBadSignature ? 1 : 0;
    key += step.has_value() && *step == Step::kUnknownKey ? 1 : 0;
    version += step.has_value() && (*step == Step::kOld || *step == Step::kGap) ? 1 : 0;
    flip(bytes_of(text), bit);
  }
  // Each cause occurs, so none of them hides another.
  EXPECT(malformed > 1000 && signature > 500 && key > 20 && version == 2);
  // Cut anywhere it is refused as well, but for the line feed of its end.
  for (usize size = 0; size + 1 < text.size(); size++) {
    Result<TrustFile> cut = parse_trust(std::string_view(text).substr(0, size));
    bool unsigned_part = cut.has_value() && cut->signatures.size() < 3;
    if (cut.has_value() && !unsigned_part) test.report(__FILE__, __LINE__, text.substr(0, size));
  }
}

TEST(bundle_flips, every_bit_of_a_list_of_chunks) {
  DrawnBundle bundle(2 * kChunkBytes + 9);
  Bundle read = MUST(read_bundle(bundle.folder_of_machine()));
  const Payload& payload = read.manifest.model;
  REQUIRE(payload.has_chunks);
  std::string list, path = bundle.folder_on_host() + "/model.chunks";
  ASSERT(read_file(path, list));
  REQUIRE(list.size() == 96);
  REQUIRE(ChunkList::read(bundle.folder_of_machine(), payload).has_value());
  for (usize bit = 0; bit < list.size() * 8; bit++) {
    flip(bytes_of(list), bit);
    std::ofstream(path, std::ios::binary) << list;
    Result<ChunkList> found = ChunkList::read(bundle.folder_of_machine(), payload);
    bool right = !found.has_value() && found.error().code == Errc::kCorrupt &&
                 std::string_view(found.error().what).contains("not the list of its manifest");
    if (!right) test.report(__FILE__, __LINE__, "a list with another bit is taken");
    flip(bytes_of(list), bit);
  }
  for (usize size : {usize{0}, usize{95}, usize{97}}) {
    std::string other = list;
    other.resize(size, 'x');
    std::ofstream(path, std::ios::binary) << other;
    EXPECT(!ChunkList::read(bundle.folder_of_machine(), payload).has_value());
  }
}

TEST(bundle_flips, drawn_bits_of_a_payload_by_its_hash) {
  DrawnBundle bundle(20'011);
  Loading loading = MUST(Loading::begin(bundle.file));
  auto judged = [&] {
    ArrivingHash hash;
    return loading.judge_digest(0, MUST(hash.finish(bytes_of(bundle.payload), nullptr)));
  };
  REQUIRE(judged().has_value());
  std::mt19937_64 random(1);
  for (usize i = 0; i < drawn_bits(1000); i++) {
    u64 bit = random() % (bundle.payload.size() * 8);
    flip(bytes_of(bundle.payload), bit);
    Result<void> result = judged();
    bool right = !result.has_value() && result.error().code == Errc::kCorrupt &&
                 std::string_view(result.error().what).contains("SHA-256 is not that");
    if (!right) test.report(__FILE__, __LINE__, "a payload with another bit is taken");
    flip(bytes_of(bundle.payload), bit);
  }
  REQUIRE(judged().has_value());
}

TEST(bundle_flips, drawn_bits_of_a_payload_by_its_chunks) {
  DrawnBundle bundle(kChunkBytes + 20'011);
  Loading loading = MUST(Loading::begin(bundle.file));
  std::optional<ChunkList> list = MUST(loading.chunks_of(0));
  REQUIRE(list.has_value());
  auto judged = [&] {
    CheckedArrival arrival(*list, loading, nullptr);
    return arrival.finish(bytes_of(bundle.payload), nullptr);
  };
  REQUIRE(judged().has_value());
  std::mt19937_64 random(2);
  for (usize i = 0; i < drawn_bits(10); i++) {
    u64 bit = random() % (bundle.payload.size() * 8);
    flip(bytes_of(bundle.payload), bit);
    Result<void> result = judged();
    bool right = !result.has_value() && result.error().code == Errc::kCorrupt &&
                 std::string_view(result.error().what).contains("not that of its list");
    if (!right) test.report(__FILE__, __LINE__, "a payload with another bit is taken");
    flip(bytes_of(bundle.payload), bit);
  }
  REQUIRE(judged().has_value());
}

// Texts that are made to cost time or memory: each is refused, and none of them is deep for us.
TEST(bundle_flips, bombs) {
  auto repeated = [](std::string_view part, usize count) {
    std::string text;
    for (usize i = 0; i < count; i++) text += part;
    return text;
  };
  std::string trust = trust_text(1, 1, {{kSeed, "root"}}), model = manifest();
  std::string tables;
  for (u32 i = 0; i < 100'000; i++) tables += "[t" + std::to_string(i) + "]\n";
  std::string keys;
  for (u32 i = 0; i < 129; i++) keys += "k" + std::to_string(i) + " = 1\n";
  for (const std::string& base : {trust, model}) {
    auto taken = [&](const std::string& text) {
      return parse_trust(text).has_value() || parse_manifest(text).has_value();
    };
    std::string full = base + "#";
    full.resize(4096, 'x');
    EXPECT(taken(full));
    for (const std::string& bad :
         {full + "x", base + tables, base + tables.substr(0, tables.find("[t129]")),
          base + "\n[x]\n" + keys, "x = " + repeated("[", 2000) + "\n" + base,
          "x = " + repeated("{a=", 600) + "\n" + base, base + repeated("[", 2000) + "\n",
          base + repeated("[[a]]\n", 200), base + "[" + repeated("a.", 1000) + "]]\n",
          base + std::string(100, '\0'), base + repeated("[signature]\n", 100)})
      if (taken(bad)) test.report(__FILE__, __LINE__, bad.substr(0, 200));
    // A long name with dots is one name.
    EXPECT(taken(base + "[" + repeated("a.", 1000) + "a]\n"));
  }
}
