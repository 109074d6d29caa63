// SPDX-License-Identifier: GPL-2.0-or-later
// Reading of model files.
#include "console/model_image.h"

#include <utility>

#include "kernel/sched/thread.h"

namespace console {
namespace {

constexpr usize kPieceBytes = 4 * kMiB;  // tens of milliseconds of a slow disk

Result<void> read_pieces(fs::File& file, std::span<Byte> out, const ModelImage::Place& place) {
  for (usize at = 0; at < out.size();) {
    usize read = TRY(file.read_at(at, out.subspan(at, std::min(kPieceBytes, out.size() - at))));
    if (read == 0) return fail(Errc::kCorrupt, "the file ends before its size");
    at += read;
    if (place.progress != nullptr) place.progress->update(place.before + at, place.total);
    if (place.io != nullptr && place.io->interrupted()) return fail(Errc::kCancelled, "stopped");
    sched::yield();
  }
  return {};
}

}  // namespace

Result<ModelImage> ModelImage::load(std::string_view path, const Place& place) {
  ModelImage image;
  image.file_ = TRY(fs::open(path));
  auto mapped = image.file_->map();
  if (mapped.has_value()) {
    image.bytes_ = *mapped;
    return image;
  }
  u64 size = image.file_->size();
  // Weights are read in place: 2 MiB pages cost the CPU fewer translations.
  usize align = size >= mm::kLargePageBytes ? mm::kLargePageBytes : mm::kPageBytes;
  image.pages_ = TRY(mm::allocate_pages(
      {.bytes = size, .purpose = mm::Purpose::kWeights, .align = align, .zeroed = false}));
  image.bytes_ = image.pages_.first(size);
  TRY(read_pieces(*image.file_, image.bytes_, place));
  image.file_.reset();
  return image;
}

void ModelImage::swap(ModelImage& other) {
  std::swap(file_, other.file_);
  std::swap(pages_, other.pages_);
  std::swap(bytes_, other.bytes_);
}

ModelImage::~ModelImage() {
  if (!pages_.empty()) mm::free_pages(pages_);
}

Result<Vector<Byte>> read_head(fs::File& file, usize limit) {
  Vector<Byte> head;
  TRY(head.resize(std::min<u64>(limit, file.size())));
  for (usize at = 0; at < head.size();) {
    usize read = TRY(file.read_at(at, head.view().subspan(at)));
    if (read == 0) return fail(Errc::kCorrupt, "the file ends before its size");
    at += read;
  }
  return head;
}

}  // namespace console
