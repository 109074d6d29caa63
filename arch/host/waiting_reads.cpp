// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the reads: a queue, threads that take from it, and an eventfd as their interrupt.
#include "arch/host/waiting_reads.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "arch/host/event_loop.h"
#include "kernel/mm/memory.h"
#include "kernel/sched/thread.h"

namespace host {
namespace {

struct Job {
  int fd;
  u64 offset;
  std::span<Byte> out;
  i64 got = 0;
  int error = 0;
  std::atomic<bool> ended{false};
  Job* next = nullptr;
};

i64 read_all(int fd, u64 offset, std::span<Byte> out) {
  usize done = 0;
  while (done < out.size()) {
    i64 n = pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    done += static_cast<usize>(n);
    // A short read is the end of the file. Behind it an offset may not be aligned any more, which
    // a descriptor without cache refuses.
    if (n == 0 || done % mm::kPageBytes != 0) break;
  }
  return static_cast<i64>(done);
}

class Readers {
 public:
  // Returns false if there is no thread that could read.
  bool add(Job& job) {
    if (!start()) return false;
    pthread_mutex_lock(&mutex_);
    (last_ == nullptr ? first_ : last_->next) = &job;
    last_ = &job;
    pthread_cond_signal(&work_);
    pthread_mutex_unlock(&mutex_);
    return true;
  }
  void wait(const Job& job) {
    while (!job.ended.load(std::memory_order_acquire)) ended_.wait();
  }

 private:
  static constexpr u32 kThreads = 8;

  // The threads live as long as the process and handle no signals.
  bool start() {
    if (threads_ > 0) return true;
    event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    auto on_event = [](void* self) { static_cast<Readers*>(self)->on_ended(); };
    if (event_ < 0 || !watch(event_, Readiness::kReadable, on_event, this).has_value())
      return false;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (u32 i = 0; i < kThreads; i++) {
      pthread_t thread;
      auto entry = [](void* self) -> void* { static_cast<Readers*>(self)->run(); };
      if (pthread_create(&thread, nullptr, entry, this) != 0) break;
      pthread_detach(thread);
      threads_++;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return threads_ > 0;
  }

  void on_ended() {
    u64 rung = 0;
    if (read(event_, &rung, sizeof rung) < 0) return;  // another look has seen it
    ended_.wake_all();
  }

  [[noreturn]] void run() {
    for (;;) {
      pthread_mutex_lock(&mutex_);
      while (first_ == nullptr) pthread_cond_wait(&work_, &mutex_);
      Job& job = *first_;
      first_ = job.next;
      if (first_ == nullptr) last_ = nullptr;
      pthread_mutex_unlock(&mutex_);
      job.got = read_all(job.fd, job.offset, job.out);
      job.error = errno;
      job.ended.store(true, std::memory_order_release);  // the job may be gone from here on
      u64 one = 1;
      if (write(event_, &one, sizeof one) < 0) continue;  // the counter is full: it will be seen
    }
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t work_ = PTHREAD_COND_INITIALIZER;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  int event_ = -1;
  u32 threads_ = 0;
  sched::WaitQueue ended_;  // threads of CPU 0 that wait for their job
};

constinit Readers readers;

}  // namespace

i64 read_waiting(int fd, u64 offset, std::span<Byte> out) {
  Job job{.fd = fd, .offset = offset, .out = out};
  if (!readers.add(job)) return read_all(fd, offset, out);
  readers.wait(job);
  errno = job.error;
  return job.got;
}

}  // namespace host
