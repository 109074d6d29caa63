// SPDX-License-Identifier: GPL-2.0-or-later
// A machine trusts its image's keys, the versions of trust.toml that follow, what it keeps of
// them over a restart, and what the console and /health say.
#include "service/bundle/roots.h"

#include <filesystem>
#include <fstream>

#include "ai/openai/health_field.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "service/bundle/record.h"
#include "service/bundle/trust.h"
#include "service/storage.h"
#include "service/update/file.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_mount.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::bundle;
using namespace test_bundle;
namespace files = std::filesystem;

const Seed kA = seed_of(1), kB = seed_of(2), kC = seed_of(3);

std::string key_bytes(const Seed& seed) {
  auto key = trusted(seed).key;
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

std::string log_text() {
  static char buffer[256 * 1024];
  base::BufferWriter out(buffer);
  log::replay(out, 60);
  return std::string(out.view());
}
bool log_says(std::string_view part) {
  return log_text().find(part) != std::string::npos;
}

void damage_record(std::string_view name) {
  std::string text(MUST(service::load_text("trust", name, service::StoreOn::kFixedDisk)).view());
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  MUST(service::store_text("trust", name, text, service::StoreOn::kFixedDisk));
}

// A machine whose image trusts A and B, and a stick with files. What it keeps is gone in the end.
class Machine {
 public:
  Machine() : boot_(new FewFiles("/boot", {{"a.pub", key_bytes(kA)}, {"b.pub", key_bytes(kB)}})) {
    test_threads::start();
    MUST(accept_older_trust());
    forget_trusted_keys();
  }
  ~Machine() {
    MUST(accept_older_trust());
    delete boot_;
    forget_trusted_keys();
    options::reset();
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Starts the machine again, with another image if there is one.
  void restart() { forget_trusted_keys(); }
  void restart(std::initializer_list<std::pair<const char*, std::string>> image) {
    delete boot_;
    boot_ = new FewFiles("/boot", image);
    forget_trusted_keys();
  }
  // Shows a folder with these files. Returns the version that is in force then.
  static u64 show(std::initializer_list<std::pair<const char*, std::string>> stick) {
    FewFiles files("/stick", stick);
    look_for_trust("/stick");
    return version();
  }
  static u64 version() {
    static_cast<void>(trusted_keys());
    const TrustFile* file = trust_now().file;
    return file == nullptr ? 0 : file->version;
  }

 private:
  FewFiles* boot_;
};

Finding found(const std::string& text, Use use = Use::kModel) {
  return MUST(judge(MUST(parse_manifest(text)), trusted_keys(use), {})).finding;
}

std::string kernel_manifest() {
  return "name = \"marrow\"\nformat = \"kernel\"\nversion = \"99\"\nmachine = \"" +
         std::string(service::update::this_machine()) +
         "\"\n\n[file.kernel]\npath = \"k\"\nsha256 = \"" + std::string(kHash) + "\"\nsize = 9\n";
}

// Versions 1 to 3: A is the root, then B, then C; the model's and the kernel's keys stay.
const Seed kModelKey = seed_of(11), kKernelKey = seed_of(12);
std::string version_text(u64 number, const std::string& more = "") {
  const Seed roots[] = {kA, kA, kB, kC};
  const Seed& root = roots[number];
  std::string text =
      trust_text(number, 1, {{root, "root"}, {kModelKey, "model"}, {kKernelKey, "kernel"}}, more);
  return signed_by_all(text, {roots[number - 1], root});
}

}  // namespace

TEST(bundle_roots, uses_count_once_there_is_a_trust_file) {
  Machine machine;
  std::string by_a = signed_by(manifest(), kA), by_model = signed_by(manifest(), kModelKey);
  std::string kernel = signed_by(kernel_manifest(), kKernelKey);
  std::string kernel_by_model = signed_by(kernel_manifest(), kModelKey);
  // Without a trust.toml every key of the image signs everything.
  EXPECT(found(by_a) == Finding::kGood && found(by_model) == Finding::kUnknownKey);
  EXPECT(found(signed_by(kernel_manifest(), kA), Use::kKernel) == Finding::kGood);
  EXPECT(found(kernel, Use::kKernel) == Finding::kUnknownKey);
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(1)}}), 1u);
  EXPECT(log_says("trust.toml version 1 is accepted (/stick/trust.toml)"));
  EXPECT(found(by_model) == Finding::kGood && found(by_a) == Finding::kUnknownKey);
  EXPECT(found(signed_by(manifest(), kKernelKey)) == Finding::kUnknownKey);
  EXPECT(found(kernel, Use::kKernel) == Finding::kGood);
  EXPECT(found(kernel_by_model, Use::kKernel) == Finding::kUnknownKey);
  EXPECT(found(signed_by(kernel_manifest(), kA), Use::kKernel) == Finding::kUnknownKey);
}

