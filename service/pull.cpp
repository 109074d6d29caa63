// SPDX-License-Identifier: GPL-2.0-or-later
// Implements pulls: one transfer, with its tries, from an address to a folder of a disk.
#include "service/pull.h"

#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/bundle/find.h"
#include "service/bundle/make.h"
#include "service/import.h"
#include "service/incoming.h"
#include "service/model_head.h"
#include "service/pull_registry.h"
#include "service/pull_source.h"

namespace service {
namespace {

constexpr Option kTries{"pull.tries", OptionKind::kNumber, "6", "1..1000",
                        "tries of `model pull` in a row that bring no byte before it gives up"};
constexpr Option kPause{"pull.pause", OptionKind::kNumber, "2", "0..3600",
                        "seconds before `model pull` tries again; they double up to a minute"};
constexpr Option kTo{"pull.to", OptionKind::kText, "", "DISK|FOLDER",
                     "disk that pulled models go to; default the one with the most space"};
KERNEL_OPTION(kTries);
KERNEL_OPTION(kPause);
KERNEL_OPTION(kTo);

constexpr usize kPieceBytes = 256 * kKiB;
constexpr u64 kNsPerSecond = 1'000'000'000, kLongestPauseNs = 60 * kNsPerSecond;
constexpr u64 kLookNs = 100'000'000;  // between two questions whether to stop
constexpr const char* kChanged =
    "the file changed on the server while it was fetched: pull it again";
constexpr const char* kWrongSize =
    "the server's file has another size than its source says: nothing was kept";
constexpr const char* kUnknownSize = "the server does not tell the file's length: copy it by hand";

// Errors of the network that another try may not meet.
bool may_pass(Errc code) {
  return code == Errc::kIo || code == Errc::kTimeout || code == Errc::kBusy;
}

// After these errors, the bytes that have come are worth nothing.
bool is_final(Errc code) {
  return code == Errc::kCorrupt || code == Errc::kFull;
}

class CheckSink final : public ProgressSink {
 public:
  explicit CheckSink(PullWatcher& watcher) : watcher_(watcher) {}
  void on_progress(u64 done, u64 total) override { watcher_.on_check(done, total); }
  bool stopped() override { return watcher_.stopped(); }

 private:
  PullWatcher& watcher_;
};

class Transfer final : public net::HttpWatcher {
 public:
  Transfer(const PullOrder& order, PullGoods& goods, PullWatcher& watcher)
      : order_(order), goods_(goods), watcher_(watcher), checking_(watcher) {}

  Result<Pulled> run();

  bool stopped() override { return watcher_.stopped(); }
  void on_redirect(const net::HttpResponseParser& answer) override;

 private:
  Result<void> learn();
  Result<void> try_to_open();
  Result<void> open(u64 from);
  Result<void> look_at_answer();
  Result<void> look_at_range(u64 from);
  Result<void> read_start();
  Result<void> make_identity();
  Result<u64> start_file();
  Result<void> begin();
  Result<void> copy();
  Result<void> copy_body(Result<void>& network);
  Result<void> go_on();
  Result<void> count_try(const Error& error, u64 taken_before);
  Result<void> pause();
  Result<void> complete();
  Result<Pulled> end(Result<void> done);

  std::span<const Byte> as_bytes(usize count) const {
    return {reinterpret_cast<const Byte*>(piece_.data()), count};
  }

