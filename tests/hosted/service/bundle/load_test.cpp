// SPDX-License-Identifier: GPL-2.0-or-later
// Bundles on a disk: what is loaded of good and bad generations by each value of verify=, and what
// the console says about it.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "kernel/base/hex.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "service/bundle/epochs.h"
#include "service/bundle/loading.h"
#include "service/remove.h"
#include "service/storage.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::bundle;
using namespace test_bundle;
namespace files = std::filesystem;

// A folder of bundles on the host, gone in the end. `key` is trusted.
class Bundles {
 public:
  explicit Bundles(const char* options, const Seed& key = kSeed) {
    mount_host_files();
    test_threads::start();
    char folder[] = "/tmp/marrow_bundle_XXXXXX";
    ASSERT(mkdtemp(folder) != nullptr);
    folder_ = folder;
    auto bytes = trusted(key).key;
    std::ofstream(folder_ + "/site.pub", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    set(options);
  }
  ~Bundles() {
    static_cast<void>(service::engine_host().unload());
    files::remove_all(folder_);
    options::reset();
    forget_trusted_keys();
    static_cast<void>(accept_older("tiny"));
    forget_epochs();
  }
  Bundles(const Bundles&) = delete;
  Bundles& operator=(const Bundles&) = delete;

  void set(const std::string& text, bool with_key = true) {
    options::reset();
    options::parse_command_line(text);
    if (with_key) options::parse_command_line("trust.keys=" + folder_ + "/site.pub");
    forget_trusted_keys();
  }
  std::string place() const { return "/host" + folder_; }
  std::string bundle() const { return folder_ + "/models/tiny"; }
  std::string generation(u64 number) const { return bundle() + "/" + std::to_string(number); }
  std::string manifest_of(u64 number) const { return generation(number) + "/manifest.toml"; }

  // Makes a generation with the manifest's own maker.
  void make(u64 number, const Seed* seed, const std::string& model, const std::string& more = "") {
    files::create_directories(generation(number));
    std::ofstream(generation(number) + "/model.gguf", std::ios::binary) << model;
    MUST(make_manifest("/host" + generation(number), nullptr));
    std::string text;
    ASSERT(read_file(manifest_of(number), text));
    text.insert(text.find("\n\n") + 1, more);
    if (seed != nullptr) text = signed_by(text, *seed);
    std::ofstream(manifest_of(number), std::ios::binary) << text;
  }
  // Writes a file beside all bundles.
  void trust(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/models/" + name, std::ios::binary) << text;
  }
  // Flips a bit in the middle of a file.
  static void damage(const std::string& path) {
    std::string bytes;
    ASSERT(read_file(path, bytes));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(path, std::ios::binary) << bytes;
  }
  Result<void> load(const std::string& path) {
    return service::engine_host().load(TRY(service::find_model(path)));
  }

 private:
  std::string folder_;
};

std::string tiny_model() {
  TinyModelFile tiny;
  std::string bytes;
  if (tiny.made()) ASSERT(read_file(tiny.path().substr(5), bytes));
  return bytes;
}

// Returns the last lines of the log.
std::string log_text() {
  static char buffer[256 * 1024];
  base::BufferWriter out(buffer);
  log::replay(out, 200);
  return std::string(out.view());
}
bool log_says(std::string_view part) {
  return log_text().find(part) != std::string::npos;
}

const service::ModelFile* loaded() {
  return service::engine_host().current_file();
}

}  // namespace

