// SPDX-License-Identifier: GPL-2.0-or-later
// Searches the disks for model files.
#include "service/model_store.h"

#include <algorithm>

#include "kernel/base/bytes.h"
#include "kernel/base/format.h"
#include "kernel/base/nearest.h"
#include "kernel/base/text.h"
#include "kernel/fs/disks.h"
#include "kernel/log.h"
#include "kernel/options.h"
#include "kernel/time/clock.h"
#include "service/bundle/find.h"
#include "service/host_path.h"
#include "service/model_head.h"
#include "service/pull.h"

namespace service {
namespace {

constexpr Option kModel{"model", OptionKind::kText, "", "NAME|PATH",
                        "the model to load; the first one found by default"};
KERNEL_OPTION(kModel);
constexpr std::string_view kExtension = ".gguf";
constexpr std::string_view kBootMount = "/boot", kHostMount = "/host";
constexpr u32 kMostParts = 99999;

// Parses "name-00002-of-00005.gguf" into part and count. Any other name is {1, 1}.
struct Part {
  u32 number = 1, of = 1;
  usize digits_at = 0;  // index of the digits in the name
};
Part part_of(std::string_view name) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (name.size() <= kPattern.size()) return {};
  usize start = name.size() - kPattern.size();
  Part part{0, 0, start + 1};
  for (usize i = 0; i < kPattern.size(); i++) {
    char c = name[start + i];
    if (kPattern[i] != '0') {
      if (c != kPattern[i]) return {};
      continue;
    }
    if (c < '0' || c > '9') return {};
    u32& number = i < 7 ? part.number : part.of;
    number = number * 10 + static_cast<u32>(c - '0');
  }
  return part.number >= 1 && part.number <= part.of ? part : Part{};
}

// Returns true for "tok512.bin" and "tokenizer.bin", which belong to a checkpoint.
bool is_tokenizer(std::string_view name) {
  if (name == "tokenizer.bin") return true;
  if (!name.starts_with("tok") || !name.ends_with(".bin")) return false;
  std::string_view digits = name.substr(3, name.size() - 7);
  return std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Returns the vocabulary size of a llama2.c checkpoint: the sixth number of its header, which is
// negative when the output matrix is separate. Returns 0 for a GGUF, whatever its name.
Result<u32> checkpoint_vocabulary(std::string_view path) {
  constexpr i32 kMagic = 0x616b3432;  // "ak42": a header with a version follows
  base::Owner<fs::File> file = TRY(fs::open(path));
  Byte head[32] = {};
  usize n = TRY(file->read_at(0, head));
  if (n < sizeof head || std::memcmp(head, "GGUF", 4) == 0) return 0;
  bool marked = base::load<i32>(head) == kMagic;
  i32 value = base::load<i32>(head + (marked ? 28 : 20));
  return value < 0 ? 0 - static_cast<u32>(value) : static_cast<u32>(value);
}

// Adds the tokenizer beside a checkpoint as its second part. Without such a file the tokenizer may
// follow the weights, where the engine finds it.
Result<void> add_tokenizer(ModelFile& file) {
  u32 vocabulary = TRY(checkpoint_vocabulary(file.path.view()));
  if (vocabulary == 0) return {};
  std::string_view path = file.path.view();
  std::string_view directory = path.substr(0, path.size() - base::base_name(path).size());
  char own[512], common[512];
  for (std::string_view beside : {base::format_into(own, "{}tok{}.bin", directory, vocabulary),
                                  base::format_into(common, "{}tokenizer.bin", directory)}) {
    Result<fs::FileInfo> info = fs::stat(beside);
    if (!info.has_value() || info->kind != fs::FileKind::kFile) continue;
    file.tokenizer = TRY(String::from(beside));
    file.bytes += info->size;
    file.parts = 2;
    break;
  }
  return {};
}

// Returns what is wrong with the file, or null. A GGUF is recognized by its first bytes. A llama2.c
// checkpoint has no magic number, so its name decides.
const char* fault_of(std::string_view path) {
  if (path.ends_with(".bin")) return nullptr;
  Result<base::Owner<fs::File>> file = fs::open(path);
  if (!file.has_value()) return "cannot be opened";
  Byte head[32] = {};
  Result<usize> n = (*file)->read_at(0, head);
  if (!n.has_value()) return "cannot be read: its disk gives an error";
  return head_fault({reinterpret_cast<const char*>(head), *n});
}

Result<ModelFile> describe(std::string_view path) {
  fs::FileInfo info = TRY(fs::stat(path));
  if (info.kind != fs::FileKind::kFile)
    return fail(Errc::kNotFound, "no such model file: check the path");
  ModelFile file;
  std::string_view name = base::base_name(path);
  Part part = part_of(name);
  if (name.ends_with(kExtension)) name.remove_suffix(kExtension.size());
  if (part.of > 1) name = name.substr(0, part.digits_at - 1);
  file.name = TRY(String::from(name));
  file.path = TRY(String::from(path));
  file.bytes = info.size;
  file.parts = part.of;
  for (u32 i = 1; i < part.of; i++) {
    String other = TRY(part_path(file, i));
    fs::FileInfo more = TRY(fs::stat(other.view()));
    file.bytes += more.size;
  }
  if (name.ends_with(".bin")) TRY(add_tokenizer(file));
  return file;
}

bool is_of_host(std::string_view path) {
  return path.starts_with(kHostMount) && path.substr(kHostMount.size()).starts_with('/');
}

class Finder final : public fs::DirectoryVisitor {
 public:
  Finder(Vector<ModelFile>& out, Vector<BrokenModel>* broken) : out_(out), broken_(broken) {}

  void search(std::string_view mount, std::string_view directory) {
    char path[512];  // on_entry() reads it while list() runs
    directory_ = base::format_into(path, "{}{}", mount, directory);
    first_ = out_.size();
    // If there is no such directory or the disk is unreadable, the file system has logged it.
    static_cast<void>(fs::list(directory_, *this));
  }

  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    bool named = name.ends_with(kExtension) || name.ends_with(".bin");
    bool module = directory_ == kBootMount;  // the loader may have dropped its name
    if (info.kind != fs::FileKind::kFile || !(named || module)) return;
    if (is_tokenizer(name) || part_of(name).number > 1) return;
    char buffer[512];
    std::string_view path = base::format_into(buffer, "{}/{}", directory_, name);
    if (const char* fault = fault_of(path); fault != nullptr) {
      if (named) note(path, fault);
      return;
    }
    Result<ModelFile> file = describe(path);
    if (!file.has_value()) {
      log::warn("models", "{}: {}", path, file.error());
      note(path, "lacks parts: all of a split model's files lie in one folder");
      return;
    }
    bool default_one = name == "model.gguf";
    if (!out_.push_back(std::move(*file)).has_value()) return;
    if (default_one) std::swap(out_[first_], out_.back());
  }

 private:
  void note(std::string_view path, const char* fault) {
    if (broken_ == nullptr) return;
    Result<String> copy = String::from(path);
    // If memory runs out the list is incomplete.
    if (copy.has_value()) static_cast<void>(broken_->push_back({std::move(*copy), fault}));
  }

  Vector<ModelFile>& out_;
  Vector<BrokenModel>* broken_;
  std::string_view directory_;
  usize first_ = 0;
};

// Returns the model at a path, which may be one of the host in the hosted twin. A file of a bundle
// is taken by its manifest, which verify=off does not ask for.
Result<ModelFile> by_path(std::string_view typed) {
  if (typed.empty()) return fail(Errc::kNotFound, "no such model file: check the path");
  char room[512];
  std::string_view path = machine_path(typed, room);
  Result<ModelFile> model = bundle::bundle_at(path);
  if (model.has_value()) return model;
  bool raw = bundle::verify_mode() == bundle::Mode::kOff;
  if (raw || model.error().code == Errc::kNotFound) return describe(path);
  return model;
}

// Moves copies of a model right behind the first one and keeps the order otherwise.
void join_copies(std::span<ModelFile> models) {
  for (usize i = 0; i < models.size(); i++) {
    usize next = i + 1;
    for (usize k = next; k < models.size(); k++) {
      if (!is_same_model(models[i], models[k])) continue;
      std::rotate(models.begin() + next, models.begin() + k, models.begin() + k + 1);
      next++;
    }
  }
}

// Puts a bundle's newest generation first, on whichever disk it lies.
void put_newest_first(std::span<ModelFile> models) {
  for (usize i = 0; i < models.size(); i++)
    for (usize k = i + 1; k < models.size(); k++) {
      bool newer = models[i].generation > 0 && models[k].generation > models[i].generation &&
                   models[k].name.view() == models[i].name.view();
      if (newer) std::swap(models[i], models[k]);
    }
}

}  // namespace

