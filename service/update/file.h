// SPDX-License-Identifier: GPL-2.0-or-later
// Update files: 4,096 bytes with a signed manifest (service/bundle/manifest.h), filled up with
// zeros, and then a kernel. For threads of CPU 0; what has a path waits for disks.
#pragma once

#include "service/bundle/trust.h"
#include "service/progress_sink.h"

namespace service::update {

constexpr usize kHeadBytes = 4096;
constexpr u64 kMostKernelBytes = 256 * kMiB;

// A manifest and the text that it looks at. It can be moved, since the text stays where it is.
struct Head {
  String text;
  bundle::Manifest manifest;
  u64 kernel_bytes() const { return manifest.kernel.bytes; }
};
// Reads the first bytes of an update file, or what a slot has of them.
Result<Head> parse_head(std::span<const Byte> bytes);
Result<void> write_head(std::string_view manifest, std::span<Byte, kHeadBytes> out);

// A version of numbers: "0.2.0" is below "0.10".
struct Version {
  std::array<u32, 4> parts{};
  auto operator<=>(const Version&) const = default;
};
Result<Version> parse_version(std::string_view text);
std::string_view running_version();

// Returns the name of the machine that an ELF kernel is for ("x86_64"), or kUnsupported.
Result<std::string_view> machine_of(std::span<const Byte> elf);
std::string_view this_machine();

// Judges what may become the kernel of this machine: signed by a key that it trusts, whatever
// verify= says, for its kind of CPU, and not below `least` (the version that runs).
enum class Older : u8 { kRefused, kAllowed };
Result<bundle::KeyId> judge_head(const Head& head, std::span<const bundle::TrustedKey> keys,
                                 std::string_view least, Older older);

// Makes an update file without a signature from a kernel's ELF. Returns its machine's name.
Result<String> make_update(std::string_view kernel_path, std::string_view out_path,
                           std::string_view version, ProgressSink* watcher);
// Adds a signature to an update file. Returns the key's id.
Result<bundle::KeyId> sign_update(std::string_view path, std::string_view seed_path);

}  // namespace service::update