TEST(bundle_roots, versions_follow_and_are_kept) {
  Machine machine;
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(2)}}), 0u);
  EXPECT(log_says("trust.toml version 2 rejected: /stick/trust.toml: versions are missing"));
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(3)},
                           {"trust.2.toml", version_text(2)},
                           {"trust.1.toml", version_text(1)}}),
            3u);
  machine.restart();
  EXPECT_EQ(Machine::version(), 3u);
  EXPECT_EQ(std::string(trust_now().path), "kept by this machine");
  // an older one does not come back, nor another one of the same number
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(2)}}), 3u);
  EXPECT(log_says("trust.toml version 2 rejected: /stick/trust.toml: its version is not above"));
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(3, "epoch_floor = 9\n")}}), 3u);
  EXPECT_EQ(epoch_floor(), 0u);
  // An image with a later version of its own.
  std::string fourth = signed_by(trust_text(4, 1, {{kC, "root"}}), kC);
  machine.restart({{"a.pub", key_bytes(kA)}, {"trust.toml", fourth}});
  EXPECT_EQ(Machine::version(), 4u);
  EXPECT_EQ(std::string(trust_now().path), "/boot/trust.toml");
  // An image with a version that leads to the kept ones.
  machine.restart({{"trust.toml", version_text(2)}});
  EXPECT_EQ(Machine::version(), 3u);
}

TEST(bundle_roots, a_torn_or_older_record_loses) {
  Machine machine;
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(1)}}), 1u);
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(2)}}), 2u);
  machine.restart();
  EXPECT_EQ(Machine::version(), 2u);
  // The last record is in one of the two places.
  std::string a(
      MUST(service::load_text("trust", "versions-a", service::StoreOn::kFixedDisk)).view());
  bool last_is_a = a.find("version = 2") != std::string::npos;
  damage_record(last_is_a ? "versions-a" : "versions-b");
  machine.restart();
  EXPECT_EQ(Machine::version(), 1u);
  EXPECT(log_says("one of the two records of versions is damaged"));
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(2)}}), 2u);
  machine.restart();
  EXPECT_EQ(Machine::version(), 2u);
}

TEST(bundle_roots, a_record_adds_no_keys) {
  // whoever can write the disk writes a chain of his own
  Machine machine;
  Seed mallory = seed_of(66);
  std::string text = signed_by(trust_text(1, 1, {{mallory, "root"}}), mallory), escaped;
  for (char c : text) escaped += c == '\n' ? "\\n" : c == '"' ? "\\\"" : std::string(1, c);
  MUST(store_record("versions", "{\"versions\":[\"" + escaped + "\"]}"));
  machine.restart();
  EXPECT_EQ(Machine::version(), 0u);
  EXPECT(found(signed_by(manifest(), mallory)) != Finding::kGood);
  // it takes trust away, until a person says otherwise
  EXPECT(found(signed_by(manifest(), kA)) == Finding::kUnknownKey);
  EXPECT(log_says("no key is trusted: this machine has accepted trust.toml version 1"));
  EXPECT(run_commands("keys").says("no key is trusted: this machine has accepted"));
  EXPECT(run_commands("keys accept-older").says(id_of(kA) + "  /boot/a.pub"));
  EXPECT(found(signed_by(manifest(), kA)) == Finding::kGood);
}