Result<ModelFile> ModelFile::clone() const {
  ModelFile copy;
  copy.name = TRY(name.clone());
  copy.path = TRY(path.clone());
  copy.bytes = bytes;
  copy.parts = parts;
  copy.tokenizer = TRY(tokenizer.clone());
  copy.folder = TRY(folder.clone());
  copy.generation = generation;
  copy.verified = verified;
  return copy;
}

std::string_view default_model() {
  return options::text(kModel);
}

bool is_same_model(const ModelFile& a, const ModelFile& b) {
  return a.bytes == b.bytes && a.generation == b.generation && a.name.view() == b.name.view();
}

Result<Vector<ModelFile>> find_models(Vector<BrokenModel>* broken) {
  constexpr u64 kMostWaitNs = 10'000'000'000;
  fs::wait_for_disks(timing::now_ns() + kMostWaitNs);
  Vector<ModelFile> models;
  Finder finder(models, broken);
  finder.search(kBootMount, "");
  for (const fs::Mount& mount : fs::mounts()) {
    if (mount.point == kBootMount || mount.point == kHostMount) continue;
    finder.search(mount.point, "/models");
    char folder[512];
    TRY(bundle::find_bundles(base::format_into(folder, "{}/models", mount.point), models, broken));
    finder.search(mount.point, "");
  }
  // In the twin, models may come to a folder of the host.
  if (Result<String> pulled = pull_place(); pulled.has_value() && is_of_host(pulled->view())) {
    char folder[512];
    TRY(bundle::find_bundles(base::format_into(folder, "{}/models", *pulled), models, broken));
  }
  // The path in model= may be outside the folders that are searched.
  if (Result<ModelFile> own = by_path(default_model()); own.has_value()) {
    bool known = std::ranges::any_of(
        models.view(), [&](const ModelFile& m) { return m.path.view() == own->path.view(); });
    if (!known) TRY(models.push_back(std::move(*own)));
  }
  put_newest_first(models.view());
  join_copies(models.view());
  return models;
}

