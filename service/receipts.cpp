// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the key that signs receipts, and hashes loaded models.
#include "service/receipts.h"

#include "ai/byte_stream.h"
#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/wipe.h"
#include "kernel/crypto/entropy.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched/context.h"
#include "service/engine_host.h"
#include "service/fast_hash.h"
#include "service/storage.h"

namespace service {
namespace {

constexpr Option kKey{"receipts.key", OptionKind::kText, "", "PATH",
                      "file of the key that signs receipts; made there when it does not exist"};
KERNEL_OPTION(kKey);

constexpr std::string_view kDrawer = "receipts", kName = "key";
constexpr usize kStackBytes = 64 * kKiB;

// ---- the key --------------------------------------------------------------------------------

using Seed = std::array<Byte, crypto::kEd25519SeedBytes>;

struct Key {
  bool open = false;
  Seed seed{};
  crypto::Ed25519PublicKey key{};
  String place;
};
Key& the_key() {
  static constinit Key key;
  return key;
}

// The text that is kept: {"ed25519_seed": 64 hexadecimal digits}.
constexpr std::string_view kSeedField = "ed25519_seed";

Result<void> read_seed(std::string_view text, Seed& out) {
  json::Document document = TRY(json::Document::parse(text));
  std::string_view digits = document.root().find(kSeedField).text();
  if (base::read_hex(digits, out)) return {};
  return fail(Errc::kCorrupt,
              "the file of the receipts' key is damaged: remove it, and a new key is made");
}

Result<void> write_seed(const Seed& seed, base::Wiped<String>& out) {
  TRY(out.reserve(128));  // reserved at once, or the text would move and leave a copy behind
  TRY(out.append("{\""));
  TRY(out.append(kSeedField));
  TRY(out.append("\":\""));
  for (Byte byte : seed) {
    std::array<char, 2> digits = base::hex_digits(byte);
    TRY(out.append({digits.data(), digits.size()}));
  }
  return out.append("\"}\n");
}

Result<String> keep_seed(std::string_view path, std::string_view text) {
  if (path.empty()) return store_text(kDrawer, kName, text, StoreOn::kFixedDisk);
  base::Owner<fs::File> file = TRY(fs::create_private(path));
  usize written = TRY(file->write_at(0, {reinterpret_cast<const Byte*>(text.data()), text.size()}));
  if (written != text.size()) return fail(Errc::kFull, "the disk is full: delete files");
  TRY(file->flush());
  return String::from(path);
}

Result<void> make_seed(std::string_view path, Key& key) {
  TRY(crypto::entropy(key.seed));
  base::Wiped<String> text;
  TRY(write_seed(key.seed, text));
  key.place = TRY(keep_seed(path, text.view()));
  return {};
}

Result<void> read_or_make(Key& key) {
  std::string_view path = options::text(kKey);
  Result<String> kept =
      path.empty() ? load_text(kDrawer, kName, StoreOn::kFixedDisk) : load_text(kDrawer, path);
  if (!kept.has_value() && kept.error().code != Errc::kNotFound)
    return std::unexpected(kept.error());
  if (!kept.has_value()) {
    TRY(make_seed(path, key));
  } else {
    Result<void> read = read_seed(kept->view(), key.seed);
    base::wipe(*kept);
    TRY(read);
    TRY(key.place.assign(path.empty() ? "the one kept from an earlier start" : path));
  }
  key.key = TRY(crypto::ed25519_public_key(key.seed));
  return {};
}

// ---- the hashes -----------------------------------------------------------------------------

struct ModelHash {
  u64 load_number = 0;
  bool known = false, running = false;
  crypto::Sha256Digest digest{};
  Error problem{Errc::kIo, nullptr};  // set if hashing failed
};
Vector<ModelHash>& hashes() {
  static constinit Vector<ModelHash> all;
  return all;
}

ModelHash* find_hash(u64 load_number) {
  for (ModelHash& hash : hashes())
    if (hash.load_number == load_number) return &hash;
  return nullptr;
}

// Returns the row of this load. Rows of models that have gone are dropped.
Result<ModelHash*> row_of(u64 load_number) {
  for (usize i = hashes().size(); i-- > 0;)
    if (!hashes()[i].running && !engine_host().is_loaded(hashes()[i].load_number))
      hashes().erase(i);
  if (ModelHash* known = find_hash(load_number); known != nullptr) return known;
  TRY(hashes().push_back({.load_number = load_number}));
  return &hashes().back();
}

class Hasher final : public ai::ByteSink {
 public:
  Hasher(ProgressSink* watcher, u64 total) : watcher_(watcher), total_(total) {}
  Result<void> write(std::span<const Byte> bytes) override {
    sha_.update(bytes);
    done_ += bytes.size();
    if (watcher_ == nullptr) return {};
    watcher_->on_progress(done_, total_);
    return watcher_->stopped() ? fail(Errc::kCancelled, "stopped") : Result<void>();
  }
  crypto::Sha256Digest finish() { return sha_.finish(); }

