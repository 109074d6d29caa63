// SPDX-License-Identifier: GPL-2.0-or-later
// Searches folders for bundles.
#include "service/bundle/find.h"

#include <algorithm>
#include <charconv>

#include "kernel/base/format.h"
#include "kernel/base/hash.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"

namespace service::bundle {
namespace {

constexpr usize kMostPath = 512;

std::string_view folder_of(std::string_view path) {
  usize slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

bool is_file(std::string_view path) {
  Result<fs::FileInfo> info = fs::stat(path);
  return info.has_value() && info->kind == fs::FileKind::kFile;
}

bool is_folder(std::string_view path) {
  Result<fs::FileInfo> info = fs::stat(path);
  return info.has_value() && info->kind == fs::FileKind::kDirectory;
}

// Collects the names of the folders in one folder.
class FolderNames final : public fs::DirectoryVisitor {
 public:
  static Result<Vector<String>> of(std::string_view path) {
    FolderNames collector;
    // A missing directory is normal. Other errors have been logged by the file system.
    static_cast<void>(fs::list(path, collector));
    TRY(collector.status_);
    return std::move(collector.names_);
  }
  void on_entry(std::string_view name, const fs::FileInfo& info) override {
    if (info.kind != fs::FileKind::kDirectory || !status_.has_value()) return;
    Result<String> copy = String::from(name);
    status_ = copy.has_value() ? names_.push_back(std::move(*copy))
                               : Result<void>(std::unexpected(copy.error()));
  }

 private:
  Vector<String> names_;
  Result<void> status_;
};

// Models are searched again and again, but each reason is logged once. When the table is full, the
// oldest row is overwritten, and its reason would be logged again.
bool is_new(std::string_view folder, std::string_view reason) {
  constexpr usize kMost = 64;
  static constinit u64 said[kMost] = {};
  static constinit usize next = 0;
  base::Fnv1a hash;
  for (std::string_view text : {folder, reason}) {
    hash.add(u64{text.size()});
    hash.add(text);
  }
  if (std::ranges::find(said, hash.value()) != std::end(said)) return false;
  said[next++ % kMost] = hash.value();
  return true;
}

constexpr const char* kCauses[] = {"manifest missing or malformed",
                                   "bad manifest signature",
                                   "manifest not signed",
                                   "manifest signed by an unknown key",
                                   "manifest expired",
                                   "manifest signed by a revoked key",
                                   "file revoked",
                                   "model size/sha256 mismatch",
                                   "tokenizer size/sha256 mismatch",
                                   "chunk list mismatch"};

void log_rejection(std::string_view folder, Cause cause, std::string_view reason) {
  log::warn("bundle", "generation {} rejected ({}): {}: {}", generation_of(base::base_name(folder)),
            kCauses[static_cast<usize>(cause)], folder, reason);
}

Result<String> path_in(std::string_view folder, std::string_view name) {
  char room[kMostPath];
  base::BufferWriter path(room);
  base::format_to(path, "{}/{}", folder, name);
  if (path.truncated()) return fail(Errc::kOutOfRange, "its path is too long");
  return String::from(path.view());
}

Result<ModelFile> model_of(std::string_view folder, const Manifest& manifest) {
  ModelFile file;
  file.name = TRY(String::from(manifest.name));
  file.folder = TRY(String::from(folder));
  file.path = TRY(path_in(folder, manifest.model.path));
  file.bytes = manifest.model.bytes;
  file.generation = manifest.generation;
  // A GGUF has its tokenizer inside.
  if (manifest.tokenizer.exists() && manifest.format == "llama2c") {
    file.tokenizer = TRY(path_in(folder, manifest.tokenizer.path));
    file.bytes += manifest.tokenizer.bytes;
    file.parts = 2;
  }
  return file;
}

// Returns true if the generation is still being copied, or its copy was interrupted.
Result<bool> is_partial(std::string_view folder) {
  String mark = TRY(path_in(folder, kPartialName)), manifest = TRY(path_in(folder, kManifestName));
  return is_file(mark.view()) && !is_file(manifest.view());
}

// Returns the generations in the folder of a bundle, the newest first, without incomplete ones.
Result<Vector<u64>> generations_in(std::string_view bundle) {
  Vector<u64> numbers;
  Vector<String> names = TRY(FolderNames::of(bundle));
  for (const String& name : names) {
    u64 number = generation_of(name.view());
    if (number == 0) continue;
    String folder = TRY(path_in(bundle, name.view()));
    if (!TRY(is_partial(folder.view()))) TRY(numbers.push_back(number));
  }
  std::ranges::sort(numbers, std::greater());
  return numbers;
}

std::string_view generation_path(std::string_view bundle, u64 number, std::span<char> room) {
  return base::format_into(room, "{}/{}", bundle, number);
}

// Out of memory is no property of a bundle.
bool is_its_fault(const Error& error) {
  return error.code != Errc::kOutOfMemory;
}

}  // namespace

u64 generation_of(std::string_view name) {
  u64 number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  bool whole = error == std::errc{} && end == name.data() + name.size();
  return whole && !name.starts_with('0') ? number : 0;
}

void log_rejection(const ModelFile& file, Cause cause, std::string_view reason) {
  log_rejection(file.folder.view(), cause, reason);
}

Result<Bundle> read_bundle(std::string_view folder) {
  Bundle bundle;
  String path = TRY(path_in(folder, kManifestName));
  bundle.text = TRY(fs::read_text(path.view(), kMostManifestBytes));
  bundle.manifest = TRY(parse_manifest(bundle.text.view()));
  // Otherwise a signed bundle could be passed off as another one, or as a newer one.
  if (bundle.manifest.name != base::base_name(folder_of(folder)))
    return fail(Errc::kCorrupt, "its name is not that of the folder: /models/NAME/GENERATION");
  if (bundle.manifest.generation != generation_of(base::base_name(folder)))
    return fail(Errc::kCorrupt,
                "its generation is not that of the folder: /models/NAME/GENERATION");
  return bundle;
}

Result<ModelFile> describe_bundle(std::string_view folder) {
  Result<Bundle> bundle = read_bundle(folder);
  if (!bundle.has_value()) {
    if (is_its_fault(bundle.error()) && is_new(folder, bundle.error().what))
      log_rejection(folder, Cause::kManifest, bundle.error().what);
    return std::unexpected(bundle.error());
  }
  return model_of(folder, bundle->manifest);
}

Result<void> find_bundles(std::string_view models, Vector<ModelFile>& out,
                          Vector<BrokenModel>* broken) {
  Vector<String> bundles = TRY(FolderNames::of(models));
  look_for_trust(models);
  for (const String& name : bundles) {
    String bundle = TRY(path_in(models, name.view()));
    look_for_trust(bundle.view());
    Vector<u64> generations = TRY(generations_in(bundle.view()));
    for (u64 number : generations) {
      char room[kMostPath + 32];
      std::string_view folder = generation_path(bundle.view(), number, room);
      look_for_trust(folder);
      Result<ModelFile> file = describe_bundle(folder);
      if (file.has_value()) {
        TRY(out.push_back(std::move(*file)));
      } else if (!is_its_fault(file.error())) {
        return std::unexpected(file.error());
      } else if (broken != nullptr) {
        TRY(broken->push_back(
            {TRY(String::from(folder)), "is rejected (manifest missing or malformed)"}));
      }
    }
  }
  return {};
}

Result<ModelFile> bundle_at(std::string_view path) {
  char room[kMostPath];
  std::string_view manifest = base::format_into(room, "{}/{}", path, kManifestName);
  if (generation_of(base::base_name(path)) > 0 && is_file(manifest)) return describe_bundle(path);
  if (is_folder(path)) {
    Vector<u64> generations = TRY(generations_in(path));
    for (u64 number : generations) {
      Result<ModelFile> file = describe_bundle(generation_path(path, number, room));
      if (file.has_value()) return file;
    }
    return fail(Errc::kNotFound, "no generation of a bundle lies in this folder");
  }
  std::string_view folder = folder_of(path);
  manifest = base::format_into(room, "{}/{}", folder, kManifestName);
  if (generation_of(base::base_name(folder)) == 0 || !is_file(manifest))
    return fail(Errc::kNotFound, "no file of a bundle");
  ModelFile file = TRY(describe_bundle(folder));
  if (file.path.view() != path)
    return fail(Errc::kCorrupt, "the manifest beside this file does not name it as the model");
  return file;
}

Result<ModelFile> older_generation(const ModelFile& file) {
  Vector<ModelFile> all = TRY(find_models());
  std::string_view bundle = folder_of(file.folder.view());
  Vector<u64> beside = TRY(generations_in(bundle));
  for (u64 number : beside) {
    char room[kMostPath + 32];
    if (number >= file.generation) continue;
    Result<ModelFile> other = describe_bundle(generation_path(bundle, number, room));
    if (!other.has_value()) continue;
    TRY(all.push_back(std::move(*other)));
    break;
  }
  const ModelFile* best = nullptr;
  for (const ModelFile& other : all) {
    bool older = other.name.view() == file.name.view() && other.generation > 0 &&
                 other.generation < file.generation;
    if (older && (best == nullptr || other.generation > best->generation)) best = &other;
  }
  if (best == nullptr) return fail(Errc::kNotFound, "no older generation of this bundle");
  return best->clone();
}

}  // namespace service::bundle
