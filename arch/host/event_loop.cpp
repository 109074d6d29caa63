// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the twin's event loop with poll(2) over the watched descriptors and an eventfd.
#include "arch/host/event_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kernel/arch_contract.h"
#include "kernel/base/containers.h"

namespace host {
namespace {

struct Watch {
  int fd;
  Readiness readiness;
  void (*on_ready)(void*);
  void* context;
};
StaticVector<Watch, 64> watches;
u64 deadline = 0;  // ticks; 0 = none

int wake_fd() {
  static const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd;
}

timespec time_left(u64 ticks) {
  u64 now = arch::Cpu::now_ticks();
  u64 left = ticks > now ? ticks - now : 0;
  return {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
}

void handle_ready(const timespec* limit) {
  pollfd fds[watches.capacity() + 1];
  nfds_t count = 0;
  fds[count++] = {wake_fd(), POLLIN, 0};
  for (const Watch& w : watches)
    fds[count++] = {w.fd,
                    static_cast<short>(w.readiness == Readiness::kReadable ? POLLIN : POLLOUT), 0};
  if (ppoll(fds, count, limit, nullptr) <= 0) return;
  u64 rung = 0;
  if (fds[0].revents != 0 && read(wake_fd(), &rung, sizeof rung) < 0) rung = 0;
  // Handlers may add or remove watches, so each ready descriptor is looked up again.
  for (nfds_t i = 1; i < count; i++) {
    if (fds[i].revents == 0) continue;
    for (const Watch& w : watches) {
      if (w.fd != fds[i].fd) continue;
      w.on_ready(w.context);
      break;
    }
  }
}

}  // namespace

Result<void> watch(int fd, Readiness readiness, void (*on_ready)(void*), void* context) {
  unwatch(fd);
  if (!watches.push_back({fd, readiness, on_ready, context}))
    return fail(Errc::kFull, "too many watched descriptors");
  return {};
}

void unwatch(int fd) {
  usize kept = 0;
  for (usize i = 0; i < watches.size(); i++)
    if (watches[i].fd != fd) watches[kept++] = watches[i];
  watches.truncate(kept);
}

void wait_for_events() {
  timespec limit = deadline == 0 ? timespec{} : time_left(deadline);
  handle_ready(deadline == 0 ? nullptr : &limit);
}

void poll_events() {
  timespec none{};
  handle_ready(&none);
}

void set_wait_deadline(u64 ticks) {
  deadline = ticks;
}

void interrupt_wait() {
  u64 one = 1;
  if (write(wake_fd(), &one, sizeof one) < 0) return;  // the counter is full: a wake is pending
}

}  // namespace host