TEST(bundle_load, a_signed_bundle_is_loaded_and_says_so) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  disk.make(3, &kSeed, model);
  REQUIRE(disk.load(disk.bundle()).has_value());
  EXPECT_EQ(loaded()->name.view(), "tiny");
  EXPECT_EQ(loaded()->generation, 3u);
  EXPECT(loaded()->verified.by == Verified::By::kSignature);
  EXPECT(loaded()->verified.key == trusted(kSeed).id);
  EXPECT(log_says("bundle tiny generation 3 verified (ed25519+sha256)"));
  ScriptedRun run = run_commands("keys; models; model info; model verify; llm ab 3");
  EXPECT_EQ(run.failed, 0u);
  EXPECT(run.says(id_of(kSeed) + "  /host/tmp/"));
  EXPECT(run.says("generation 3, ed25519 " + id_of(kSeed) + ", loaded"));
  EXPECT(run.says("hash          generation 3, ed25519 " + id_of(kSeed)));
  EXPECT(run.says("verified: these are the bytes of the manifest"));
  EXPECT(run.says("llm: done"));
}

TEST(bundle_load, a_damaged_generation_gives_way_to_the_one_before) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  struct Row {
    const char* name;
    void (*spoil)(Bundles& disk);
    const char* cause;
  };
  const Row rows[] = {
      {"payload", [](Bundles& disk) { Bundles::damage(disk.generation(2) + "/model.gguf"); },
       "generation 2 rejected (model size/sha256 mismatch)"},
      {"size", [](Bundles& disk) { files::resize_file(disk.generation(2) + "/model.gguf", 4096); },
       "generation 2 rejected (model size/sha256 mismatch)"},
      {"signature",
       [](Bundles& disk) {
         std::string text;
         ASSERT(read_file(disk.manifest_of(2), text));
         usize at = text.find("sig = \"") + 7;
         text[at] = text[at] == '0' ? '1' : '0';
         std::ofstream(disk.manifest_of(2), std::ios::binary) << text;
       },
       "generation 2 rejected (bad manifest signature)"},
      {"no payload", [](Bundles& disk) { files::remove(disk.generation(2) + "/model.gguf"); },
       "generation 2 rejected (model size/sha256 mismatch)"},
      {"no manifest", [](Bundles& disk) { files::remove(disk.manifest_of(2)); },
       "generation 2 rejected (manifest missing or malformed)"},
      {"long manifest",
       [](Bundles& disk) {
         std::ofstream(disk.manifest_of(2), std::ios::app) << std::string(4096, '\n');
       },
       "generation 2 rejected (manifest missing or malformed)"},
      {"another's manifest",
       [](Bundles& disk) {
         files::copy_file(disk.manifest_of(1), disk.manifest_of(2),
                          files::copy_options::overwrite_existing);
       },
       "generation 2 rejected (manifest missing or malformed)"},
  };
  for (const char* option : {"verify=require", "verify=prefer"})
    for (const Row& row : rows) {
      Bundles disk(option);
      disk.make(1, &kSeed, model);
      disk.make(2, &kSeed, model);
      row.spoil(disk);
      std::string cause = row.cause;
      cause += ": /host" + disk.generation(2) + ": ";
      if (!disk.load(disk.bundle()).has_value() || loaded() == nullptr ||
          loaded()->generation != 1 || !log_says(cause))
        test.report(__FILE__, __LINE__, row.name);
      // asked again, the one that is loaded stays
      u64 number = service::engine_host().current_number();
      EXPECT(disk.load(disk.bundle()).has_value());
      EXPECT_EQ(service::engine_host().current_number(), number);
    }
}

TEST(bundle_load, without_a_good_generation_nothing_is_loaded) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  disk.make(1, &kSeed, model);
  disk.make(2, &kSeed, model);
  for (u64 number : {1, 2}) Bundles::damage(disk.generation(number) + "/model.gguf");
  EXPECT(!disk.load(disk.bundle()).has_value());
  EXPECT(loaded() == nullptr);
  EXPECT(log_says("no verifiable model bundle generation"));
}

