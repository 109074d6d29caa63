// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's console device: stdin and stdout, in raw mode if they are a terminal, restored at the
// end.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "arch/host/event_loop.h"
#include "arch/host/process.h"
#include "kernel/dev/terminal.h"
#include "kernel/log.h"

namespace host {
namespace {

constexpr char kInterruptByte = 0x03;
std::atomic<u32> interrupts{0};  // SIGINTs that were not read as bytes yet
termios saved;
std::atomic<bool> raw{false};
int interrupt_fd = -1;  // readable after a SIGINT

void on_interrupt(int) {
  int error = errno;
  interrupts.fetch_add(1);
  u64 one = 1;
  // A failed write means that the counter is full, so it is readable already.
  [[maybe_unused]] ssize_t written = ::write(interrupt_fd, &one, sizeof one);
  errno = error;
}

void on_fatal_signal(int signal) {
  restore_terminal();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

class StandardStreams final : public CharDevice {
 public:
  void start();
  const char* name() const override { return "stdio"; }
  void write(std::string_view text) override;
  int read() override;
  bool announces_input() const override { return true; }
  u32 columns() const override { return window().ws_col; }
  u32 rows() const override { return window().ws_row; }

 private:
  static winsize window() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
    return size;
  }
  void fill();
  void listen();
  static void on_readable(void* self);
  static void on_interrupted(void*);

  char buffer_[4096];
  usize first_ = 0, last_ = 0;
  bool ended_ = false;
};

void StandardStreams::start() {
  listen();
  interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (!watch(interrupt_fd, Readiness::kReadable, on_interrupted, nullptr).has_value()) return;
  if (isatty(STDIN_FILENO) == 0 || tcgetattr(STDIN_FILENO, &saved) != 0) return;
  termios changed = saved;
  cfmakeraw(&changed);
  changed.c_oflag |= OPOST | ONLCR;  // "\n" in the log still returns the carriage
  changed.c_cc[VMIN] = 0;
  changed.c_cc[VTIME] = 0;
  raw.store(tcsetattr(STDIN_FILENO, TCSANOW, &changed) == 0);
}

// stdin is watched only while the buffer is empty; otherwise poll(2) would return at once, for
// ever.
void StandardStreams::listen() {
  if (ended_) return;
  auto watched = watch(STDIN_FILENO, Readiness::kReadable, on_readable, this);
  if (!watched.has_value()) log::error("host", "stdin is not watched: {}", watched.error());
}

void StandardStreams::on_readable(void* self) {
  static_cast<StandardStreams*>(self)->fill();
  terminal::input_arrived();
}

void StandardStreams::on_interrupted(void*) {
  u64 count = 0;
  if (::read(interrupt_fd, &count, sizeof count) == sizeof count) terminal::input_arrived();
}

void StandardStreams::write(std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<usize>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd slow{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&slow, 1, 100);
    } else if (n < 0 && errno != EINTR) {
      return;  // nobody reads any more
    }
  }
}

// Reads the available input without waiting. The end of input is remembered and read as ^D once.
void StandardStreams::fill() {
  pollfd in{STDIN_FILENO, POLLIN, 0};
  if (ended_ || first_ < last_ || ::poll(&in, 1, 0) <= 0) return;
  ssize_t n = ::read(STDIN_FILENO, buffer_, sizeof buffer_);
  first_ = 0;
  last_ = n > 0 ? static_cast<usize>(n) : 0;
  if (n < 0 || (n == 0 && !raw.load())) {
    ended_ = true;
    buffer_[last_++] = 0x04;
  }
  if (last_ > 0) unwatch(STDIN_FILENO);
}

int StandardStreams::read() {
  if (interrupts.load() > 0) {
    interrupts.fetch_sub(1);
    return kInterruptByte;
  }
  if (first_ == last_) fill();
  if (first_ == last_) return -1;
  u8 byte = static_cast<u8>(buffer_[first_++]);
  if (first_ == last_) listen();
  return byte;
}

StandardStreams streams;

}  // namespace

CharDevice& standard_streams() {
  streams.start();
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  for (int signal : {SIGTERM, SIGHUP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    action.sa_handler = on_fatal_signal;
    sigaction(signal, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  return streams;
}

void restore_terminal() {
  if (raw.exchange(false)) tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

}  // namespace host
