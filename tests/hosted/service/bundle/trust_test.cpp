// SPDX-License-Identifier: GPL-2.0-or-later
// Keys that are trusted, the worth of signatures, and the table of verify=.
#include "service/bundle/trust.h"

#include "kernel/options.h"
#include "tests/hosted/service/bundle/test_bundle.h"
#include "tests/hosted/test_mount.h"

namespace {

using namespace service::bundle;
using namespace test_bundle;

// Files of a mount; keys are read anew from what is mounted, before and after.
class Files {
 public:
  Files(const char* point, std::initializer_list<std::pair<const char*, std::string>> files)
      : files_(point, files) {
    forget_trusted_keys();
  }
  ~Files() {
    forget_trusted_keys();
    options::reset();
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

 private:
  FewFiles files_;
};

std::string bytes_of(const Seed& seed) {
  auto key = trusted(seed).key;
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

Judgement judged(const std::string& text, std::span<const TrustedKey> keys, Times times = {}) {
  return MUST(judge(MUST(parse_manifest(text)), keys, times));
}

std::string without_plain(const std::string& text, const std::string& other) {
  std::string out = text;
  usize at = out.find("sig = \"") + 7;
  return out.replace(at, 128, other.substr(other.find("sig = \"") + 7, 128));
}

}  // namespace

TEST(bundle_trust, keys_come_with_the_image_and_from_nowhere_else) {
  std::string small_order(32, 0), key = bytes_of(kSeed), other = bytes_of(kOtherSeed);
  small_order[0] = 1;
  Files boot("/boot", {{"/boot/keys/site.pub", key},
                       {"/boot/keys/again.pub", key},
                       {"/boot/keys/short.pub", key.substr(1)},
                       {"/boot/keys/long.pub", key + "x"},
                       {"/boot/keys/everybody.pub", small_order},
                       {"/boot/keys/other.key", other}});
  Files disk("/disk/sda", {{"other.pub", other}});
  options::parse_command_line("trust.keys=/disk/sda/other.pub,/boot/../disk/sda/other.pub");
  forget_trusted_keys();
  std::span<const TrustedKey> keys = trusted_keys();
  REQUIRE(keys.size() == 1);
  EXPECT(keys[0].key == trusted(kSeed).key);
  EXPECT(keys[0].id == trusted(kSeed).id);
  EXPECT_EQ(keys[0].path.view(), "/boot/site.pub");
}

TEST(bundle_trust, a_signature_is_worth_what_its_key_is) {
  TrustedKey ours[] = {trusted(kSeed)}, both[] = {trusted(kOtherSeed), trusted(kSeed)};
  TrustedKey theirs[] = {trusted(kOtherSeed)};
  std::string by_us = signed_by(manifest(), kSeed);
  std::string plain = by_us.substr(0, by_us.find("\n[signature."));
  std::string by_both = signed_by(by_us, kOtherSeed);
  EXPECT(judged(manifest(), ours).finding == Finding::kUnsigned);
  for (const std::string& text : {by_us, plain, by_both}) {
    EXPECT(judged(text, ours).finding == Finding::kGood);
    EXPECT(judged(text, ours).key == trusted(kSeed).id);
    EXPECT(judged(text, both).finding == Finding::kGood);
    EXPECT(judged(text, {}).finding == Finding::kUnknownKey);
  }
  EXPECT(judged(by_us, theirs).finding == Finding::kUnknownKey);
  EXPECT(judged(plain, theirs).finding == Finding::kBad);
  EXPECT(judged(by_both, theirs).finding == Finding::kGood);
  // A good signature does not excuse a bad one, wherever it stands.
  std::string changed = by_us;
  changed[changed.find("size = 256") + 7] = '3';
  EXPECT(judged(changed, ours).finding == Finding::kBad);
  std::string mixed = without_plain(by_us, signed_by(manifest("x = 1\n"), kSeed));
  EXPECT(judged(mixed, ours).finding == Finding::kBad);
  std::string renamed = by_us;
  renamed.replace(renamed.find("[signature.") + 11, 16, id_of(kOtherSeed));
  EXPECT(judged(renamed, ours).finding == Finding::kBad);
  EXPECT(judged(renamed, theirs).finding == Finding::kBad);
  EXPECT(judged(renamed, both).finding == Finding::kBad);
}

TEST(bundle_trust, times_are_kept) {
  TrustedKey ours[] = {trusted(kSeed)};
  std::string text = signed_by(manifest("not_before = 1000\nexpires = 2000\n"), kSeed);
  struct Row {
    Times times;
    Finding finding;
  };
  const Row rows[] = {
      {{0, 0}, Finding::kGood},          {{1000, 1000}, Finding::kGood},
      {{2000, 2000}, Finding::kGood},    {{2001, 0}, Finding::kExpired},
      {{2001, 2001}, Finding::kExpired}, {{999, 999}, Finding::kExpired},
      {{999, 0}, Finding::kGood},  // without a clock, the build's date proves nothing about "not
                                   // yet"
  };
  for (const Row& row : rows) EXPECT(judged(text, ours, row.times).finding == row.finding);
  // An unsigned manifest's times are anybody's.
  EXPECT(judged(manifest("expires = 1\n"), ours, {5, 5}).finding == Finding::kUnsigned);
}

TEST(bundle_trust, the_option_decides) {
  struct Row {
    const char* option;
    bool good, unknown_key, is_unsigned, expired, bad;
  };
  const Row rows[] = {{"verify=require", true, false, false, false, false},
                      {"verify=prefer", true, true, true, true, false},
                      {"", true, true, true, true, false},
                      {"verify=off", true, true, true, true, true}};
  for (const Row& row : rows) {
    options::reset();
    options::parse_command_line(row.option);
    Mode mode = verify_mode();
    EXPECT_EQ(may_load(mode, Finding::kGood), row.good);
    EXPECT_EQ(may_load(mode, Finding::kUnknownKey), row.unknown_key);
    EXPECT_EQ(may_load(mode, Finding::kUnsigned), row.is_unsigned);
    EXPECT_EQ(may_load(mode, Finding::kExpired), row.expired);
    EXPECT_EQ(may_load(mode, Finding::kBad), row.bad);
    EXPECT_EQ(may_load(mode, Finding::kRevokedKey), row.bad);
    EXPECT_EQ(may_load(mode, Finding::kRevokedFile), row.bad);
  }
  options::reset();
}

TEST(bundle_trust, signing_again_changes_nothing_and_adds_nothing_twice) {
  std::string once = signed_by(manifest(), kSeed);
  EXPECT_EQ(signed_by(once, kSeed), once);
  std::string both = signed_by(once, kOtherSeed);
  EXPECT_EQ(signed_by(both, kOtherSeed), both);
  EXPECT(both.starts_with(once));
  EXPECT(!sign_manifest("name = 1", kSeed).has_value());
}
