// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the arrival and the removal of models on disks.
#include "service/incoming.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/base/text.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"
#include "service/bundle/find.h"

namespace service {
namespace {

constexpr usize kPieceBytes = kMiB;
// A power cut may cost this much. Each flush makes the disk write everything, so they are rare.
constexpr u64 kFlushEvery = 16 * kMiB;
constexpr u64 kSpareBytes = kMiB;  // for directories and the manifest
constexpr u64 kMostOnFat = 0xffffffff;
constexpr usize kMostIdentity = 255;

constinit const Incoming* coming_in = nullptr;
constinit u64 changed_ns = 0;

Result<String> path_in(std::string_view folder, std::string_view name) {
  String path = TRY(String::from(folder));
  TRY(path.push_back('/'));
  TRY(path.append(name));
  return path;
}

bool exists(std::string_view path) {
  return fs::stat(path).has_value();
}

// The folder may exist already.
Result<void> need_folder(std::string_view path) {
  Result<fs::FileInfo> info = fs::stat(path);
  if (info.has_value() && info->kind == fs::FileKind::kDirectory) return {};
  return fs::make_directory(path);
}

Result<void> write_text(std::string_view path, std::string_view text) {
  base::Owner<fs::File> file = TRY(fs::create(path));
  auto bytes = std::span(reinterpret_cast<const Byte*>(text.data()), text.size());
  if (TRY(file->write_at(0, bytes)) != text.size())
    return fail(Errc::kFull, "the disk is full: delete files");
  return file->flush();
}

struct Entry {
  String name;
  fs::FileInfo info;
};

class Entries final : public fs::DirectoryVisitor {
 public:
  static Result<Vector<Entry>> of(std::string_view folder) {
    Entries entries;
    TRY(fs::list(folder, entries));
    TRY(entries.status_);
    return std::move(entries.all_);
  }
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    if (!status_.has_value()) return;
    Result<String> copy = String::from(name);
    status_ = copy.has_value() ? all_.push_back({std::move(*copy), info})
                               : Result<void>(std::unexpected(copy.error()));
  }

 private:
  Vector<Entry> all_;
  Result<void> status_;
};

Result<u64> bytes_in(std::string_view folder) {
  Vector<Entry> entries = TRY(Entries::of(folder));
  u64 bytes = 0;
  for (const Entry& entry : entries)
    if (entry.name.view() != bundle::kPartialName) bytes += entry.info.size;
  return bytes;
}

std::string_view folder_of(std::string_view path) {
  return path.substr(0, std::min(path.rfind('/'), path.size()));
}

// The file system that has the longest mount point of the path.
std::string_view kind_of(std::string_view path) {
  const fs::Mount* best = nullptr;
  for (const fs::Mount& mount : fs::mounts())
    if (path.starts_with(mount.point) &&
        (best == nullptr || mount.point.size() > best->point.size()))
      best = &mount;
  return best == nullptr ? "" : best->file_system->kind();
}

}  // namespace

Result<base::Owner<Incoming>> Incoming::begin(const IncomingPlan& plan) {
  if (bundle::name_fault(plan.name) != nullptr || plan.name.contains('"'))
    return fail(Errc::kInvalidArgument, "this cannot be a model's name: choose another");
  if (plan.identity.empty() || plan.identity.size() > kMostIdentity)
    return fail(Errc::kInvalidArgument, "the identity of what comes in is missing or too long");
  if (coming_in != nullptr)
    return fail(Errc::kBusy, "another model is being copied: wait for its end, or stop it");
  if (plan.largest > kMostOnFat && kind_of(plan.root).starts_with("fat"))
    return fail(Errc::kFull, "FAT32 holds files below 4 GiB: use a disk with exFAT");
  auto incoming = TRY(base::make<Incoming>());
  coming_in = incoming.get();
  TRY(incoming->choose_folder(plan));
  TRY(incoming->need_room(plan));
  TRY(incoming->open_folder(plan));
  return incoming;
}

Incoming::~Incoming() {
  if (file_ != nullptr) static_cast<void>(file_->flush());  // it may go on from there
  if (coming_in == this) coming_in = nullptr;
}

