// SPDX-License-Identifier: GPL-2.0-or-later
// Reads arbitrary bytes as a trust file and judges it as the first one and as the one that follows.
// Whatever is accepted must be within its bounds, must be no manifest, and must not follow without
// signatures.
#include "service/bundle/manifest.h"
#include "service/bundle/trust_file.h"

namespace {

using namespace service::bundle;

void look_at(const TrustFile& file, std::string_view text) {
  ASSERT(text.size() <= kMostManifestBytes);
  ASSERT(file.version > 0 && file.threshold > 0);
  Quorum own = quorum_of(file);
  ASSERT(own.threshold <= own.keys.size() && own.keys.size() <= file.keys.size());
  for (const ListedKey& key : file.keys) ASSERT(key.id == key_id(key.key));
  for (const ListedKey& key : own.keys) ASSERT(key.use == Use::kRoot && !file.revokes(key.id));
  ASSERT(file.signed_part == text.substr(0, text.find("[signature")));
  ASSERT(!parse_manifest(text).has_value());
  // Nothing behind the signed part says anything about the keys.
  auto alone = parse_trust(file.signed_part);
  ASSERT(alone.has_value() && alone->signatures.empty() && alone->version == file.version);
  ASSERT(alone->keys.size() == file.keys.size() && alone->threshold == file.threshold);
  ASSERT(alone->revoked_keys.size() == file.revoked_keys.size());
  ASSERT(alone->revoked_files.size() == file.revoked_files.size());
}

void judge(const TrustFile& file) {
  Quorum own = quorum_of(file);
  u64 signers = MUST(count_signers(file, own));
  ASSERT(signers <= file.signatures.size());
  bool enough = signers >= own.threshold;
  ASSERT((MUST(judge_first(file)) == Step::kFollows) == enough);
  Step step = MUST(judge_step(file, file.version - 1, own));
  ASSERT(step != Step::kOld && step != Step::kGap && (step != Step::kFollows || enough));
  ASSERT(MUST(judge_step(file, file.version, own)) == Step::kOld);
  ASSERT(MUST(judge_step(file, file.version - 1, {1, {}})) != Step::kFollows);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto file = parse_trust(text);
  if (!file.has_value()) return 0;
  look_at(*file, text);
  judge(*file);
  return 0;
}
