// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the import of models.
#include "service/import.h"

#include <optional>

#include "ai/byte_stream.h"
#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "service/bundle/chunks.h"
#include "service/bundle/find.h"
#include "service/bundle/make.h"
#include "service/engine_host.h"
#include "service/fast_hash.h"
#include "service/host_path.h"
#include "service/incoming.h"
#include "service/model_check.h"

namespace service {
namespace {

using crypto::Sha256Digest;
constexpr usize kPieceBytes = kMiB;

// One file of the model that is copied.
struct SourceFile {
  const char* table = "model";  // of the manifest
  String path;
  std::string_view name;  // in the bundle
  u64 bytes = 0;
  bool known = false;  // its hash is known before it is read
  Sha256Digest sha256{};
};

Result<void> stopped_or(ProgressSink* watcher, u64 done, u64 total) {
  if (watcher == nullptr) return {};
  watcher->on_progress(done, total);
  return watcher->stopped() ? fail(Errc::kCancelled, "stopped; what was copied is removed")
                            : Result<void>();
}

// Gives each piece of a file to `take`. A loaded model's bytes come from memory, put back into the
// order of the file, because a boot module is rearranged where it lies.
template <class Take>
class PieceSink final : public ai::ByteSink {
 public:
  explicit PieceSink(Take& take) : take_(take) {}
  Result<void> write(std::span<const Byte> bytes) override { return take_(bytes); }

