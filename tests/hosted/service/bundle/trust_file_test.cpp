// SPDX-License-Identifier: GPL-2.0-or-later
// Trust files: what is read, which version may follow which, and what is refused.
#include "service/bundle/trust_file.h"

#include "service/bundle/manifest.h"
#include "service/bundle/trust.h"
#include "tests/hosted/service/bundle/test_bundle.h"

namespace {

using namespace service::bundle;
using namespace test_bundle;

const Seed kA = seed_of(1), kB = seed_of(2), kC = seed_of(3), kD = seed_of(4);

std::string replaced(std::string text, std::string_view part, std::string_view by) {
  usize at = text.find(part);
  ASSERT(at != text.npos);
  return text.replace(at, part.size(), by);
}

Quorum quorum(u64 threshold, std::initializer_list<Seed> seeds) {
  Quorum out{threshold, {}};
  for (const Seed& seed : seeds) {
    TrustedKey key = trusted(seed);
    ASSERT(out.keys.push_back({key.id, key.key, Use::kRoot}));
  }
  return out;
}

Step step(const std::string& text, u64 now, const Quorum& before) {
  return MUST(judge_step(MUST(parse_trust(text)), now, before));
}

}  // namespace

TEST(bundle_trust_file, tells_what_keys_are_for) {
  std::string revoked = "revoked_keys = \"" + id_of(kC) + " " + id_of(kD) +
                        "\"\nrevoked_files = \"" + std::string(kHash) +
                        "\"\nepoch_floor = 5\nfuture = 1\n";
  std::string text = trust_text(3, 1, {{kA, "root"}, {kB, "model"}, {kC, "kernel"}}, revoked);
  text += "\n[future.table]\nx = 1\n";
  std::string whole = signed_by(text, kA);
  auto read = parse_trust(whole);
  REQUIRE(read.has_value());
  EXPECT_EQ(read->version, 3u);
  EXPECT_EQ(read->threshold, 1u);
  EXPECT_EQ(read->epoch_floor, 5u);
  REQUIRE(read->keys.size() == 3);
  EXPECT(read->keys[1].id == trusted(kB).id && read->keys[1].key == trusted(kB).key);
  EXPECT(read->keys[0].use == Use::kRoot && read->keys[1].use == Use::kModel);
  EXPECT(read->keys[2].use == Use::kKernel);
  EXPECT(read->revokes(trusted(kC).id) && read->revokes(trusted(kD).id));
  EXPECT(!read->revokes(trusted(kA).id));
  crypto::Sha256Digest file;
  ASSERT(unhex(kHash, file));
  EXPECT(read->revokes(file));
  file[31] ^= 1;
  EXPECT(!read->revokes(file));
  EXPECT_EQ(read->signed_part, text + "\n");
  EXPECT_EQ(read->signatures.size(), 2u);
}

TEST(bundle_trust_file, is_no_manifest_and_no_manifest_is_one) {
  std::string trust = trust_text(1, 1, {{kA, "root"}});
  EXPECT(parse_trust(trust).has_value() && !parse_manifest(trust).has_value());
  EXPECT(parse_manifest(manifest()).has_value() && !parse_trust(manifest()).has_value());
  // Not even a text that has the keys of both.
  usize table = trust.find("\n[");
  std::string top = trust.substr(0, table), keys = trust.substr(table);
  std::string both = top + manifest() + keys,
              files = trust + manifest().substr(manifest().find("\n["));
  for (const std::string& text : {both, files, manifest("version = 1\nthreshold = 1\n") + keys,
                                  manifest("version = \"1\"\nthreshold = 1\n") + keys})
    EXPECT(!parse_trust(text).has_value());
  for (const std::string& text : {both, files, manifest("version = 1\nthreshold = 1\n") + keys})
    EXPECT(!parse_manifest(text).has_value());
  EXPECT(!parse_trust(trust + "[file.kernel]\n").has_value());
}