TEST(bundle_load, the_option_decides_about_each_kind_of_bundle) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  enum class Kind : u8 { kGood, kUnknown, kUnsigned, kBadSignature, kBadHash, kExpired, kFile };
  using By = Verified::By;
  struct Row {
    Kind kind;
    bool require, prefer, off;
    By by;  // where it is loaded
  };
  const Row rows[] = {{Kind::kGood, true, true, true, By::kSignature},
                      {Kind::kUnknown, false, true, true, By::kHash},
                      {Kind::kUnsigned, false, true, true, By::kHash},
                      {Kind::kBadSignature, false, false, true, By::kNothing},
                      {Kind::kBadHash, false, false, true, By::kNothing},
                      {Kind::kExpired, false, true, true, By::kHash},
                      {Kind::kFile, false, true, true, By::kNothing}};
  for (const Row& row : rows) {
    const std::pair<const char*, bool> modes[] = {
        {"verify=require", row.require}, {"verify=prefer", row.prefer}, {"verify=off", row.off}};
    for (auto [option, loads] : modes) {
      Bundles disk(option);
      bool is_signed = row.kind != Kind::kUnsigned;
      disk.make(1,
                row.kind == Kind::kUnknown ? &kOtherSeed
                : is_signed                ? &kSeed
                                           : nullptr,
                model, row.kind == Kind::kExpired ? "expires = 1000\n" : "");
      if (row.kind == Kind::kBadSignature) {
        std::string text;
        ASSERT(read_file(disk.manifest_of(1), text));
        std::ofstream(disk.manifest_of(1), std::ios::binary)
            << text.replace(text.find("format"), 0, "changed = 1\n");
      }
      std::string path = disk.bundle();
      if (row.kind == Kind::kBadHash) {
        // a bit of a weight: the file still loads
        std::string bytes = model;
        bytes[bytes.size() - 64] = static_cast<char>(bytes[bytes.size() - 64] ^ 1);
        std::ofstream(disk.generation(1) + "/model.gguf", std::ios::binary) << bytes;
      }
      if (row.kind == Kind::kFile) {
        path = disk.generation(1) + "/alone.gguf";
        files::rename(disk.generation(1) + "/model.gguf", path);
        files::remove(disk.manifest_of(1));
      }
      bool done = disk.load(path).has_value();
      bool right = done == loads && (!done || loaded()->verified.by == row.by);
      char text[100];
      if (!right)
        test.report(__FILE__, __LINE__,
                    base::format_into(text, "kind {} with {}: loaded {}, by {}", row.kind, option,
                                      done, done ? static_cast<u32>(loaded()->verified.by) : 9));
    }
  }
}

TEST(bundle_load, without_keys_hashes_are_all_there_is) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("");
  disk.set("verify=prefer", false);
  disk.make(1, &kSeed, model);
  REQUIRE(disk.load(disk.bundle()).has_value());
  EXPECT(loaded()->verified.by == Verified::By::kHash);
  EXPECT(log_says("no trust root; integrity-only mode"));
  EXPECT(log_says("bundle tiny generation 1 verified (sha256)"));
  EXPECT(run_commands("keys").says("no key is trusted"));
  REQUIRE(service::engine_host().unload().has_value());
  Bundles::damage(disk.generation(1) + "/model.gguf");
  EXPECT(!disk.load(disk.bundle()).has_value());
  disk.set("verify=require", false);
  disk.make(2, &kSeed, model);
  EXPECT(!disk.load(disk.bundle()).has_value());
  EXPECT(log_says("verify=require without a trusted key"));
}

TEST(bundle_load, an_older_security_epoch_does_not_come_back) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  disk.make(5, &kSeed, model, "format_version = 2\nsecurity_epoch = 9\n");
  disk.make(4, &kSeed, model, "format_version = 2\nsecurity_epoch = 8\n");
  EXPECT(disk.load(disk.generation(4)).has_value());
  EXPECT(disk.load(disk.generation(5)).has_value());
  EXPECT_EQ(loaded()->generation, 5u);
  EXPECT(!disk.load(disk.generation(4)).has_value());
  EXPECT_EQ(loaded()->generation, 5u);
  forget_epochs();  // it is kept where texts are kept
  EXPECT(!disk.load(disk.generation(4)).has_value());
  EXPECT(log_says("its security_epoch is lower than one that this machine has loaded"));
  ScriptedRun run = run_commands("model accept-older nobody; model accept-older tiny");
  EXPECT_EQ(run.failed, 1u);
  EXPECT(disk.load(disk.generation(4)).has_value());
}

