// SPDX-License-Identifier: GPL-2.0-or-later
// Writes keys, manifests and signatures.
#include "service/bundle/make.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/base/wipe.h"
#include "kernel/crypto/entropy.h"
#include "kernel/fs/file_system.h"
#include "kernel/sched/thread.h"
#include "service/bundle/chunks.h"
#include "service/bundle/find.h"
#include "service/fast_hash.h"

namespace service::bundle {
namespace {

using Seed = std::array<Byte, crypto::kEd25519SeedBytes>;

// A secret on the stack, wiped in the end.
struct SecretSeed {
  Seed bytes{};
  ~SecretSeed() { base::wipe(std::span<Byte>(bytes)); }
};

Result<void> write_all(fs::File& file, std::span<const Byte> bytes) {
  if (TRY(file.write_at(0, bytes)) != bytes.size()) return fail(Errc::kFull, "the disk is full");
  return file.flush();
}

std::span<const Byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

bool exists(std::string_view path) {
  return fs::stat(path).has_value();
}

Result<void> read_seed(std::string_view path, SecretSeed& out) {
  base::Owner<fs::File> file = TRY(fs::open(path));
  if (file->size() != out.bytes.size() || TRY(file->read_at(0, out.bytes)) != out.bytes.size())
    return fail(Errc::kCorrupt, "a secret key has 32 bytes (`bundle keygen` makes one)");
  return {};
}

Result<String> in_folder(std::string_view folder, std::string_view name) {
  String path = TRY(String::from(folder));
  TRY(path.push_back('/'));
  TRY(path.append(name));
  return path;
}

struct Hashed {
  crypto::Sha256Digest digest{};
  u64 bytes = 0;
};

// `chunks`, which may be null, gets the same bytes.
Result<Hashed> hash_file(std::string_view path, ProgressSink* watcher,
                         ChunkHashes* chunks = nullptr) {
  base::Owner<fs::File> file = TRY(fs::open(path));
  Vector<Byte> piece;
  TRY(piece.resize(kMiB));
  crypto::Sha256By sha = fast_sha256();
  Hashed hashed;
  for (; hashed.bytes < file->size(); sched::yield()) {
    usize read = TRY(file->read_at(hashed.bytes, piece.view()));
    if (read == 0) return fail(Errc::kCorrupt, "the file is shorter than its size says");
    sha.update(piece.view().first(read));
    if (chunks != nullptr) TRY(chunks->update(piece.view().first(read)));
    hashed.bytes += read;
    if (watcher == nullptr) continue;
    watcher->on_progress(hashed.bytes, file->size());
    if (watcher->stopped()) return fail(Errc::kCancelled, "stopped");
  }
  hashed.digest = sha.finish();
  if (chunks != nullptr) TRY(chunks->finish());
  return hashed;
}

Result<MadeFile> made_file(const char* table, const char* name, std::string_view folder,
                           ProgressSink* watcher) {
  String path = TRY(in_folder(folder, name));
  Hashed file = TRY(hash_file(path.view(), watcher));
  return MadeFile{table, name, file.digest, file.bytes};
}

// Hashes the model and writes the list of its chunks, if there is more than one.
Result<MadeFile> made_model(const char* name, std::string_view folder, ProgressSink* watcher) {
  String path = TRY(in_folder(folder, name)), list_path = TRY(in_folder(folder, kChunkListName));
  ChunkHashes chunks;
  Hashed file = TRY(hash_file(path.view(), watcher, &chunks));
  MadeFile made{"model", name, file.digest, file.bytes};
  if (chunks.list().size() < 2) return made;
  base::Owner<fs::File> list = TRY(fs::create(list_path.view()));
  TRY(write_all(*list, list_bytes(chunks.list())));
  crypto::Sha256 sha;
  sha.update(list_bytes(chunks.list()));
  made.chunks_sha256 = sha.finish();
  return made;
}

void write_table(std::string_view table, const Signature& signature, base::Writer& out) {
  base::format_to(out, "{}\nalgo = \"ed25519\"\nsig = \"", table);
  base::write_hex(signature.bytes, out);
  out.write("\"\n");
}

void write_named(const Signature& signature, base::Writer& out) {
  char table[48];
  write_table(base::format_into(table, "\n[signature.{}]", name_of(signature.key).view()),
              signature, out);
}

// The parts that manifests and trust files have in common.
struct SignedText {
  std::string_view signed_part;
  Signatures signatures;
};
Result<SignedText> parse_signed(std::string_view text) {
  Result<TrustFile> trust = parse_trust(text);
  if (trust.has_value()) return SignedText{trust->signed_part, trust->signatures};
  Manifest manifest = TRY(parse_manifest(text));
  return SignedText{manifest.signed_part, manifest.signatures};
}

}  // namespace

Result<void> write_text(std::string_view path, std::string_view text) {
  base::Owner<fs::File> file = TRY(fs::create(path));
  return write_all(*file, bytes_of(text));
}

Result<KeyId> make_keys(std::string_view seed_path, std::string_view public_path) {
  if (exists(public_path))
    return fail(Errc::kInvalidArgument,
                "the public key's file exists and is not overwritten: choose another");
  SecretSeed seed;
  TRY(crypto::entropy(seed.bytes));
  crypto::Ed25519PublicKey key = TRY(crypto::ed25519_public_key(seed.bytes));
  base::Owner<fs::File> secret = TRY(fs::create_private(seed_path));
  TRY(write_all(*secret, seed.bytes));
  base::Owner<fs::File> open = TRY(fs::create(public_path));
  TRY(write_all(*open, key));
  return key_id(key);
}

Result<void> make_manifest(std::string_view folder, ProgressSink* watcher) {
  u64 generation = generation_of(base::base_name(folder));
  std::string_view bundle = folder.substr(0, folder.rfind('/'));
  std::string_view name = base::base_name(bundle);
  if (generation == 0 || name_fault(name) != nullptr || name.contains('"'))
    return fail(Errc::kInvalidArgument,
                "a bundle's folder is NAME/GENERATION: models/tiny/1, for example");
  String path = TRY(in_folder(folder, kManifestName));
  if (exists(path.view()))
    return fail(Errc::kInvalidArgument,
                "manifest.toml exists and is not overwritten: remove it, or make a new generation");
  String gguf = TRY(in_folder(folder, "model.gguf")), bin = TRY(in_folder(folder, "model.bin"));
  bool is_gguf = exists(gguf.view());
  if (is_gguf == exists(bin.view()))
    return fail(Errc::kNotFound, "the folder needs one model: model.gguf or model.bin");
  StaticVector<MadeFile, 2> files;
  MadeFile model = TRY(made_model(is_gguf ? "model.gguf" : "model.bin", folder, watcher));
  static_cast<void>(files.push_back(model));
  String tokenizer = TRY(in_folder(folder, "tokenizer.bin"));
  if (!is_gguf && exists(tokenizer.view())) {
    MadeFile second = TRY(made_file("tokenizer", "tokenizer.bin", folder, watcher));
    static_cast<void>(files.push_back(second));
  }
  String text = TRY(manifest_text(name, generation, is_gguf ? "gguf" : "llama2c", files.view()));
  return write_text(path.view(), text.view());
}

Result<String> manifest_text(std::string_view name, u64 generation, std::string_view format,
                             std::span<const MadeFile> files) {
  String text;
  base::StringWriter out(text);
  base::format_to(out, "name = \"{}\"\ngeneration = {}\nformat = \"{}\"\n", name, generation,
                  format);
  auto has_list = [](const MadeFile& file) { return file.chunks_sha256.has_value(); };
  if (std::ranges::any_of(files, has_list)) out.write("format_version = 2\n");
  for (const MadeFile& file : files) {
    base::format_to(out, "\n[file.{}]\npath = \"{}\"\nsha256 = \"", file.table, file.path);
    base::write_hex(file.sha256, out);
    base::format_to(out, "\"\nsize = {}\n", file.bytes);
    if (!file.chunks_sha256.has_value()) continue;
    base::format_to(out, "chunk = {}\nchunks_sha256 = \"", kChunkBytes);
    base::write_hex(*file.chunks_sha256, out);
    out.write("\"\n");
  }
  TRY(out.status());
  TRY(parse_manifest(text.view()));
  return text;
}

Result<String> sign_manifest(std::string_view text, crypto::Ed25519Seed seed) {
  SignedText manifest = TRY(parse_signed(text));
  String out = TRY(String::from(manifest.signed_part));
  bool is_first = manifest.signatures.empty();
  if (is_first) TRY(out.append(out.view().ends_with('\n') ? "\n" : "\n\n"));
  crypto::Ed25519PublicKey key = TRY(crypto::ed25519_public_key(seed));
  Signature own{true, key_id(key), TRY(crypto::ed25519_sign(seed, bytes_of(out.view())))};
  // The table without a key's name is for readers that know one key. It stays with its key.
  const Signature* plain = &own;
  for (const Signature& other : manifest.signatures)
    if (other.named && other.key != own.key && other.bytes == manifest.signatures[0].bytes)
      plain = &other;
  base::StringWriter writer(out);
  write_table("[signature]", *plain, writer);
  for (const Signature& other : manifest.signatures)
    if (other.named && other.key != own.key) write_named(other, writer);
  write_named(own, writer);
  TRY(writer.status());
  TRY(parse_signed(out.view()));  // it may have become too long
  return out;
}

Result<String> sign_text(std::string_view text, std::string_view seed_path, KeyId& id) {
  SecretSeed seed;
  TRY(read_seed(seed_path, seed));
  id = key_id(TRY(crypto::ed25519_public_key(seed.bytes)));
  return sign_manifest(text, seed.bytes);
}

Result<KeyId> sign_bundle(std::string_view folder, std::string_view seed_path) {
  Bundle bundle = TRY(read_bundle(folder));
  KeyId id;
  String text = TRY(sign_text(bundle.text.view(), seed_path, id));
  String path = TRY(in_folder(folder, kManifestName));
  TRY(write_text(path.view(), text.view()));
  return id;
}

Result<Judgement> check_bundle(std::string_view folder, std::span<const TrustedKey> keys,
                               ProgressSink* watcher) {
  Bundle bundle = TRY(read_bundle(folder));
  Judgement judged = TRY(judge(bundle.manifest, keys.empty() ? trusted_keys() : keys, times_now()));
  if (judged.finding >= Finding::kBad) return fail(Errc::kCorrupt, judged.reason);
  for (const Payload* file : {&bundle.manifest.model, &bundle.manifest.tokenizer}) {
    if (!file->exists()) continue;
    String path = TRY(in_folder(folder, file->path));
    ChunkHashes chunks;
    Hashed hashed = TRY(hash_file(path.view(), watcher, file->has_chunks ? &chunks : nullptr));
    if (hashed.bytes != file->bytes)
      return fail(Errc::kCorrupt, "a file has another size than its manifest says");
    if (hashed.digest != file->sha256)
      return fail(Errc::kCorrupt, "a file's SHA-256 is not that of its manifest");
    if (!file->has_chunks) continue;
    Result<ChunkList> list = ChunkList::read(folder, *file);
    if (!list.has_value() && list.error().code == Errc::kNotFound) continue;
    if (!list.has_value()) return std::unexpected(list.error());
    if (!std::ranges::equal(list->list(), chunks.list()))
      return fail(Errc::kCorrupt, "the list of the model's chunks is not that of its bytes");
  }
  return judged;
}

}  // namespace service::bundle