Result<ModelFile> find_model(std::string_view wanted) {
  Vector<BrokenModel> broken;
  Vector<ModelFile> models = TRY(find_models(&broken));
  const ModelFile* match = nullptr;
  u32 matches = 0;
  for (const ModelFile& model : models) {
    if (model.name.view() == wanted || model.path.view() == wanted) return model.clone();
    if (!base::contains_ignoring_case(model.name.view(), wanted)) continue;
    // the same file on a CD, which is in memory already
    if (match != nullptr && is_same_model(*match, model)) continue;
    // an older generation
    if (match != nullptr && match->generation > 0 && match->name.view() == model.name.view())
      continue;
    match = &model;
    matches++;
  }
  if (matches == 1) return match->clone();
  if (matches > 1)
    return fail(Errc::kInvalidArgument, "several models match this name: give more of it");
  Result<ModelFile> file = by_path(wanted);
  if (file.has_value()) {
    // The load judges the files of a bundle.
    const char* fault = file->generation > 0 ? nullptr : fault_of(file->path.view());
    if (fault != nullptr) return fail(Errc::kCorrupt, fault);
    return file;
  }
  for (const BrokenModel& model : broken)
    if (base::contains_ignoring_case(base::base_name(model.path.view()), wanted))
      return fail(Errc::kCorrupt, model.fault);
  base::Nearest nearest(wanted);
  for (const ModelFile& model : models) nearest.consider(model.name.view());
  if (!nearest.best().empty()) log::warn("models", "did you mean {}?", nearest.best());
  return fail(Errc::kNotFound, "no such model (`models` lists what there is)");
}

Result<String> part_path(const ModelFile& file, u32 index) {
  String path = TRY(file.path.clone());
  if (index == 0) return path;
  if (!file.tokenizer.empty()) return file.tokenizer.clone();
  if (index >= kMostParts)
    return fail(Errc::kOutOfRange, "the model has too many parts: merge them");
  usize name_at = path.size() - base::base_name(path.view()).size();
  usize digits = name_at + part_of(base::base_name(path.view())).digits_at;
  u32 number = index + 1;
  for (usize i = 5; i > 0; i--, number /= 10)
    path.chars()[digits + i - 1] = static_cast<char>('0' + number % 10);
  return path;
}

void complete_model(std::string_view, void (*add)(void*, std::string_view), void* context) {
  Result<Vector<ModelFile>> models = find_models();
  if (!models.has_value()) return;
  for (const ModelFile& model : *models) add(context, model.name.view());
}

}  // namespace service
