// SPDX-License-Identifier: GPL-2.0-or-later
// Reads, makes and signs update files.
#include "service/update/file.h"

#include <version.h>

#include <algorithm>
#include <charconv>

#include "kernel/arch_contract.h"
#include "kernel/base/bytes.h"
#include "kernel/base/hex.h"
#include "kernel/base/text.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "service/bundle/make.h"

namespace service::update {
namespace {

struct Machine {
  u16 elf;  // e_machine
  std::string_view name;
};
constexpr Machine kMachines[] = {{62, "x86_64"}, {183, "aarch64"}};

std::span<const Byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}

Result<void> write_all(fs::File& file, u64 at, std::span<const Byte> bytes) {
  if (TRY(file.write_at(at, bytes)) != bytes.size())
    return fail(Errc::kFull, "the disk is full: delete files");
  return {};
}

// Writes the kernel behind the head, and hashes it.
Result<crypto::Sha256Digest> copy_kernel(fs::File& in, fs::File& out, ProgressSink* watcher) {
  Vector<Byte> piece;
  TRY(piece.resize(kMiB));
  crypto::Sha256 sha;
  for (u64 at = 0; at < in.size(); sched::yield()) {
    usize read = TRY(in.read_at(at, piece.view()));
    if (read == 0) return fail(Errc::kCorrupt, "the kernel is shorter than its size says");
    sha.update(piece.view().first(read));
    TRY(write_all(out, kHeadBytes + at, piece.view().first(read)));
    at += read;
    if (watcher == nullptr) continue;
    watcher->on_progress(at, in.size());
    if (watcher->stopped()) return fail(Errc::kCancelled, "stopped");
  }
  return sha.finish();
}

Result<String> manifest_of(std::string_view version, std::string_view machine,
                           const crypto::Sha256Digest& digest, u64 bytes) {
  String text;
  base::StringWriter out(text);
  base::format_to(out, "name = \"marrow\"\nformat = \"{}\"\nversion = \"{}\"\nmachine = \"{}\"\n",
                  bundle::kKernelFormat, version, machine);
  out.write("\n[file.kernel]\npath = \"marrow.elf\"\nsha256 = \"");
  base::write_hex(digest, out);
  base::format_to(out, "\"\nsize = {}\n", bytes);
  TRY(out.status());
  return text;
}

}  // namespace

Result<Head> parse_head(std::span<const Byte> bytes) {
  if (bytes.size() != kHeadBytes)
    return fail(Errc::kCorrupt, "this is no update file: it is shorter than a head");
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  usize end = text.find_last_not_of('\0') + 1;  // 0 for zeros only
  Head head;
  head.text = TRY(String::from(text.substr(0, end)));
  Result<bundle::Manifest> manifest = bundle::parse_manifest(head.text.view());
  if (!manifest.has_value() || manifest->format != bundle::kKernelFormat)
    return fail(Errc::kCorrupt, "this is no update file: it has no manifest of a kernel");
  head.manifest = *manifest;
  if (head.kernel_bytes() > kMostKernelBytes)
    return fail(Errc::kCorrupt, "the manifest's kernel is larger than 256 MiB");
  TRY(parse_version(head.manifest.version));
  return head;
}

Result<void> write_head(std::string_view manifest, std::span<Byte, kHeadBytes> out) {
  if (manifest.size() > out.size())
    return fail(Errc::kFull, "the manifest has too many signatures");
  std::ranges::fill(out, Byte{0});
  std::ranges::copy(bytes_of(manifest), out.begin());
  return {};
}

Result<Version> parse_version(std::string_view text) {
  constexpr const char* kBad = "a version is one to four numbers with dots between them: 0.2.0";
  Version version;
  for (u32& part : version.parts) {
    bool last = !text.contains('.');
    std::string_view digits = base::split_off(text, '.');
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), part);
    if (error != std::errc() || end != digits.data() + digits.size())
      return fail(Errc::kInvalidArgument, kBad);
    if (last) return version;
  }
  return fail(Errc::kInvalidArgument, kBad);
}