 private:
  Take& take_;
};

template <class Take>
Result<void> read_source(const ModelFile& model, const SourceFile& file, u32 index, u64 from,
                         Take take) {
  Result<ai::Lease> loaded = engine_host().lease_of(model, kImportHolder);
  if (loaded.has_value() && is_boot_module(model)) {
    PieceSink<Take> sink(take);
    return engine_host().write_original(*loaded, index, sink);
  }
  base::Owner<fs::File> in = TRY(fs::open(file.path.view()));
  Vector<Byte> piece;
  TRY(piece.resize(kPieceBytes));
  for (u64 at = from; at < file.bytes; sched::yield()) {
    usize read = TRY(in->read_at(at, piece.view()));
    if (read == 0) return fail(Errc::kIo, "the source ended early: check its disk");
    TRY(take(std::span<const Byte>(piece.view().first(read))));
    at += read;
  }
  return {};
}

Result<Sha256Digest> hash_source(const ModelFile& model, const SourceFile& file, u32 index,
                                 ProgressSink* watcher) {
  crypto::Sha256By sha = fast_sha256();
  u64 done = 0;
  TRY(read_source(model, file, index, 0, [&](std::span<const Byte> bytes) -> Result<void> {
    sha.update(bytes);
    done += bytes.size();
    return stopped_or(watcher, done, file.bytes);
  }));
  return sha.finish();
}

struct Work {
  const ModelFile& model;
  const ImportOrder& order;
  Vector<SourceFile> files;
};

// Copies one file and returns its digest.
Result<Sha256Digest> copy_file(const Work& work, u32 index, Incoming& incoming) {
  const SourceFile& file = work.files[index];
  bool in_memory = is_boot_module(work.model);
  TRY(incoming.start_file(file.name, file.bytes));
  if (file.known && !in_memory) TRY(incoming.skip_present(work.order.copying));
  TRY(read_source(work.model, file, index, incoming.taken(),
                  [&](std::span<const Byte> bytes) -> Result<void> {
                    TRY(incoming.append(bytes));
                    return stopped_or(work.order.copying, incoming.taken(), file.bytes);
                  }));
  Sha256Digest digest = TRY(incoming.end_file(work.order.checking));
  if (file.known && digest != file.sha256)
    return fail(Errc::kCorrupt, "the model's SHA-256 is not that of its manifest: get it again");
  return digest;
}

// Copies all files and then writes the manifest, which `manifest` makes of their digests.
template <class Manifest>
Result<Imported> copy_all(const Work& work, IncomingPlan plan, Manifest manifest) {
  for (const SourceFile& file : work.files) {
    plan.bytes += file.bytes;
    plan.largest = std::max(plan.largest, file.bytes);
  }
  base::Owner<Incoming> incoming = TRY(Incoming::begin(plan));
  Result<void> done = [&]() -> Result<void> {
    Vector<Sha256Digest> digests;
    for (u32 i = 0; i < work.files.size(); i++)
      TRY(digests.push_back(TRY(copy_file(work, i, *incoming))));
    String text = TRY(manifest(incoming->generation(), digests.view()));
    return incoming->finish(text.view());
  }();
  if (!done.has_value()) {
    // After an error of a disk the next attempt may go on.
    bool keep = done.error().code == Errc::kIo;
    Result<void> removed = keep ? Result<void>{} : incoming->abandon();
    if (!removed.has_value())
      log::warn("models", "{}: not removed: {}", incoming->folder(), removed.error());
    return std::unexpected(done.error());
  }
  return Imported{TRY(String::from(incoming->folder())), false};
}

// ---- a bundle ------------------------------------------------------------------------------

Result<void> need_trust(const ModelFile& model, const bundle::Bundle& source) {
  bundle::Judgement judged =
      TRY(bundle::judge(source.manifest, bundle::trusted_keys(), bundle::times_now()));
  if (bundle::may_load(bundle::verify_mode(), judged.finding)) {
    if (judged.finding == bundle::Finding::kBad || judged.finding == bundle::Finding::kExpired)
      log::warn("models", "{}: {}", model.folder, judged.reason);
    return {};
  }
  log::warn("models", "{}: {}", model.folder, judged.reason);
  return fail(Errc::kPermission,
              "verify= does not allow this bundle: the log says why (`dmesg 5`)");
}

Result<void> add_payload(Work& work, const char* table, const bundle::Payload& payload) {
  if (!payload.exists()) return {};
  SourceFile file;
  file.table = table;
  file.path = TRY(work.model.folder.clone());
  TRY(file.path.push_back('/'));
  TRY(file.path.append(payload.path));
  file.name = payload.path;
  file.bytes = payload.bytes;
  file.known = true;
  file.sha256 = payload.sha256;
  fs::FileInfo info = TRY(fs::stat(file.path.view()));
  if (info.size != payload.bytes)
    return fail(Errc::kCorrupt, "a file has another size than its manifest says: get it again");
  return work.files.push_back(std::move(file));
}

Result<Imported> import_bundle(const ModelFile& model, const ImportOrder& order) {
  if (!order.name.empty() && order.name != model.name.view())
    return fail(Errc::kInvalidArgument, "a bundle keeps its name: its manifest has it");
  bundle::Bundle source = TRY(bundle::read_bundle(model.folder.view()));
  TRY(need_trust(model, source));
  char room[640];
  std::string_view there = base::format_into(room, "{}/models/{}/{}", order.root,
                                             source.manifest.name, source.manifest.generation);
  Result<bundle::Bundle> present = bundle::read_bundle(there);
  if (present.has_value() && present->text.view() == source.text.view())
    return Imported{TRY(String::from(there)), true};
  Work work{model, order, {}};
  TRY(add_payload(work, "model", source.manifest.model));
  TRY(add_payload(work, "tokenizer", source.manifest.tokenizer));
  const bundle::Payload& weights = source.manifest.model;
  String list = TRY(model.folder.clone());
  TRY(list.push_back('/'));
  TRY(list.append(bundle::kChunkListName));
  if (weights.has_chunks && fs::stat(list.view()).has_value())
    TRY(add_payload(work, "chunks",
                    {.path = bundle::kChunkListName,
                     .sha256 = weights.chunks_sha256,
                     .bytes = bundle::chunk_count(weights.bytes) * sizeof(Sha256Digest)}));
  String identity = TRY(base::hex_text(crypto::sha256(source.text.view())));
  IncomingPlan plan{.root = order.root,
                    .name = source.manifest.name,
                    .generation = source.manifest.generation,
                    .identity = identity.view()};
  return copy_all(work, plan, [&](u64, std::span<const Sha256Digest>) -> Result<String> {
    return source.text.clone();
  });
}

// ---- a model in several files --------------------------------------------------------------

// Its files lie side by side in the folder models. The first one, by which the model is found,
// comes last, and is not seen before it is complete.
class PartsImport {
 public:
  PartsImport(const ModelFile& model, const ImportOrder& order) : model_(model), order_(order) {}

  Result<Imported> run() {
    if (!order_.name.empty())
      return fail(Errc::kInvalidArgument, "a model in several files keeps its name");
    folder_ = TRY(String::from(order_.root));
    TRY(folder_.append("/models"));
    if (!fs::stat(folder_.view()).has_value()) TRY(fs::make_directory(folder_.view()));
    TRY(need_room());
    Result<void> done;
    for (u32 i = 1; i <= model_.parts && done.has_value(); i++) done = bring(i % model_.parts);
    if (done.has_value()) return Imported{TRY(target_of(0)), made_.empty()};
    for (const String& path : made_)
      if (!fs::remove(path.view()).has_value())
        log::warn("models", "{}: an incomplete model's file is left there", path);
    return std::unexpected(done.error());
  }

 private:
  Result<String> target_of(u32 index) const {
    String source = TRY(part_path(model_, index)), path = TRY(folder_.clone());
    TRY(path.push_back('/'));
    TRY(path.append(base::base_name(source.view())));
    return path;
  }