TEST(bundle_load, what_is_revoked_is_refused_with_its_cause) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Seed root = seed_of(1), model_key = seed_of(2), second = seed_of(3);
  struct Row {
    std::string change;
    const char* cause;
    bool revoked;
  };
  String digest = MUST(base::hex_text(crypto::sha256(model)));
  std::string file = "revoked_files = \"" + std::string(digest.view()) + "\"\n";
  const Row rows[] = {{"revoked_keys = \"" + id_of(model_key) + "\"\n",
                       "generation 1 rejected (manifest signed by a revoked key)", true},
                      {file, "generation 1 rejected (file revoked)", true},
                      {"epoch_floor = 1\n", "generation 1 rejected (manifest expired)", false}};
  for (const Row& row : rows)
    for (const char* option : {"verify=require", "verify=prefer", "verify=off"}) {
      Bundles disk(option, root);
      MUST(accept_older_trust());
      disk.make(1, &model_key, model);
      std::string first = trust_text(1, 1, {{root, "root"}, {model_key, "model"}});
      disk.trust("trust.toml", signed_by(first, root));
      EXPECT(disk.load(disk.generation(1)).has_value());
      EXPECT(loaded()->verified.by == Verified::By::kSignature);
      REQUIRE(service::engine_host().unload().has_value());
      std::string next =
          trust_text(2, 1, {{root, "root"}, {second, "model"}, {model_key, "model"}}, row.change);
      disk.trust("trust.toml", signed_by(next, root));
      bool refused = std::string_view(option) == "verify=require" ||
                     (row.revoked && std::string_view(option) == "verify=prefer");
      bool done = disk.load(disk.generation(1)).has_value();
      if (done == refused || (refused && !log_says(row.cause)))
        test.report(__FILE__, __LINE__, row.cause);
      if (done && row.revoked) EXPECT(loaded()->verified.by == Verified::By::kNothing);
      MUST(accept_older_trust());
    }
}

TEST(bundle_load, nothing_of_a_loaded_model_is_removed) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  using Was = service::Removed::Was;
  Bundles disk("verify=prefer");
  disk.make(1, nullptr, model);
  disk.make(2, nullptr, model);
  files::create_directories(disk.generation(3));
  std::ofstream(disk.generation(3) + "/partial") << "x";
  REQUIRE(disk.load(disk.generation(1)).has_value());
  std::string place = disk.place();
  service::Removal removal{.name = "tiny", .place = place};
  EXPECT(service::remove_models(removal).error().code == Errc::kBusy);
  for (u64 number : {1, 2, 3}) EXPECT(files::exists(disk.generation(number)));
  EXPECT(service::remove_models({.name = "other", .place = place}).error().code == Errc::kNotFound);
  REQUIRE(service::engine_host().unload().has_value());
  removal.generation = 1;
  Vector<service::Removed> one = MUST(service::remove_models(removal));
  REQUIRE(one.size() == 1);
  EXPECT(one[0].was == Was::kComplete && one[0].path.view() == "/host" + disk.generation(1));
  removal.generation = 0;
  Vector<service::Removed> rest = MUST(service::remove_models(removal));
  REQUIRE(rest.size() == 2);
  EXPECT(rest[0].was == Was::kIncomplete && rest[1].was == Was::kComplete);
  EXPECT(!files::exists(disk.bundle()));
  EXPECT(service::remove_models(removal).error().code == Errc::kNotFound);
}

