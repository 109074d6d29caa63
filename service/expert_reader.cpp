// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the reader: a queue that threads of CPU 0 share with the engine's, and the probe of a
// disk's rate.
#include "service/expert_reader.h"

#include <algorithm>

#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace service {
namespace {

constexpr u32 kThreads = 8;
constexpr u64 kLookNs = 10'000'000;  // the longest sleep in wait()

constinit ExpertReader* first_reader = nullptr;  // of all that exist

}  // namespace

// The queue. It belongs to the reader and the threads together; the last of them destroys it.
struct ExpertReader::Shared {
  Vector<base::Owner<fs::File>> parts;
  ai::FileRead* first = nullptr;
  ai::FileRead* last = nullptr;
  u32 users = 1;      // the reader and the threads
  u32 under_way = 0;  // reads that a thread has taken
  bool closed = false;
  sched::WaitQueue work, news;

  ai::FileRead* take() {
    ai::FileRead* read = first;
    if (read == nullptr) return nullptr;
    first = read->next;
    if (first == nullptr) last = nullptr;
    return read;
  }
  Result<void> read_now(const ai::FileRead& read) {
    ASSERT(read.part < parts.size());
    usize got = TRY(parts[read.part]->read_at(read.offset, read.out));
    if (got < read.least)
      return fail(Errc::kIo, "the file is shorter than it was when the model was loaded");
    return {};
  }
  void run() {
    while (!closed) {
      ai::FileRead* read = take();
      if (read == nullptr) {
        work.wait();
        continue;
      }
      under_way++;
      read->status = read_now(*read);
      read->ended = true;
      under_way--;
      news.wake_all();
    }
    leave(*this);
  }
  static void leave(Shared& shared) {
    if (--shared.users == 0) base::Owner<Shared> last_one(&shared);
  }
};

Result<base::Owner<ExpertReader>> ExpertReader::open(const ModelFile& file) {
  Vector<base::Owner<fs::File>> parts;
  for (u32 i = 0; i < file.parts; i++) {
    String path = TRY(part_path(file, i));
    TRY(parts.push_back(TRY(fs::open(path.view()))));
  }
  return create(std::move(parts));
}

Result<base::Owner<ExpertReader>> ExpertReader::create(Vector<base::Owner<fs::File>> parts) {
  auto shared = TRY(base::make<Shared>());
  shared->parts = std::move(parts);
  auto reader = TRY(base::make<ExpertReader>(*shared));
  Shared& queue = *shared.release();
  for (u32 i = 0; i < kThreads; i++) {
    auto entry = [](void* self) { static_cast<Shared*>(self)->run(); };
    if (!sched::spawn("expert-read", entry, &queue).has_value()) break;
    queue.users++;
  }
  if (queue.users == 1)
    return fail(Errc::kOutOfMemory, "no memory for a thread that reads experts");
  return reader;
}

ExpertReader::ExpertReader(Shared& shared) : shared_(&shared), next_reader_(first_reader) {
  first_reader = this;
}

const ExpertReader::Facts* ExpertReader::of(std::string_view path) {
  for (const ExpertReader* reader = first_reader; reader != nullptr; reader = reader->next_reader_)
    if (reader->facts.figures != nullptr && reader->facts.path.view() == path)
      return &reader->facts;
  return nullptr;
}

ExpertReader::~ExpertReader() {
  ExpertReader** link = &first_reader;
  while (*link != this) link = &(*link)->next_reader_;
  *link = next_reader_;
  ASSERT(shared_->first == nullptr && shared_->under_way == 0);
  shared_->closed = true;
  shared_->work.wake_all();
  Shared::leave(*shared_);
}

void ExpertReader::begin(ai::FileRead& read) {
  read.ended = false;
  read.next = nullptr;
  (shared_->last == nullptr ? shared_->first : shared_->last->next) = &read;
  shared_->last = &read;
  shared_->work.wake_one();
}

void ExpertReader::start() {
  sched::yield();
}

void ExpertReader::wait() {
  sched::assert_thread();
  shared_->news.wait(timing::now_ns() + kLookNs);
}

void ExpertReader::stop() {
  while (ai::FileRead* read = shared_->take()) {
    read->status = fail(Errc::kCancelled, "stopped");
    read->ended = true;
  }
  while (shared_->under_way > 0) wait();
}

u64 ExpertReader::part_bytes(u32 part) const {
  ASSERT(part < shared_->parts.size());
  return shared_->parts[part]->size();
}

// ---- the probe -----------------------------------------------------------------------------

namespace {

// Pages that are given back by the destructor.
class Room {
 public:
  static Result<Room> create(usize bytes) {
    return Room(
        TRY(mm::allocate_pages({.bytes = bytes, .purpose = mm::Purpose::kFiles, .zeroed = false})));
  }
  Room(Room&& other) noexcept : pages_(std::exchange(other.pages_, {})) {}
  Room& operator=(Room&&) = delete;
  ~Room() {
    if (!pages_.empty()) mm::free_pages(pages_);
  }
  std::span<Byte> piece(usize index, usize bytes) const {
    return pages_.subspan(index * bytes, bytes);
  }

 private:
  explicit Room(std::span<Byte> pages) : pages_(pages) {}
  std::span<Byte> pages_;
};

}  // namespace

Result<DiskRate> measure_disk(const ModelFile& file) {
  constexpr usize kPieceBytes = kMiB, kMostBytes = 64 * kMiB;
  constexpr u64 kMostNs = 1'000'000'000;  // a slow disk is known after a second
  auto reader = TRY(ExpertReader::open(file));
  Room room = TRY(Room::create(kThreads * kPieceBytes));
  u64 bytes = std::min<u64>(reader->part_bytes(0), kMostBytes), at = 0;
  u64 begin = timing::now_ns();
  DiskRate rate;
  while (at < bytes && timing::now_ns() - begin < kMostNs) {
    ai::FileRead reads[kThreads];
    for (u32 i = 0; i < kThreads && at < bytes; i++, at += kPieceBytes) {
      reads[i] = {.offset = at, .out = room.piece(i, kPieceBytes), .status = {}};
      reader->begin(reads[i]);
      rate.bytes += std::min<u64>(kPieceBytes, bytes - at);
    }
    for (const ai::FileRead& read : reads)
      while (!read.ended) reader->wait();
    for (ai::FileRead& read : reads) TRY(read.status);
  }
  rate.ns = timing::now_ns() - begin;
  return rate;
}

}  // namespace service
