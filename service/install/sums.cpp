// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the lists.
#include "service/install/sums.h"

#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/sched/thread.h"
#include "service/bundle/find.h"
#include "service/fast_hash.h"

namespace service {

Result<void> add_sum(String& list, const crypto::Sha256Digest& digest, std::string_view path) {
  TRY(list.append(TRY(base::hex_text(digest)).view()));
  TRY(list.append("  "));
  TRY(list.append(path));
  return list.push_back('\n');
}

Result<crypto::Sha256Digest> digest_of(std::string_view path) {
  base::Owner<fs::File> file = TRY(fs::open(path));
  Vector<Byte> piece;
  TRY(piece.resize(kMiB));
  crypto::Sha256By sha = fast_sha256();
  for (u64 at = 0;; sched::yield()) {
    usize read = TRY(file->read_at(at, piece.view()));
    if (read == 0) return sha.finish();
    sha.update(std::span<const Byte>(piece.view().first(read)));
    at += read;
  }
}

Result<String> boot_sums(const InstallSource& source) {
  String list;
  for (const InstallFile& file : source.files)
    if (!is_boot_code(file)) TRY(add_sum(list, file.sha256, file.to.view().substr(1)));
  TRY(add_sum(list, crypto::sha256(source.manifest.view()), kManifestFile));
  return list;
}

Result<void> ModelSums::add(const ModelFile& model, std::string_view installed) {
  if (bundle::generation_of(base::base_name(installed)) > 0) return add_bundle(installed);
  ModelFile copy = TRY(model.clone());
  copy.path = TRY(String::from(installed));
  for (u32 i = 0; i < model.parts; i++) TRY(add_read(TRY(part_path(copy, i)).view()));
  return {};
}

Result<void> ModelSums::add_bundle(std::string_view folder) {
  bundle::Bundle there = TRY(bundle::read_bundle(folder));
  char room[640];
  auto path = [&](std::string_view name) { return base::format_into(room, "{}/{}", folder, name); };
  TRY(add_line(crypto::sha256(there.text.view()), path(bundle::kManifestName)));
  for (const bundle::Payload* file : {&there.manifest.model, &there.manifest.tokenizer})
    if (file->exists()) TRY(add_line(file->sha256, path(file->path)));
  if (fs::stat(path(bundle::kChunkListName)).has_value())
    TRY(add_line(there.manifest.model.chunks_sha256, path(bundle::kChunkListName)));
  return {};
}

Result<void> ModelSums::add_read(std::string_view path) {
  return add_line(TRY(digest_of(path)), path);
}

Result<void> ModelSums::add_line(const crypto::Sha256Digest& digest, std::string_view path) {
  return add_sum(text_, digest, path.substr(data_.size() + 1));
}

Result<void> ModelSums::write() {
  if (text_.empty()) return {};
  char room[320];
  base::Owner<fs::File> out = TRY(fs::create(base::format_into(room, "{}/{}", data_, kSumsFile)));
  TRY(out->write_at(0, {reinterpret_cast<const Byte*>(text_.view().data()), text_.view().size()}));
  return out->flush();
}

}  // namespace service