 private:
  ProgressSink* watcher_;
  u64 total_, done_ = 0;
  crypto::Sha256By sha_ = fast_sha256();
};

Result<crypto::Sha256Digest> compute(const ai::Lease& lease, ProgressSink* watcher) {
  u32 parts = engine_host().file(lease).parts;
  Hasher hasher(watcher, engine_host().file(lease).bytes);
  for (u32 i = 0; i < parts; i++) TRY(engine_host().write_original(lease, i, hasher));
  return hasher.finish();
}

// The work of the thread "model-hash", which owns it.
struct Hashing {
  ai::Lease lease;
  void (*news)() = nullptr;
};

void hash_in_background(void* argument) {
  base::Owner<Hashing> job(static_cast<Hashing*>(argument));
  Result<crypto::Sha256Digest> digest = compute(job->lease, nullptr);
  ModelHash* row = find_hash(job->lease.load_number());
  row->running = false;
  row->known = digest.has_value();
  if (digest.has_value())
    row->digest = *digest;
  else
    row->problem = digest.error();
  void (*news)() = job->news;
  job.reset();
  news();
}

Result<void> begin_hashing(const ai::Lease& lease, void (*news)(), ModelHash& row) {
  auto job = TRY(base::make<Hashing>());
  job->lease = TRY(engine_host().lease(kRequestHolder, lease.model()));
  job->news = news;
  TRY(sched::spawn("model-hash", hash_in_background, job.get(), kStackBytes));
  (void)job.release();  // the thread has it
  row.running = true;
  return {};
}

}  // namespace

Result<void> open_receipt_key() {
  sched::assert_thread();
  if (the_key().open) return {};
  Key key;
  Result<void> done = read_or_make(key);
  Key& kept = the_key();
  if (done.has_value() && !kept.open) {
    kept.seed = key.seed, kept.key = key.key;
    kept.place = std::move(key.place);
    kept.open = true;
  }
  base::wipe(std::span<Byte>(key.seed));
  return done;
}

const crypto::Ed25519PublicKey* receipt_key() {
  return the_key().open ? &the_key().key : nullptr;
}

std::string_view receipt_key_place() {
  return the_key().place.view();
}

Result<crypto::Ed25519Signature> sign_receipt(std::span<const Byte> message) {
  if (!the_key().open) return fail(Errc::kNotFound, "this machine has no key to sign receipts");
  return crypto::ed25519_sign(the_key().seed, message);
}

void forget_receipt_key() {
  base::wipe(std::span<Byte>(the_key().seed));
  the_key().open = false;
}

Result<crypto::Sha256Digest> hash_model(const ai::Lease& lease, ProgressSink* watcher) {
  sched::assert_thread();
  if (ModelHash* row = find_hash(lease.load_number()); row != nullptr && row->known)
    return row->digest;
  crypto::Sha256Digest digest = TRY(compute(lease, watcher));
  ModelHash* row = TRY(row_of(lease.load_number()));
  row->digest = digest;
  row->known = true;
  return digest;
}

const crypto::Sha256Digest* computed_model_hash(u64 load_number) {
  const ModelHash* row = find_hash(load_number);
  return row != nullptr && row->known ? &row->digest : nullptr;
}

Result<const crypto::Sha256Digest*> known_model_hash(const ai::Lease& lease, void (*news)()) {
  ModelHash& row = *TRY(row_of(lease.load_number()));
  if (row.known) return &row.digest;
  if (row.running) return nullptr;
  if (row.problem.what != nullptr) {
    Error problem = row.problem;
    row.problem.what = nullptr;  // whoever asks next tries again
    return std::unexpected(problem);
  }
  TRY(begin_hashing(lease, news, row));
  return nullptr;
}

}  // namespace service