// Looks at the generations that are there: complete ones, what is left of an attempt to bring the
// same, and what is left of others, which is removed.
Result<void> Incoming::choose_folder(const IncomingPlan& plan) {
  String shelf = TRY(path_in(plan.root, plan.shelf));
  String bundle = TRY(path_in(shelf.view(), plan.name));
  TRY(need_folder(shelf.view()));
  TRY(need_folder(bundle.view()));
  Vector<Entry> entries = TRY(Entries::of(bundle.view()));
  u64 newest = 0, same = 0;
  for (const Entry& entry : entries) {
    u64 number = bundle::generation_of(entry.name.view());
    if (number == 0) continue;
    String folder = TRY(path_in(bundle.view(), entry.name.view()));
    String manifest = TRY(path_in(folder.view(), bundle::kManifestName));
    String partial = TRY(path_in(folder.view(), bundle::kPartialName));
    Result<String> identity = fs::read_text(partial.view(), kMostIdentity);
    bool complete = exists(manifest.view());
    Vector<Entry> inside = TRY(Entries::of(folder.view()));
    if (inside.empty()) {  // the power went before anything came
      TRY(fs::remove(folder.view()));
      continue;
    }
    if (!complete && identity.has_value()) {
      if (identity->view() == plan.identity &&
          (plan.generation == 0 || plan.generation == number)) {
        same = number;
        continue;
      }
      log::info("models", "{}: what is left of an interrupted copy is removed", folder);
      TRY(remove_generation(folder.view()));
      TRY(need_folder(bundle.view()));
      continue;
    }
    if (number == plan.generation)
      return fail(Errc::kBusy, "this generation is on the disk already: it is not overwritten");
    newest = std::max(newest, number);
  }
  resumed_ = same != 0;
  generation_ = plan.generation != 0 ? plan.generation : resumed_ ? same : newest + 1;
  char number[24];
  folder_ = TRY(path_in(bundle.view(), base::format_into(number, "{}", generation_)));
  return {};
}

Result<void> Incoming::need_room(const IncomingPlan& plan) const {
  Result<fs::Space> space = fs::space(plan.root);
  if (!space.has_value()) return {};  // the file system does not know
  u64 present = resumed_ ? TRY(bytes_in(folder_.view())) : 0;
  u64 needed = plan.bytes + kSpareBytes - std::min(present, plan.bytes);
  if (needed <= space->free) return {};
  // The folder of the name goes if it is empty.
  static_cast<void>(fs::remove(folder_of(folder_.view())));
  log::warn("models", "{}: {} MiB are needed, {} MiB are free", plan.root,
            base::ratio(needed, kMiB, 1), base::ratio(space->free, kMiB, 1));
  return fail(Errc::kFull, "too little space on the disk: remove models (`model remove NAME`)");
}

Result<void> Incoming::open_folder(const IncomingPlan& plan) {
  TRY(need_folder(folder_.view()));
  String partial = TRY(path_in(folder_.view(), bundle::kPartialName));
  return resumed_ ? Result<void>{} : write_text(partial.view(), plan.identity);
}

Result<u64> Incoming::start_file(std::string_view name, u64 bytes) {
  ASSERT(file_ == nullptr);
  if (bundle::name_fault(name) != nullptr)
    return fail(Errc::kInvalidArgument, "this cannot be the name of a model's file");
  path_ = TRY(path_in(folder_.view(), name));
  Result<base::Owner<fs::File>> old = fs::open(path_.view());
  file_ = old.has_value() ? std::move(*old) : TRY(fs::create(path_.view()));
  bytes_ = bytes;
  present_ = file_->size() <= bytes ? file_->size() : 0;
  at_ = unflushed_ = 0;
  sha_ = fast_sha256();
  return present_;
}

Result<void> Incoming::skip_present(ProgressSink* watcher) {
  Vector<Byte> piece;
  TRY(piece.resize(kPieceBytes));
  while (at_ < present_) {
    usize part = static_cast<usize>(std::min<u64>(piece.size(), present_ - at_));
    auto here = piece.view().first(part);
    if (TRY(file_->read_at(at_, here)) != part)
      return fail(Errc::kIo, "the disk returns less than it was given: use another disk");
    sha_.update(here);
    at_ += part;
    if (watcher != nullptr) watcher->on_progress(at_, bytes_);
    if (watcher != nullptr && watcher->stopped()) return fail(Errc::kCancelled, "stopped");
    sched::yield();
  }
  return {};
}

// Compares the next bytes with those on the disk. Returns how many are equal.
Result<usize> Incoming::compare_present(std::span<const Byte> bytes) {
  usize part = static_cast<usize>(std::min<u64>(bytes.size(), present_ - at_));
  Vector<Byte> there;
  TRY(there.resize(part));
  if (TRY(file_->read_at(at_, there.view())) != part)
    return fail(Errc::kIo, "the disk returns less than it was given: use another disk");
  auto [mine, other] = std::ranges::mismatch(bytes.first(part), there.view());
  auto equal = static_cast<usize>(mine - bytes.begin());
  if (equal == part) return part;
  TRY(file_->truncate(at_ + equal));
  present_ = at_ + equal;
  return equal;
}