TEST(bundle_trust_file, refuses_what_could_not_be_followed) {
  std::string text = trust_text(2, 1, {{kA, "root"}, {kB, "model"}},
                                "revoked_keys = \"" + id_of(kC) + "\"\nepoch_floor = 1\n");
  REQUIRE(parse_trust(text).has_value());
  std::string point(64, '0');  // of small order
  struct Row {
    std::string part, by;
  };
  const Row rows[] = {
      {"version = 2", "version = 0"},
      {"version = 2", "version = \"2\""},
      {"version = 2", "version = 18446744073709551616"},
      {"version = 2\n", ""},
      {"threshold = 1", "threshold = 0"},
      {"threshold = 1", "threshold = 2"},  // a model's key is no root
      {"threshold = 1\n", ""},
      {"epoch_floor = 1", "epoch_floor = -1"},
      {"epoch_floor = 1", "epoch_floor = 1\nepoch_floor = 1"},
      {id_of(kC), id_of(kC) + " " + id_of(kC)},
      {id_of(kC), id_of(kC) + "0"},
      {id_of(kC), id_of(kC) + "," + id_of(kD)},
      {id_of(kC), id_of(kA)},  // the only root key
      {"revoked_keys", "revoked_files"},
      {"\"root\"", "\"model\""},
      {"\"root\"", "\"Root\""},
      {"\"root\"", "\"\""},
      {"\"root\"", "1"},
      {"use = \"root\"\n", ""},
      {"pub", "pup"},
      {"[key." + id_of(kA), "[key." + id_of(kB)},
      {"[key." + id_of(kA), "[key." + id_of(kD)},  // not the id of its pub
      {"[key." + id_of(kA), "[key.0" + id_of(kA)},
      {"[key." + id_of(kA) + "]", "[key.]"},
      {hex_of(trusted(kA).key), hex_of(trusted(kB).key)},
      {hex_of(trusted(kA).key), point},
  };
  for (const Row& row : rows) {
    std::string bad = replaced(text, row.part, row.by);
    if (parse_trust(bad).has_value()) test.report(__FILE__, __LINE__, bad);
  }
  crypto::Ed25519PublicKey small{};
  std::string ours =
      replaced(replaced(text, id_of(kA), hex_of(key_id(small))), hex_of(trusted(kA).key), point);
  EXPECT(std::string_view(parse_trust(ours).error().what).contains("no public key of Ed25519"));
}

TEST(bundle_trust_file, a_version_needs_both_thresholds_one_step_at_a_time) {
  // version 1: two of A, B, C; version 2: two of B, C, D
  Quorum before = quorum(2, {kA, kB, kC});
  std::string next = trust_text(2, 2, {{kB, "root"}, {kC, "root"}, {kD, "root"}, {kA, "model"}});
  EXPECT(step(signed_by_all(next, {kB, kC}), 1, before) == Step::kFollows);
  EXPECT(step(signed_by_all(next, {kA, kB, kD}), 1, before) == Step::kFollows);
  EXPECT(step(next, 1, before) == Step::kOldQuorum);
  EXPECT(step(signed_by_all(next, {kB}), 1, before) == Step::kOldQuorum);
  EXPECT(step(signed_by_all(next, {kD, kB}), 1, before) == Step::kOldQuorum);
  EXPECT(step(signed_by_all(next, {kA, kB}), 1, before) == Step::kOwnQuorum);
  EXPECT(step(signed_by_all(next, {kB, kC}), 2, before) == Step::kOld);
  EXPECT(step(signed_by_all(next, {kB, kC}), 3, before) == Step::kOld);
  EXPECT(step(signed_by_all(next, {kB, kC}), 0, before) == Step::kGap);
  EXPECT(step(signed_by_all(trust_text(~u64{0}, 1, {{kA, "root"}}), {kA, kB}), 0, before) ==
         Step::kGap);
  Seed nobody = seed_of(9);
  EXPECT(step(signed_by_all(next, {kB, kC, nobody}), 1, before) == Step::kUnknownKey);
  EXPECT(step(signed_by_all(next, {nobody}), 1, before) == Step::kUnknownKey);
  // a key of another use is no root key
  std::string model = trust_text(2, 1, {{kA, "root"}, {kD, "model"}});
  EXPECT(step(signed_by_all(model, {kA, kD}), 1, quorum(1, {kA})) == Step::kUnknownKey);
  // a key that this version revokes signs for the version before, and not for its own
  std::string revoking =
      trust_text(2, 1, {{kA, "root"}, {kB, "root"}}, "revoked_keys = \"" + id_of(kA) + "\"\n");
  EXPECT(step(signed_by_all(revoking, {kA}), 1, quorum(1, {kA})) == Step::kOwnQuorum);
  EXPECT(step(signed_by_all(revoking, {kA, kB}), 1, quorum(1, {kA})) == Step::kFollows);
  // without keys nobody decides
  EXPECT(step(signed_by_all(revoking, {kB}), 1, quorum(1, {})) == Step::kOldQuorum);
  // an image's own file is judged by its own keys, whoever else has signed it
  TrustFile first = MUST(parse_trust(next));
  EXPECT(MUST(judge_first(first)) == Step::kOwnQuorum);
  std::string good = signed_by_all(next, {kB, nobody, kC});
  EXPECT(MUST(judge_first(MUST(parse_trust(good)))) == Step::kFollows);
}

TEST(bundle_trust_file, a_key_counts_once) {
  std::string next = trust_text(2, 2, {{kA, "root"}, {kB, "root"}});
  Quorum before = quorum(2, {kA, kB});
  std::string once = signed_by(next, kA);  // [signature] and [signature.A]
  EXPECT(step(once, 1, before) == Step::kOldQuorum);
  EXPECT_EQ(MUST(count_signers(MUST(parse_trust(once)), before)), 1u);
  std::string table = once.substr(once.find("[signature."));
  EXPECT(!parse_trust(once + "\n" + table).has_value());
  // nor does it count under the name of another
  std::string renamed = once + "\n" + replaced(table, id_of(kA), id_of(kB));
  EXPECT(step(renamed, 1, before) == Step::kBadSignature);
  EXPECT(step(signed_by(once, kB), 1, before) == Step::kFollows);
}