TEST(bundle_roots, an_older_image_does_not_undo_what_was_accepted) {
  Machine machine;
  machine.restart({{"trust.toml", version_text(2)}});
  std::string third = version_text(3, "revoked_keys = \"" + id_of(kModelKey) + "\"\n");
  EXPECT_EQ(Machine::show({{"trust.toml", third}}), 3u);
  machine.restart({{"a.pub", key_bytes(kA)}});
  EXPECT_EQ(Machine::version(), 0u);
  // Versions 2 and 3 were kept, and the image's keys do not lead to 2.
  EXPECT_EQ(trust_now().lost_version, 3u);
  EXPECT(found(signed_by(manifest(), kModelKey)) == Finding::kRevokedKey);
  EXPECT(found(signed_by(manifest(), kA)) == Finding::kUnknownKey);
  EXPECT(found(signed_by(kernel_manifest(), kA), Use::kKernel) == Finding::kUnknownKey);
  // Nor is what was kept overwritten by what does follow, until it is as new.
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(1)}}), 1u);
  EXPECT(found(signed_by(manifest(), kModelKey)) == Finding::kRevokedKey);
  machine.restart();
  static_cast<void>(Machine::version());
  EXPECT_EQ(trust_now().lost_version, 3u);
  EXPECT_EQ(Machine::show({{"trust.toml", third},
                           {"trust.1.toml", version_text(1)},
                           {"trust.2.toml", version_text(2)}}),
            3u);
  EXPECT_EQ(trust_now().lost_version, 0u);
  machine.restart();
  EXPECT_EQ(Machine::version(), 3u);
}

TEST(bundle_roots, an_image_with_a_damaged_trust_file_trusts_nobody) {
  Machine machine;
  std::string unsigned_text = trust_text(1, 1, {{kA, "root"}});
  for (const std::string& bad :
       {unsigned_text, std::string("version = 1\n"), signed_by(unsigned_text, kB)}) {
    machine.restart({{"a.pub", key_bytes(kA)}, {"trust.toml", bad}});
    EXPECT(trusted_keys().empty());
    EXPECT(log_says("/boot/trust.toml of the image is refused, and no key is trusted"));
  }
}

TEST(bundle_roots, a_revoked_key_and_a_revoked_file_are_refused) {
  Machine machine;
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(1)}}), 1u);
  std::string old = signed_by(manifest(), kModelKey), by_a = signed_by(manifest(), kA);
  std::string plain = old.substr(0, old.find("\n[signature."));
  EXPECT(found(old) == Finding::kGood);
  std::string text = "revoked_keys = \"" + id_of(kModelKey) + " " + id_of(kA) + "\"\n";
  Seed second = seed_of(13);
  std::string next =
      trust_text(2, 1, {{kB, "root"}, {second, "model"}, {kModelKey, "model"}}, text);
  EXPECT_EQ(Machine::show({{"trust.toml", signed_by_all(next, {kA, kB})}}), 2u);
  for (const std::string& revoked : {old, plain, by_a})
    EXPECT(found(revoked) == Finding::kRevokedKey);
  // a key that is trusted excuses it, since it vouches for the same bytes
  EXPECT(found(signed_by(old, second)) == Finding::kGood);
  EXPECT(found(signed_by(kernel_manifest(), kModelKey), Use::kKernel) == Finding::kRevokedKey);
  std::string forged = old;
  forged[forged.find("size = 256") + 7] = '3';
  EXPECT(found(forged) == Finding::kBad);
  std::string file = "revoked_files = \"" + std::string(kHash) + "\"\n";
  std::string third = trust_text(3, 1, {{kB, "root"}, {second, "model"}}, file + text);
  EXPECT_EQ(Machine::show({{"trust.toml", signed_by(third, kB)}}), 3u);
  EXPECT(found(signed_by(manifest(), second)) == Finding::kRevokedFile);
  EXPECT(found(manifest()) == Finding::kRevokedFile);
  EXPECT(found(signed_by(kernel_manifest(), second), Use::kKernel) == Finding::kRevokedFile);
}