Result<void> Incoming::append(std::span<const Byte> bytes) {
  ASSERT(file_ != nullptr);
  if (bytes.size() > bytes_ - at_)
    return fail(Errc::kCorrupt, "the model's file is longer than was said: get it again");
  sha_.update(bytes);
  if (at_ < present_) {
    usize equal = TRY(compare_present(bytes));
    at_ += equal;
    bytes = bytes.subspan(equal);
  }
  if (!bytes.empty()) {
    if (TRY(file_->write_at(at_, bytes)) != bytes.size())
      return fail(Errc::kFull, "the disk is full: delete files");
    at_ += bytes.size();
    unflushed_ += bytes.size();
  }
  if (unflushed_ < kFlushEvery) return {};
  unflushed_ = 0;
  return file_->flush();
}

Result<crypto::Sha256Digest> Incoming::end_file(ProgressSink* watcher) {
  ASSERT(file_ != nullptr);
  if (at_ != bytes_)
    return fail(Errc::kCorrupt, "the model's file is shorter than was said: get it again");
  // A longer file of an earlier attempt.
  if (file_->size() > bytes_) TRY(file_->truncate(bytes_));
  TRY(file_->flush());
  file_.reset();
  crypto::Sha256Digest given = sha_.finish();
  // Opened again, so that the directory's word counts, too.
  file_ = TRY(fs::open(path_.view()));
  if (file_->size() != bytes_)
    return fail(Errc::kIo, "the disk returns less than it was given: use another disk");
  at_ = 0;
  present_ = bytes_;
  sha_ = fast_sha256();
  TRY(skip_present(watcher));
  file_.reset();
  crypto::Sha256Digest kept = sha_.finish();
  if (kept != given)
    return fail(Errc::kCorrupt, "the disk returns other bytes than it was given: use another disk");
  return kept;
}

Result<void> Incoming::finish(std::string_view manifest) {
  ASSERT(file_ == nullptr);
  TRY(bundle::parse_manifest(manifest));
  String path = TRY(path_in(folder_.view(), bundle::kManifestName));
  TRY(write_text(path.view(), manifest));
  changed_ns = timing::now_ns();
  // The manifest counts: the mark may stay if the power goes here.
  String partial = TRY(path_in(folder_.view(), bundle::kPartialName));
  return fs::remove(partial.view());
}

Result<void> Incoming::abandon() {
  file_.reset();
  if (coming_in == this) coming_in = nullptr;
  return remove_generation(folder_.view());
}

Result<void> remove_generation(std::string_view folder) {
  if (bundle::generation_of(base::base_name(folder)) == 0)
    return fail(Errc::kInvalidArgument, "this is no generation of a bundle");
  if (coming_in != nullptr && coming_in->folder() == folder)
    return fail(Errc::kBusy, "the model is being copied: stop that first");
  Vector<Entry> entries = TRY(Entries::of(folder));
  // Without its manifest it is not seen any more; with its mark the next attempt removes the rest.
  for (std::string_view turn : {bundle::kManifestName, std::string_view(), bundle::kPartialName}) {
    for (const Entry& entry : entries) {
      std::string_view name = entry.name.view();
      bool special = name == bundle::kManifestName || name == bundle::kPartialName;
      if (special ? name != turn : !turn.empty()) continue;
      String path = TRY(path_in(folder, name));
      TRY(fs::remove(path.view()));
    }
  }
  TRY(fs::remove(folder));
  changed_ns = timing::now_ns();
  // Other generations may be there.
  static_cast<void>(fs::remove(folder_of(folder)));
  return {};
}

u64 bundles_changed_ns() {
  return changed_ns;
}

Result<void> find_partial(std::string_view root, Vector<PartialModel>& out) {
  String models = TRY(path_in(root, "models"));
  if (!exists(models.view())) return {};
  Vector<Entry> bundles = TRY(Entries::of(models.view()));
  for (const Entry& bundle : bundles) {
    if (bundle.info.kind != fs::FileKind::kDirectory) continue;
    String path = TRY(path_in(models.view(), bundle.name.view()));
    Vector<Entry> generations = TRY(Entries::of(path.view()));
    for (const Entry& entry : generations) {
      u64 number = bundle::generation_of(entry.name.view());
      if (number == 0 || entry.info.kind != fs::FileKind::kDirectory) continue;
      String folder = TRY(path_in(path.view(), entry.name.view()));
      String manifest = TRY(path_in(folder.view(), bundle::kManifestName));
      String partial = TRY(path_in(folder.view(), bundle::kPartialName));
      if (exists(manifest.view()) || !exists(partial.view())) continue;
      PartialModel found;
      found.bytes = TRY(bytes_in(folder.view()));
      found.name = TRY(bundle.name.clone());
      found.folder = std::move(folder);
      found.generation = number;
      TRY(out.push_back(std::move(found)));
    }
  }
  return {};
}

}  // namespace service