// The largest number is kept as well, and a damaged text is told.
TEST(bundle_load, epochs_are_read_back) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  MUST(raise_epoch("tiny", ~u64{0}));
  MUST(raise_epoch("other", 1));
  MUST(raise_epoch("tiny", 5));
  forget_epochs();
  EXPECT(MUST(epoch_of("tiny")) == ~u64{0});
  EXPECT_EQ(MUST(epoch_of("other")), 1u);
  EXPECT_EQ(MUST(epoch_of("nobody")), 0u);
  EXPECT(accept_older("nobody").error().code == Errc::kNotFound);
  MUST(accept_older("other"));
  MUST(accept_older("tiny"));
  forget_epochs();
  EXPECT_EQ(MUST(epoch_of("tiny")), 0u);
  MUST(service::store_text("trust", "epochs", "{\"epochs\":[{\"name\":\"tiny\",\"epoch\":\"x\"}]}",
                           service::StoreOn::kFixedDisk));
  forget_epochs();
  EXPECT_EQ(MUST(epoch_of("tiny")), 0u);
  EXPECT(log_says("kept are damaged"));
  MUST(raise_epoch("tiny", 1));
}

// A file that is changed between its check and its use, by whoever can write the disk.
namespace {

// Adds a list of chunks to generation 2, and signs that.
void add_list(const Bundles& disk, const std::string& model) {
  ChunkHashes hashes;
  MUST(hashes.update({reinterpret_cast<const Byte*>(model.data()), model.size()}));
  MUST(hashes.finish());
  std::span<const Byte> list = list_bytes(hashes.list());
  std::string text, bytes(reinterpret_cast<const char*>(list.data()), list.size());
  std::ofstream(disk.generation(2) + "/model.chunks", std::ios::binary) << bytes;
  ASSERT(read_file(disk.manifest_of(2), text));
  if (!text.ends_with('\n')) text += '\n';
  String hex = MUST(base::hex_text(crypto::sha256(bytes)));
  text += "chunk = 1048576\nchunks_sha256 = \"" + std::string(hex.view()) + "\"\n";
  std::ofstream(disk.manifest_of(2), std::ios::binary) << signed_by(text, kSeed);
}

}  // namespace

TEST(bundle_load, a_list_of_chunks_decides_where_there_is_one) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  constexpr const char* kList = "generation 2 rejected (chunk list mismatch)";
  constexpr const char* kModel = "generation 2 rejected (model size/sha256 mismatch)";
  struct Row {
    const char* file;  // that is damaged
    bool removed;
    u64 generation;
    const char* cause;
  };
  for (const Row& row :
       {Row{nullptr, false, 2, nullptr}, Row{"/model.chunks", false, 1, kList},
        Row{"/model.gguf", false, 1, kModel}, Row{"/model.chunks", true, 2, nullptr}}) {
    Bundles disk("verify=require");
    disk.make(1, &kSeed, model);
    disk.make(2, nullptr, model);
    add_list(disk, model);
    if (row.file != nullptr && row.removed) files::remove(disk.generation(2) + row.file);
    if (row.file != nullptr && !row.removed) Bundles::damage(disk.generation(2) + row.file);
    REQUIRE(disk.load(disk.bundle()).has_value());
    EXPECT_EQ(loaded()->generation, row.generation);
    EXPECT(loaded()->verified.by == Verified::By::kSignature);
    if (row.cause != nullptr) EXPECT(log_says(row.cause));
    ScriptedRun run = run_commands("model verify; llm ab 3");
    EXPECT_EQ(run.failed, 0u);
    static_cast<void>(service::engine_host().unload());
    if (row.cause == nullptr) continue;
    disk.set("verify=off");  // tells, and loads it
    REQUIRE(disk.load(disk.bundle()).has_value());
    EXPECT_EQ(loaded()->generation, 2u);
    EXPECT(row.cause == kList || loaded()->verified.by == Verified::By::kNothing);
  }
}