TEST(bundle_roots, health_and_keys_show_it) {
  Machine machine;
  auto health = [] {
    String text;
    base::StringWriter sink(text);
    json::Writer w(sink);
    w.begin_object();
    for (const ai::openai::HealthField* field : health_fields_rows()) field->write(w);
    w.end_object();
    return std::string(text.view());
  };
  EXPECT(health().find("trust") == std::string::npos);
  std::string more = "revoked_keys = \"" + id_of(kC) + "\"\nrevoked_files = \"" +
                     std::string(kHash) + "\"\nepoch_floor = 4\n";
  EXPECT_EQ(Machine::show({{"trust.toml", version_text(1, more)}}), 1u);
  EXPECT(health().find("\"trust\":{\"version\":1,\"threshold\":1}") != std::string::npos);
  ScriptedRun run = run_commands("keys");
  for (const std::string& part :
       {std::string("trust.toml version 1, threshold 1, /stick/trust.toml"),
        std::string("epoch_floor 4"), id_of(kA) + "  root", id_of(kModelKey) + "  model",
        id_of(kKernelKey) + "  kernel", "revoked key  " + id_of(kC),
        "revoked file  " + std::string(kHash)})
    if (!run.says(part)) test.report(__FILE__, __LINE__, part);
  EXPECT(run_commands("keys x").says("keys [accept-older]"));
}

// `model import` of a stick takes the trust.toml beside the models, whatever becomes of the model.
TEST(bundle_roots, an_import_takes_the_trust_file_of_the_stick) {
  Machine machine;
  auto import_from = [](std::initializer_list<std::pair<const char*, std::string>> stick) {
    FewFiles files("/stick", stick);
    return run_commands("model import /stick/models/tiny/7");
  };
  auto says = [&](const ScriptedRun& run, const std::string& part) {
    if (!run.says(part)) test.report(__FILE__, __LINE__, part + " is not in " + run.text);
  };
  // One step at a time: version 2 does not follow the image's keys, and is named with the cause.
  says(import_from({{"trust.toml", version_text(2)}}),
       "trust.toml of /stick (version 2) is not taken: " + std::string(step_reason(Step::kGap)));
  EXPECT_EQ(Machine::version(), 0u);
  says(import_from({{"trust.toml", version_text(2)}, {"trust.1.toml", version_text(1)}}),
       "trust.toml of /stick (version 2) is taken");
  EXPECT_EQ(Machine::version(), 2u);
  // The same one again is in force, and nothing is said.
  EXPECT(!import_from({{"trust.toml", version_text(2)}}).says("trust.toml"));
  // A second look names the cause again.
  for (u32 i = 0; i < 2; i++)
    says(import_from({{"trust.toml", version_text(1)}}),
         "(version 1) is not taken: " + std::string(step_reason(Step::kOld)));
  std::string torn = version_text(3);
  torn[10] = '?';
  says(import_from({{"trust.toml", torn}}), "(version 0) is not taken: ");
  EXPECT_EQ(Machine::version(), 2u);
  // Without a path nothing beside it is looked for.
  EXPECT(!run_commands("model import nobody").says("trust.toml"));
}

