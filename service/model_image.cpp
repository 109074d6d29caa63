// SPDX-License-Identifier: GPL-2.0-or-later
// Reads model files into memory.
#include "service/model_image.h"

#include <utility>

#include "ai/gguf/layout.h"
#include "kernel/sched/thread.h"

namespace service {
namespace {

constexpr usize kPieceBytes = 4 * kMiB;  // a slow disk takes tens of milliseconds for one piece

// Reads a file from end to end on a thread of its own. The thread that started it follows with
// wait() and must call stop() before it destroys the reader.
class Reader {
 public:
  Reader(fs::File& file, std::span<Byte> out) : file_(file), out_(out) {}
  // Starts the thread. Call once. If there is no memory for a thread, the whole file is read here
  // before this returns.
  void start() {
    if (!sched::spawn("model-read", [](void* self) { static_cast<Reader*>(self)->run(); }, this))
      run();
  }
  // Sleeps until more than `seen` bytes have arrived or reading has ended. Returns the number of
  // bytes.
  Result<u64> wait(u64 seen) {
    while (arrived_ == seen && !ended_) news_.wait();
    if (arrived_ == seen) TRY(status_);
    return arrived_;
  }
  // Ends the reading after the piece under way, and sleeps until the thread has left this object.
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
    if (read == 0)
      return fail(Errc::kCorrupt,
                  "the file is shorter than its directory entry says: copy it again");
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

// Guesses whether loading will leave the weights as they are, by looking for the layout's key in
// the head. A wrong guess costs time and nothing else.
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
  if (place.wanted_bytes.has_value() && image.file_->size() != *place.wanted_bytes)
    return fail(Errc::kCorrupt, "a file has another size than its manifest says");
  if (auto mapped = image.file_->map(); mapped.has_value() && !place.copy) {
    image.bytes_ = *mapped;
    if (place.own || !seems_packed(image.bytes_)) TRY(image.file_->own());
    if (place.done != nullptr) *place.done = place.before + image.bytes_.size();
    return image;
  }
  u64 size = image.file_->size();
  // Weights are used where they are read to. With 2 MiB pages the CPU needs fewer address
  // translations.
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
    if (read == 0)
      return fail(Errc::kCorrupt,
                  "the file is shorter than its directory entry says: copy it again");
    at += read;
  }
  return head;
}

}  // namespace service