TEST(bundle_tool, makes_lists_of_chunks_for_large_models) {
  Bundles disk("verify=require");
  std::string model(2 * kChunkBytes + 9, 'x');
  disk.make(1, &kSeed, model);
  std::string text, list;
  REQUIRE(read_file(disk.manifest_of(1), text) &&
          read_file(disk.generation(1) + "/model.chunks", list));
  EXPECT(text.find("format_version = 2\n") != text.npos &&
         text.find("\nchunk = 1048576\n") != text.npos);
  EXPECT_EQ(list.size(), 96u);
  const TrustedKey keys[] = {trusted(kSeed)};
  std::string folder = "/host" + disk.generation(1);
  EXPECT(MUST(check_bundle(folder, keys, nullptr)).finding == Finding::kGood);
  Bundles::damage(disk.generation(1) + "/model.chunks");
  EXPECT(check_bundle(folder, keys, nullptr).error().code == Errc::kCorrupt);
  files::remove(disk.generation(1) + "/model.chunks");
  EXPECT(MUST(check_bundle(folder, keys, nullptr)).finding == Finding::kGood);
}

TEST(bundle_load, what_is_used_is_what_was_checked) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  disk.make(1, &kSeed, model);
  REQUIRE(disk.load(disk.bundle()).has_value());
  ai::Lease lease = MUST(service::engine_host().lease(service::kConsoleHolder));
  u64 before = service::engine_host().weights_checksum(lease);
  {
    std::fstream file(disk.generation(1) + "/model.gguf",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.write(std::string(model.size(), 'x').data(), static_cast<i64>(model.size()));
  }
  EXPECT_EQ(service::engine_host().weights_checksum(lease), before);
}

TEST(bundle_tool, makes_keys_manifests_and_signatures) {
  std::string model = tiny_model();
  if (model.empty()) return test.skip("no tiny model: run in the root of the repository");
  Bundles disk("verify=require");
  files::create_directories(disk.generation(1));
  std::string folder = disk.generation(1), seed = disk.bundle() + "/own.seed",
              key = disk.bundle() + "/own.pub";
  ScriptedRun made = run_commands("bundle keygen " + seed + " " + key);
  EXPECT_EQ(made.failed, 0u);
  struct stat status{};
  REQUIRE(stat(seed.c_str(), &status) == 0 && status.st_size == 32);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  std::string secret;
  ASSERT(read_file(seed, secret));
  EXPECT(!made.says(secret));
  // neither file is overwritten
  EXPECT(run_commands("bundle keygen " + seed + " " + key + "2").says("is not overwritten"));
  EXPECT(run_commands("bundle keygen " + seed + "2 " + key).says("is not overwritten"));
  EXPECT(!files::exists(seed + "2"));
  EXPECT(run_commands("bundle make " + folder).says("needs one model"));
  std::ofstream(folder + "/model.gguf", std::ios::binary) << model;
  EXPECT(run_commands("bundle sign " + folder + " " + seed).failed == 1);
  EXPECT_EQ(run_commands("bundle make " + folder + "/").failed, 0u);
  EXPECT(run_commands("bundle make " + folder).says("exists and is not overwritten"));
  EXPECT(run_commands("bundle verify " + folder + " " + key).says("verified (sha256)"));
  EXPECT(run_commands("bundle sign " + folder + " " + key + "x").failed == 1);
  EXPECT_EQ(run_commands("bundle sign " + folder + " " + seed).failed, 0u);
  EXPECT(run_commands("bundle verify " + folder + " " + key).says("verified (ed25519+sha256)"));
  EXPECT_EQ(run_commands("bundle verify " + folder).failed, 1u);  // the machine trusts another key
  Bundles::damage(folder + "/model.gguf");
  EXPECT(run_commands("bundle verify " + folder + " " + key).says("SHA-256 is not that"));
  for (const char* wrong :
       {"bundle", "bundle x", "bundle make", "bundle keygen a", "bundle sign a"})
    EXPECT(run_commands(wrong).says("bundle keygen SEED PUB | make FOLDER"));
  EXPECT(run_commands("bundle make " + disk.bundle()).says("NAME/GENERATION"));
}
