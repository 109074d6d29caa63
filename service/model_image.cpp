// SPDX-License-Identifier: GPL-2.0-or-later
// Reading of model files.
#include "service/model_image.h"

#include <utility>

#include "ai/gguf/layout.h"
#include "kernel/sched/thread.h"

namespace service {
namespace {

constexpr usize kPieceBytes = 4 * kMiB;  // tens of milliseconds of a slow disk

// Reads a file from end to end; who started it follows.
class Reader {
 public:
  Reader(fs::File& file, std::span<Byte> out) : file_(file), out_(out) {}
  // Only once: without memory for a thread, at once and here.
  void start() {
    if (!sched::spawn("model-read", [](void* self) { static_cast<Reader*>(self)->run(); }, this))
      run();
  }
  // Until there are more than `seen` bytes, or no more will come: how many there are.
  Result<u64> wait(u64 seen) {
    while (arrived_ == seen && !ended_) news_.wait();
    if (arrived_ == seen) TRY(status_);
    return arrived_;
  }
  // The file's last byte, an error, or the piece on its way: then nothing of this is used any more.
  void stop() {
    stopped_ = true;
    while (!ended_) news_.wait();
  }

 private:
  void run() {
    while (arrived_ < out_.size() && !stopped_ && status_.has_value()) {
      status_ = read_piece();
      news_.wake_all();
      sched::yield();
    }
    ended_ = true;
    news_.wake_all();
  }
  Result<void> read_piece() {
    usize bytes = std::min(kPieceBytes, out_.size() - arrived_);
    usize read = TRY(file_.read_at(arrived_, out_.subspan(arrived_, bytes)));
    if (read == 0) return fail(Errc::kCorrupt, "the file ends before its size");
    arrived_ += read;
    return {};
  }

  fs::File& file_;
  std::span<Byte> out_;
  usize arrived_ = 0;
  Result<void> status_;
  bool stopped_ = false, ended_ = false;
  sched::WaitQueue news_;
};

Result<void> follow(Reader& reader, std::span<Byte> out, const ModelImage::Place& place) {
  for (u64 at = 0; at < out.size();) {
    at = TRY(reader.wait(at));
    if (place.done != nullptr) *place.done = place.before + at;
    if (place.watcher != nullptr) {
      place.watcher->on_progress(place.before + at, place.total);
      if (place.watcher->stopped()) return fail(Errc::kCancelled, "stopped");
    }
    if (place.arrival != nullptr) TRY(place.arrival->on_bytes(out, at));
  }
  return {};
}

Result<void> read_pieces(fs::File& file, std::span<Byte> out, const ModelImage::Place& place) {
  Reader reader(file, out);
  reader.start();
  Result<void> result = follow(reader, out, place);
  reader.stop();
  return result;
}

// Whether loading leaves the weights as they are: the layout's key is somewhere in the head. Only a
// guess, and a wrong one costs time, nothing else.
bool seems_packed(std::span<const Byte> file) {
  constexpr usize kLargestHead = 16 * kMiB;
  std::string_view head(reinterpret_cast<const char*>(file.data()),
                        std::min(file.size(), kLargestHead));
  return head.find(ai::kLayoutKey) != head.npos;
}

}  // namespace

Result<ModelImage> ModelImage::load(std::string_view path, const Place& place) {
  ModelImage image;
  image.file_ = TRY(fs::open(path));
  auto mapped = image.file_->map();
  if (mapped.has_value()) {
    image.bytes_ = *mapped;
    if (!seems_packed(image.bytes_)) TRY(image.file_->own());
    if (place.done != nullptr) *place.done = place.before + image.bytes_.size();
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

}  // namespace service