  Result<void> need_room() const {
    u64 needed = kMiB;
    for (u32 i = 0; i < model_.parts; i++) {
      String source = TRY(part_path(model_, i)), target = TRY(target_of(i));
      fs::FileInfo info = TRY(fs::stat(source.view()));
      if (!fs::stat(target.view()).has_value()) needed += info.size;
    }
    Result<fs::Space> space = fs::space(folder_.view());
    if (!space.has_value() || needed <= space->free) return {};
    return fail(Errc::kFull, "too little space on the disk: remove models (`model remove NAME`)");
  }

  Result<void> bring(u32 index) {
    SourceFile source;
    source.path = TRY(part_path(model_, index));
    fs::FileInfo info = TRY(fs::stat(source.path.view()));
    source.bytes = info.size;
    String target = TRY(target_of(index));
    Result<Sha256Digest> given = fs::stat(target.view()).has_value()
                                     ? hash_source(model_, source, index, order_.checking)
                                     : copy(source, index, target.view());
    Sha256Digest wanted = TRY(given);
    SourceFile there;
    there.path = TRY(target.clone());
    fs::FileInfo kept = TRY(fs::stat(target.view()));
    there.bytes = kept.size;
    // A file is none of the model that is being copied, so it is read from its disk.
    Sha256Digest found = TRY(hash_source(ModelFile{}, there, 0, order_.checking));
    if (found == wanted) return {};
    bool ours = !made_.empty() && made_.back().view() == target.view();
    return ours ? fail(Errc::kCorrupt,
                       "the disk returns other bytes than it was given: use another disk")
                : fail(Errc::kBusy,
                       "the disk has another file of this name in models: it is not overwritten");
  }

  Result<Sha256Digest> copy(const SourceFile& source, u32 index, std::string_view target) {
    base::Owner<fs::File> out = TRY(fs::create(target));
    if (!out->appears_at_flush()) {
      out.reset();
      TRY(fs::remove(target));
      return fail(Errc::kUnsupported,
                  "a model in several files needs a disk with exFAT, or `cp` file by file");
    }
    crypto::Sha256By sha = fast_sha256();
    u64 at = 0;
    TRY(read_source(model_, source, index, 0, [&](std::span<const Byte> bytes) -> Result<void> {
      sha.update(bytes);
      if (TRY(out->write_at(at, bytes)) != bytes.size())
        return fail(Errc::kFull, "the disk is full: delete files");
      at += bytes.size();
      return stopped_or(order_.copying, at, source.bytes);
    }));
    TRY(made_.push_back(TRY(String::from(target))));
    TRY(out->flush());
    return sha.finish();
  }