TEST(bundle_tool, rotates_and_revokes) {
  Machine machine;
  mount_host_files();
  char folder[] = "/tmp/marrow_trust_XXXXXX";
  ASSERT(mkdtemp(folder) != nullptr);
  std::string at = std::string(folder) + "/", trust = at + "trust.toml", text;
  auto save = [&](const char* name, const Seed& seed) {
    std::ofstream(at + name + ".seed", std::ios::binary)
        .write(reinterpret_cast<const char*>(seed.data()), seed.size());
    std::ofstream(at + name + ".pub", std::ios::binary) << key_bytes(seed);
  };
  save("a", kA), save("b", kB), save("m", kModelKey);
  std::string a = " " + at + "a", b = " " + at + "b", m = " " + at + "m";
  ScriptedRun first = run_commands("bundle rotate " + trust + " --root" + a + ".pub --model" + m +
                                   ".pub" + a + ".seed");
  EXPECT(first.says("is version 1: signed by 1 of its root keys, 1 must"));
  EXPECT(first.says("a key of the image must sign it as well"));
  look_for_trust("/host" + std::string(folder));
  EXPECT_EQ(Machine::version(), 1u);
  // Two keys are needed from now on; the second one signs later.
  ScriptedRun second =
      run_commands("bundle rotate " + trust + " --threshold 2 --root" + b + ".pub" + a + ".seed");
  EXPECT(
      second.says("is version 2: signed by 1 of its root keys, 2 must; by 1 of version 1, 1 must"));
  EXPECT(second.says("`bundle sign` adds a signature"));
  look_for_trust("/host" + std::string(folder));
  EXPECT_EQ(Machine::version(), 1u);
  EXPECT(log_says("too few root keys of its own have signed it"));
  EXPECT(run_commands("bundle revoke " + trust + " --key " + id_of(kModelKey) + a + ".seed")
             .says("lacks signatures"));
  EXPECT(run_commands("bundle sign " + trust + b + ".seed").says("signed by 2 of its root keys"));
  look_for_trust("/host" + std::string(folder));
  EXPECT_EQ(Machine::version(), 2u);
  EXPECT(files::exists(at + "trust.1.toml"));
  ScriptedRun revoked = run_commands("bundle revoke " + trust + " --key " + id_of(kModelKey) +
                                     " --file " + std::string(kHash) + a + ".seed" + b + ".seed");
  EXPECT_EQ(revoked.failed, 0u);
  look_for_trust("/host" + std::string(folder));
  EXPECT_EQ(Machine::version(), 3u);
  EXPECT(found(signed_by(manifest(), kModelKey)) == Finding::kRevokedFile);
  // Revoked keys and files stay so in later versions, and the floor rises only.
  EXPECT_EQ(run_commands("bundle rotate " + trust + " --epoch-floor 3 --drop " + id_of(kModelKey) +
                         a + ".seed" + b + ".seed")
                .failed,
            0u);
  ASSERT(read_file(trust, text));
  TrustFile last = MUST(parse_trust(text));
  EXPECT(last.version == 4 && last.keys.size() == 2 && last.epoch_floor == 3);
  EXPECT(last.revokes(trusted(kModelKey).id) && last.revoked_files.size() == 1);
  EXPECT(run_commands("bundle rotate " + trust + " --epoch-floor 2" + a + ".seed" + b + ".seed")
             .says("epoch_floor is not lowered"));
  EXPECT(run_commands("bundle rotate " + trust + " --threshold 9" + a + ".seed").failed == 1);
  EXPECT(run_commands("bundle revoke " + trust + a + ".seed").says("name what is revoked"));
  EXPECT(run_commands("bundle revoke " + trust + " --key x" + a + ".seed").says("16 hexadecimal"));
  EXPECT(run_commands("bundle rotate " + trust + " --key " + id_of(kA) + a + ".seed")
             .says("the words of rotate are TRUST.toml [--threshold N]"));
  EXPECT(run_commands("bundle rotate " + trust + " --threshold 1").says("secret keys that sign"));
  ASSERT(read_file(trust, text));
  EXPECT_EQ(MUST(parse_trust(text)).version, 4u);  // nothing of that was written
  files::remove_all(folder);
}