std::string_view running_version() {
  return kMarrowVersion;
}

Result<std::string_view> machine_of(std::span<const Byte> elf) {
  constexpr std::string_view kMagic =
      "\x7f"
      "ELF";
  constexpr usize kMachineAt = 18, kLeast = 64;
  if (elf.size() >= kLeast && std::ranges::equal(elf.first(kMagic.size()), bytes_of(kMagic)))
    for (const Machine& machine : kMachines)
      if (base::load<u16>(elf.data() + kMachineAt) == machine.elf) return machine.name;
  return fail(Errc::kUnsupported, "this is no kernel's ELF: build/x86_64/marrow.elf is one");
}

std::string_view this_machine() {
  for (const Machine& machine : kMachines)
    if (machine.elf == arch::Cpu::kElfMachine) return machine.name;
  return "unknown";
}

Result<bundle::KeyId> judge_head(const Head& head, std::span<const bundle::TrustedKey> keys,
                                 std::string_view least, Older older) {
  bundle::Judgement judged = TRY(bundle::judge(head.manifest, keys, bundle::times_now()));
  if (judged.finding != bundle::Finding::kGood) {
    log::error("update", "the update is not accepted: {}",
               keys.empty() ? "this machine trusts no key (`keys`)" : judged.reason);
    return fail(Errc::kPermission,
                "an update must be signed by a key of this machine: `keys` lists them");
  }
  if (head.manifest.machine != this_machine()) {
    log::error("update", "the update is for {}, this is {}", head.manifest.machine, this_machine());
    return fail(Errc::kUnsupported, "the update is for another kind of machine");
  }
  Version offered = TRY(parse_version(head.manifest.version)), now = TRY(parse_version(least));
  if (offered < now && older == Older::kRefused) {
    log::error("update", "the update is {}, {} runs", head.manifest.version, least);
    return fail(Errc::kPermission,
                "the update is older than the running kernel: `update rollback` goes back to the "
                "kernel before this one");
  }
  return judged.key;
}

Result<String> make_update(std::string_view kernel_path, std::string_view out_path,
                           std::string_view version, ProgressSink* watcher) {
  TRY(parse_version(version));
  if (fs::stat(out_path).has_value())
    return fail(Errc::kInvalidArgument, "the update's file exists and is not overwritten");
  base::Owner<fs::File> in = TRY(fs::open(kernel_path));
  if (in->size() > kMostKernelBytes)
    return fail(Errc::kInvalidArgument, "the kernel is larger than 256 MiB");
  Byte start[64] = {};
  TRY(in->read_at(0, start));
  std::string_view machine = TRY(machine_of(start));
  base::Owner<fs::File> out = TRY(fs::create(out_path));
  Byte head[kHeadBytes] = {};
  TRY(write_all(*out, 0, head));
  crypto::Sha256Digest digest = TRY(copy_kernel(*in, *out, watcher));
  String manifest = TRY(manifest_of(version, machine, digest, in->size()));
  TRY(write_head(manifest.view(), head));
  TRY(parse_head(head));
  TRY(write_all(*out, 0, head));
  TRY(out->flush());
  return String::from(machine);
}

Result<bundle::KeyId> sign_update(std::string_view path, std::string_view seed_path) {
  base::Owner<fs::File> file = TRY(fs::open(path));
  Byte bytes[kHeadBytes];
  if (TRY(file->read_at(0, bytes)) != kHeadBytes)
    return fail(Errc::kCorrupt, "this is no update file: `update make` makes one");
  Head head = TRY(parse_head(bytes));
  bundle::KeyId id;
  String text = TRY(bundle::sign_text(head.text.view(), seed_path, id));
  TRY(write_head(text.view(), bytes));
  TRY(write_all(*file, 0, bytes));
  TRY(file->flush());
  return id;
}

}  // namespace service::update