  const ModelFile& model_;
  const ImportOrder& order_;
  String folder_;
  Vector<String> made_;  // files that this import has made
};

// ---- a model outside of bundles ------------------------------------------------------------

// The length and the first MiB tell apart what an interrupted import can be continued with. Bytes
// that are there are compared all the same.
Result<String> identity_of(const Work& work) {
  String text;
  base::StringWriter out(text);
  for (u32 i = 0; i < work.files.size(); i++) {
    base::Owner<fs::File> file = TRY(fs::open(work.files[i].path.view()));
    Vector<Byte> head;
    TRY(head.resize(kPieceBytes));
    crypto::Sha256 sha;
    sha.update(head.view().first(TRY(file->read_at(0, head.view()))));
    String hex = TRY(base::hex_text(sha.finish()));
    base::format_to(out, "{} bytes {} ", work.files[i].bytes, hex);
  }
  TRY(out.status());
  return text;
}

// Returns the folder of the generation with the same bytes, or "".
Result<String> same_generation(const Work& work, std::string_view name) {
  char room[640];
  std::string_view folder = base::format_into(room, "{}/models/{}", work.order.root, name);
  Vector<ModelFile> there;
  Result<ModelFile> newest = bundle::bundle_at(folder);
  if (!newest.has_value() || newest->bytes != work.model.bytes) return String();
  bundle::Bundle present = TRY(bundle::read_bundle(newest->folder.view()));
  for (u32 i = 0; i < work.files.size(); i++) {
    const bundle::Payload& payload = i == 0 ? present.manifest.model : present.manifest.tokenizer;
    if (payload.bytes != work.files[i].bytes) return String();
    Sha256Digest digest = TRY(hash_source(work.model, work.files[i], i, work.order.checking));
    if (digest != payload.sha256) return String();
  }
  return newest->folder.clone();
}

// A boot module that was loaded once is rearranged in memory: the hash of the image shows that. It
// also shows a medium that is not read well.
Result<void> need_known_bytes(const Work& work, u32 index, const Sha256Digest& digest) {
  bool module = is_boot_module(work.model);
  if (!module && !work.order.of_image) return {};
  String known = TRY(known_hash(work.model, index, work.files[index].path.view()));
  String found = TRY(base::hex_text(digest));
  if (known.empty() || known.view() == found.view()) return {};
  return fail(Errc::kCorrupt, module
                                  ? "the bytes are not those of the boot image: load the model "
                                    "first, or import it from the image's disk"
                                  : "the bytes are not those of the image: make its medium anew");
}

Result<Imported> import_loose(const ModelFile& model, const ImportOrder& order) {
  bool two_files = !model.tokenizer.empty();
  if (!bundle::may_load(bundle::verify_mode(), bundle::Finding::kUnsigned))
    return fail(Errc::kPermission, "verify=require: only bundles with a good signature are copied");
  if (model.parts > 1 && !two_files) return PartsImport(model, order).run();
  bool is_gguf = !model.path.view().ends_with(".bin");
  Work work{model, order, {}};
  for (u32 i = 0; i < model.parts; i++) {
    SourceFile file;
    file.table = i == 0 ? "model" : "tokenizer";
    file.path = TRY(part_path(model, i));
    file.name = i > 0 ? "tokenizer.bin" : is_gguf ? "model.gguf" : "model.bin";
    fs::FileInfo info = TRY(fs::stat(file.path.view()));
    file.bytes = info.size;
    TRY(work.files.push_back(std::move(file)));
  }
  std::string_view name = order.name.empty() ? model.name.view() : order.name;
  if (name.ends_with(".bin")) name.remove_suffix(4);
  String same = TRY(same_generation(work, name));
  if (!same.empty()) return Imported{std::move(same), true};
  String identity = TRY(identity_of(work));
  IncomingPlan plan{.root = order.root, .name = name, .identity = identity.view()};
  return copy_all(
      work, plan, [&](u64 generation, std::span<const Sha256Digest> digests) -> Result<String> {
        StaticVector<bundle::MadeFile, 2> made;
        for (u32 i = 0; i < work.files.size(); i++) {
          const SourceFile& file = work.files[i];
          TRY(need_known_bytes(work, i, digests[i]));
          if (!made.push_back({file.table, file.name, digests[i], file.bytes}))
            return fail(Errc::kUnsupported, "a bundle has two files at most");
        }
        return bundle::manifest_text(name, generation, is_gguf ? "gguf" : "llama2c", made.view());
      });
}

bool lies_on(std::string_view path, const fs::Mount& mount) {
  return path.starts_with(mount.point) && path.substr(mount.point.size()).starts_with('/');
}

}  // namespace

Result<Imported> import_model(const ModelFile& source, const ImportOrder& order) {
  return source.generation > 0 ? import_bundle(source, order) : import_loose(source, order);
}

Result<String> choose_disk(u64 bytes, std::string_view source) {
  std::optional<fs::Mount> best;
  u64 most = 0;
  for (usize i = 0; i < fs::mounts().size(); i++) {
    fs::Mount mount = fs::mounts()[i];  // a copy: disks come and go while space() waits
    bool disk = mount.point.starts_with("/disk/") && mount.file_system->writable();
    bool too_large = bytes >= 4 * kGiB && mount.file_system->kind()[0] == 'f';  // FAT32
    if (!disk || too_large || lies_on(source, mount)) continue;
    Result<fs::Space> space = mount.file_system->space();
    if (!space.has_value()) continue;
    bool stays = mount.home == fs::Home::kFixedDisk;
    bool best_stays = best.has_value() && best->home == fs::Home::kFixedDisk;
    bool better = stays == best_stays ? space->free > most : stays;
    if (best.has_value() && !better) continue;
    best = mount;
    most = space->free;
  }
  if (!best.has_value())
    return fail(
        Errc::kNotFound,
        "no disk can be written: connect one with exFAT or FAT32, name a folder (--to), or keep "
        "models in memory (`ramdisk MIB`)");
  return String::from(best->point);
}

Result<String> place_of(std::string_view typed) {
  while (typed.size() > 1 && typed.ends_with('/')) typed.remove_suffix(1);
  char room[512];
  for (const fs::Mount& mount : fs::mounts())
    if (base::format_into(room, "/disk/{}", typed) == mount.point) return String::from(mount.point);
  std::string_view path = machine_path(typed, room);
  Result<fs::FileInfo> info = fs::stat(path);
  if (!info.has_value() || info->kind != fs::FileKind::kDirectory)
    return fail(Errc::kNotFound, "no such disk or folder (`mount` lists the disks)");
  return String::from(path);
}

}  // namespace service