  const PullOrder& order_;
  PullGoods& goods_;
  PullWatcher& watcher_;
  CheckSink checking_;
  RemoteFile remote_;
  String root_, identity_, etag_;
  base::Owner<net::HttpFetch> fetch_;
  base::Owner<Incoming> incoming_;
  Vector<char> piece_;
  usize start_bytes_ = 0;  // first bytes of the body, which piece_ has
  u64 total_ = 0, fetched_ = 0;
  u64 failures_ = 0;      // in a row
  bool linked_ = false;   // the answer to the present request named a hash
  bool changed_ = false;  // that hash is not the one that is wanted
};

// ---- the source and its answers ------------------------------------------------------------

// Hugging Face names the SHA-256 of the bytes where it sends the client to another host.
void Transfer::on_redirect(const net::HttpResponseParser& answer) {
  crypto::Sha256Digest digest{};
  if (!read_sha256(answer.header("x-linked-etag"), digest)) return;
  linked_ = true;
  if (!remote_.known) remote_.sha256 = digest;
  changed_ = digest != remote_.sha256;
  remote_.known = true;
}

Result<void> Transfer::learn() {
  remote_ = TRY(find_remote(order_.source, order_.token, *this));
  if (!order_.name.empty()) remote_.name = TRY(String::from(order_.name));
  if (bundle::name_fault(remote_.name.view()) != nullptr)
    return fail(Errc::kInvalidArgument, "this cannot be a model's name: give one with --name");
  if (order_.sha256.empty()) return {};
  crypto::Sha256Digest wanted{};
  if (!read_sha256(order_.sha256, wanted))
    return fail(Errc::kInvalidArgument, "a SHA-256 has 64 hexadecimal digits");
  if (remote_.known && remote_.sha256 != wanted)
    return fail(Errc::kCorrupt, "the source has another SHA-256 than the one that is wanted");
  remote_.known = true;
  remote_.sha256 = wanted;
  return {};
}

// Asks for the file from byte `from` on.
Result<void> Transfer::open(u64 from) {
  char range[48];
  StaticVector<base::HttpHeader, 2> headers;
  if (from > 0) {
    static_cast<void>(headers.push_back({"Range", base::format_into(range, "bytes={}-", from)}));
    if (!remote_.known) static_cast<void>(headers.push_back({"If-Range", etag_.view()}));
  }
  net::HttpCall call = pull_call(remote_.url.view());
  call.headers = headers.view();
  call.authorization = remote_.authorization.view();
  linked_ = false;
  fetch_.reset();
  fetch_ = TRY(remote_.gives_tokens ? open_with_token(call, remote_.authorization, *this)
                                    : net::HttpFetch::open(call, *this));
  if (changed_) {
    if (order_.sha256.empty() && incoming_ != nullptr) return fail(Errc::kCorrupt, kChanged);
    return fail(Errc::kCorrupt, "the server has a file with another SHA-256 than the wanted one");
  }
  return judge_status(fetch_->status());
}

// Does the first request, with its tries.
Result<void> Transfer::try_to_open() {
  for (;;) {
    Result<void> opened = open(0);
    if (opened.has_value() || !may_pass(opened.error().code)) return opened;
    TRY(count_try(opened.error(), 0));
  }
}

Result<void> Transfer::look_at_answer() {
  std::string_view coding = fetch_->header("content-encoding");
  if (!coding.empty() && coding != "identity")
    return fail(Errc::kUnsupported, "the server packs the file although nobody asked for it");
  if (fetch_->status() != 200)
    return fail(Errc::kCorrupt, "the server sends a part of the file although all was asked for");
  if (fetch_->length().has_value() && remote_.bytes != 0 && *fetch_->length() != remote_.bytes)
    return fail(Errc::kCorrupt, kWrongSize);
  total_ = fetch_->length().value_or(remote_.bytes);
  if (total_ == 0) return fail(Errc::kUnsupported, kUnknownSize);
  std::string_view etag = fetch_->header("etag");
  // A weak one does not promise the same bytes (RFC 9110, 8.8.1).
  if (!etag.starts_with("W/")) etag_ = TRY(String::from(etag));
  return {};
}

// "bytes 100-999/1000" must be what was asked for.
Result<void> Transfer::look_at_range(u64 from) {
  char wanted[80];
  if (fetch_->header("content-range") !=
      base::format_into(wanted, "bytes {}-{}/{}", from, total_ - 1, total_))
    return fail(Errc::kCorrupt, kChanged);
  return {};
}

// Reads the first bytes and refuses wrong ones before anything is written.
Result<void> Transfer::read_start() {
  ASSERT(goods_.head_bytes() <= piece_.size());
  TRY(fetch_->read_full(piece_.view().first(goods_.head_bytes()), start_bytes_));
  return goods_.judge(as_bytes(start_bytes_), total_, watcher_);
}

// ---- the disk ------------------------------------------------------------------------------

// The hash says which bytes are meant. Without one, the address, the length and the server's mark
// do.
Result<void> Transfer::make_identity() {
  identity_.clear();
  base::StringWriter out(identity_);
  crypto::Sha256Digest digest = remote_.sha256;
  if (!remote_.known) {
    String text;
    base::StringWriter all(text);
    base::format_to(all, "{}\n{}\n{}", remote_.url, total_, etag_);
    TRY(all.status());
    digest = crypto::sha256(text.view());
  }
  out.write(remote_.known ? "pull sha256 " : "pull url ");
  base::write_hex(digest, out);
  return out.status();
}

// Opens the file on the disk at its first byte. Returns how many bytes of it the disk has.
Result<u64> Transfer::start_file() {
  incoming_.reset();
  incoming_ = TRY(Incoming::begin({.shelf = goods_.shelf(),
                                   .root = root_.view(),
                                   .name = remote_.name.view(),
                                   .bytes = total_,
                                   .largest = total_,
                                   .identity = identity_.view()}));
  return incoming_->start_file(goods_.file_name(), total_);
}

// Begins the file on the disk, or goes on with what an earlier attempt left.
Result<void> Transfer::begin() {
  u64 present = TRY(start_file());
  bool can_range = remote_.known || !etag_.empty();
  if (present == 0 || !can_range) return {};
  char room[160];
  watcher_.on_note(base::format_into(room, "{} MiB are on the disk already: the rest is fetched",
                                     base::ratio(present, kMiB, 1)));
  TRY(incoming_->skip_present(&checking_));
  start_bytes_ = 0;
  fetch_.reset();
  return {};
}

// ---- the bytes -----------------------------------------------------------------------------

Result<void> Transfer::copy() {
  while (incoming_->taken() < total_) {
    u64 before = incoming_->taken();
    Result<void> network = fetch_ == nullptr ? go_on() : Result<void>{};
    if (network.has_value()) TRY(copy_body(network));
    if (network.has_value()) break;
    fetch_.reset();
    if (!may_pass(network.error().code) || incoming_ == nullptr) return network;
    TRY(count_try(network.error(), before));
  }
  if (fetch_ == nullptr || fetch_->length().has_value()) return {};
  // A body without a length must end here.
  usize more = 0;
  TRY(fetch_->read_full(piece_.view().first(1), more));
  if (more > 0) return fail(Errc::kCorrupt, kWrongSize);
  return {};
}

// Takes the bytes that come until there are enough. `network` gets the error that ends them early;
// the errors of the disk are returned.
Result<void> Transfer::copy_body(Result<void>& network) {
  while (incoming_->taken() < total_ && network.has_value()) {
    usize got = start_bytes_;
    if (got == 0) {
      u64 most = std::min<u64>(piece_.size(), total_ - incoming_->taken());
      network = fetch_->read_full(piece_.view().first(static_cast<usize>(most)), got);
      fetched_ += got;
      if (network.has_value() && got < most)
        network = fail(Errc::kIo, "the file ended before its length");
    } else {
      fetched_ += got;
    }
    start_bytes_ = 0;
    TRY(incoming_->append(as_bytes(got)));
    watcher_.on_progress(incoming_->taken(), total_);
    if (watcher_.stopped()) network = fail(Errc::kCancelled, "stopped");
    sched::yield();
  }
  return {};
}

// Asks for the rest. A server that cannot give a part sends everything again: what the disk has is
// then compared with it.
Result<void> Transfer::go_on() {
  bool can_range = remote_.known || !etag_.empty();
  u64 from = can_range ? incoming_->taken() : 0;
  TRY(open(from));
  std::string_view etag = fetch_->header("etag");
  if (!remote_.known && !etag_.empty() && etag != etag_.view())
    return fail(Errc::kCorrupt, kChanged);
  if (fetch_->status() == 206) return look_at_range(from);
  if (fetch_->length().value_or(total_) != total_) return fail(Errc::kCorrupt, kChanged);
  if (incoming_->taken() == 0) return {};
  TRY(start_file());
  return {};
}

// Tells of a failure and waits, or gives up.
Result<void> Transfer::count_try(const Error& error, u64 taken_before) {
  u64 taken = incoming_ == nullptr ? 0 : incoming_->taken();
  failures_ = taken > taken_before ? 1 : failures_ + 1;
  u64 most = options::number(kTries);
  char room[320];
  base::BufferWriter text(room);
  base::format_to(text, "{}", error);
  if (total_ > 0)
    base::format_to(text, ", after {} of {} MiB", base::ratio(taken, kMiB, 1),
                    base::ratio(total_, kMiB, 1));
  if (failures_ < most) base::format_to(text, ": trying again ({} of {})", failures_ + 1, most);
  watcher_.on_note(text.view());
  if (failures_ < most) return pause();
  return fail(error.code, taken > 0
                              ? "given up; what has come stays: the same command goes on later"
                              : "given up: check the address, the network (`ip`) and the server");
}

Result<void> Transfer::pause() {
  u64 pause_ns = options::number(kPause) * kNsPerSecond << std::min<u64>(failures_ - 1, 8);
  u64 until = timing::now_ns() + std::min(pause_ns, kLongestPauseNs);
  for (;;) {
    if (watcher_.stopped()) return fail(Errc::kCancelled, "stopped");
    u64 now = timing::now_ns();
    if (now >= until) return {};
    sched::sleep_ns(std::min(until - now, kLookNs));
  }
}

Result<void> Transfer::complete() {
  crypto::Sha256Digest digest = TRY(incoming_->end_file(&checking_));
  if (remote_.known && digest != remote_.sha256)
    return fail(Errc::kCorrupt, "these are not the bytes that were wanted (SHA-256): removed");
  watcher_.on_manifest();
  return goods_.take(*incoming_, remote_.name.view(), total_, digest);
}

// Removes what is of no use to a later attempt.
Result<Pulled> Transfer::end(Result<void> done) {
  if (done.has_value())
    return Pulled{.folder = TRY(String::from(incoming_->folder())),
                  .bytes = total_,
                  .fetched = fetched_,
                  .verified = remote_.known};
  if (incoming_ == nullptr) return std::unexpected(done.error());
  if (is_final(done.error().code)) {
    Result<void> removed = incoming_->abandon();
    if (!removed.has_value())
      log::warn("models", "{}: not removed: {}", incoming_->folder(), removed.error());
    return std::unexpected(done.error());
  }
  if (done.error().code == Errc::kCancelled)
    return fail(Errc::kCancelled, "stopped; what has come stays: the same command goes on later");
  return std::unexpected(done.error());
}

Result<Pulled> Transfer::run() {
  TRY(piece_.resize(kPieceBytes));
  TRY(learn());
  TRY(try_to_open());
  TRY(look_at_answer());
  TRY(read_start());
  watcher_.on_begin(remote_.name.view(), remote_.known ? &remote_.sha256 : nullptr, total_);
  root_ = TRY(order_.root.empty() ? goods_.choose_root(total_) : String::from(order_.root));
  if (remote_.known) {
    String there = TRY(goods_.find_present(root_.view(), remote_.name.view(), remote_.sha256));
    if (!there.empty())
      return Pulled{.folder = std::move(there), .bytes = total_, .verified = true, .present = true};
  }
  TRY(make_identity());
  failures_ = 0;
  return end([&]() -> Result<void> {
    TRY(begin());
    TRY(copy());
    return complete();
  }());
}

// ---- models --------------------------------------------------------------------------------

class ModelGoods final : public PullGoods {
 public:
  std::string_view shelf() const override { return "models"; }
  std::string_view file_name() const override { return "model.gguf"; }
  usize head_bytes() const override { return 64; }  // tell a model from a web page
  Result<void> judge(std::span<const Byte> head, u64 total, PullWatcher& watcher) override;
  Result<String> choose_root(u64 total) const override;
  Result<String> find_present(std::string_view root, std::string_view name,
                              const crypto::Sha256Digest& wanted) const override;
  Result<void> take(Incoming& incoming, std::string_view name, u64 total,
                    const crypto::Sha256Digest& digest) override;
};

Result<void> ModelGoods::judge(std::span<const Byte> head, u64, PullWatcher& watcher) {
  const char* fault = head_fault({reinterpret_cast<const char*>(head.data()), head.size()});
  if (fault == nullptr) return {};
  char room[320];
  watcher.on_note(base::format_into(room, "what the server sends {}", fault));
  return fail(Errc::kCorrupt, "this is no model: nothing was kept");
}

Result<String> ModelGoods::choose_root(u64 total) const {
  String chosen = TRY(pull_place());
  return chosen.empty() ? choose_disk(total) : std::move(chosen);
}

// The newest generation of the name counts.
Result<String> ModelGoods::find_present(std::string_view root, std::string_view name,
                                        const crypto::Sha256Digest& wanted) const {
  char room[640];
  Result<ModelFile> newest = bundle::bundle_at(base::format_into(room, "{}/models/{}", root, name));
  if (!newest.has_value()) return String();
  bundle::Bundle there = TRY(bundle::read_bundle(newest->folder.view()));
  return there.manifest.model.sha256 == wanted ? newest->folder.clone() : String();
}

Result<void> ModelGoods::take(Incoming& incoming, std::string_view name, u64 total,
                              const crypto::Sha256Digest& digest) {
  const bundle::MadeFile files[] = {{"model", file_name(), digest, total}};
  String text = TRY(bundle::manifest_text(name, incoming.generation(), "gguf", files));
  return incoming.finish(text.view());
}

}  // namespace

Result<String> pull_place() {
  std::string_view typed = options::text(kTo);
  return typed.empty() ? String() : place_of(typed);
}

Result<Pulled> pull(const PullOrder& order, PullGoods& goods, PullWatcher& watcher) {
  return Transfer(order, goods, watcher).run();
}

Result<Pulled> pull_model(const PullOrder& order, PullWatcher& watcher) {
  if (!bundle::may_load(bundle::verify_mode(), bundle::Finding::kUnsigned))
    return fail(Errc::kPermission,
                "verify=require: a pulled model has no signature; import a signed bundle");
  ModelGoods goods;
  return pull(order, goods, watcher);
}

}  // namespace service
