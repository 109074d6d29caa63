// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the media.
#include "kernel/fs/medium.h"

namespace fs {
namespace {

Result<void> check(u64 offset, u64 bytes, u64 size) {
  if (offset > size || bytes > size - offset)
    return fail(Errc::kCorrupt, "the file system points past its end");
  return {};
}

}  // namespace

Result<void> write_zeros(Medium& medium, u64 at, u64 bytes) {
  constexpr usize kPiece = 64 * 1024;
  Vector<Byte> zeros;
  TRY(zeros.resize(static_cast<usize>(std::min<u64>(kPiece, bytes))));
  for (u64 done = 0; done < bytes;) {
    usize part = static_cast<usize>(std::min<u64>(zeros.size(), bytes - done));
    TRY(medium.write(at + done, zeros.view().first(part)));
    done += part;
  }
  return {};
}

Result<void> MediumPart::read(u64 offset, std::span<Byte> out) {
  TRY(check(offset, out.size(), size_));
  return whole_.read(offset_ + offset, out);
}

Result<void> MediumPart::write(u64 offset, std::span<const Byte> in) {
  TRY(check(offset, in.size(), size_));
  return whole_.write(offset_ + offset, in);
}

Result<void> MemoryMedium::read(u64 offset, std::span<Byte> out) {
  TRY(check(offset, out.size(), bytes_.size()));
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  return {};
}

Result<void> MemoryMedium::write(u64 offset, std::span<const Byte> in) {
  if (writable_.empty()) return fail(Errc::kPermission, "the disk is read-only: use another disk");
  TRY(check(offset, in.size(), writable_.size()));
  if (!in.empty()) std::memcpy(writable_.data() + offset, in.data(), in.size());
  return {};
}

void Turn::take() {
  while (taken_) waiting_.wait();
  taken_ = true;
}

void Turn::give() {
  taken_ = false;
  waiting_.wake_one();
}

Result<void> CachedMedium::init() {
  held_.fill(kNone);
  bytes_ = static_cast<Byte*>(base::allocate(kLineBytes * kLines, alignof(u64)));
  if (bytes_ == nullptr)
    return fail(Errc::kOutOfMemory, "no memory to cache a file system's tables");
  return {};
}

Result<std::span<const Byte>> CachedMedium::line(u64 index) {
  usize slot = index % kLines;
  auto room = std::span(bytes_ + slot * kLineBytes, kLineBytes);
  u64 start = index * kLineBytes;
  usize bytes = static_cast<usize>(std::min<u64>(kLineBytes, size() - start));
  if (held_[slot] != index) {
    held_[slot] = kNone;
    TRY(medium_.read(start, room.first(bytes)));
    held_[slot] = index;
  }
  return std::span<const Byte>(room.first(bytes));
}

Result<void> CachedMedium::read(u64 offset, std::span<Byte> out) {
  TRY(check(offset, out.size(), size()));
  if (out.size() >= kDirect) return medium_.read(offset, out);
  TurnGuard guard(turn_);
  while (!out.empty()) {
    auto bytes = TRY(line(offset / kLineBytes)).subspan(offset % kLineBytes);
    usize part = std::min(bytes.size(), out.size());
    std::memcpy(out.data(), bytes.data(), part);
    out = out.subspan(part);
    offset += part;
  }
  return {};
}

Result<void> CachedMedium::write(u64 offset, std::span<const Byte> in) {
  TRY(check(offset, in.size(), size()));
  if (in.empty()) return {};
  TurnGuard guard(turn_);
  for (u64& held : held_) {
    bool inside = held != kNone && held >= offset / kLineBytes &&
                  held <= (offset + in.size() - 1) / kLineBytes;
    if (inside) held = kNone;
  }
  return medium_.write(offset, in);
}

}  // namespace fs
