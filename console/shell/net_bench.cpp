// SPDX-License-Identifier: GPL-2.0-or-later
// Measures one TCP connection.
//
// It connects and sends what it wants: 's' (send to the peer), 'r' (receive) or 'e' (8 bytes there
// and back, one at a time), then the number of bytes or rounds in 8 bytes, little-endian. The bytes
// repeat a period of 1,048,573 bytes of splitmix64's numbers from seed 1; the length is prime, so
// that a lost, doubled or moved segment shows. After receiving, the peer answers "ok" or "bad".
// scripts/compare_linux.py is such a peer.
#include "console/shell/net_bench.h"

#include <charconv>

#include "console/terminal/io.h"
#include "kernel/base/bytes.h"
#include "kernel/net/stack.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr usize kPeriod = 1'048'573, kPiece = 256 * kKiB;
constexpr u64 kNsPerSecond = 1'000'000'000, kSilenceNs = 60 * kNsPerSecond;
constexpr u64 kHangUpNs = 100'000'000;

sched::WaitQueue& news() {
  static constinit sched::WaitQueue queue;
  return queue;
}

// The period, followed by its first kPiece bytes again, so that every piece is contiguous.
Result<Vector<char>> make_pattern() {
  Vector<char> bytes;
  TRY(bytes.resize(base::round_up(kPeriod + kPiece, sizeof(u64))));
  u64 state = 1;
  for (usize at = 0; at < kPeriod; at += sizeof(u64)) {
    u64 z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    std::memcpy(bytes.data() + at, &z, sizeof z);
  }
  std::memcpy(bytes.data() + kPeriod, bytes.data(), kPiece);
  return bytes;
}

class Bench {
 public:
  static Result<Bench> create(const net::IpAddress& address, u16 port);
  Result<void> send(u64 bytes);
  Result<void> receive(u64 bytes);
  Result<void> echo(u64 rounds);
  u64 took_ns() const { return took_ns_; }

 private:
  Bench(base::Owner<net::Socket> socket, Vector<char> pattern)
      : socket_(std::move(socket)), pattern_(std::move(pattern)) {}
  Result<void> ask(char what, u64 count);
  Result<void> write(std::string_view bytes);
  Result<usize> read(std::span<char> into);
  Result<void> read_all(std::span<char> into);
  // Sleeps until something has happened. Returns an error after a minute without news.
  Result<void> wait(u64 since);

  base::Owner<net::Socket> socket_;
  Vector<char> pattern_;
  u64 took_ns_ = 0;
  u64 next_look_ns_ = 0;
};

Result<Bench> Bench::create(const net::IpAddress& address, u16 port) {
  Vector<char> pattern = TRY(make_pattern());
  static constinit bool listening = false;
  if (!listening) {
    net::network()->on_activity([](void*) { news().wake_all(); }, nullptr);
    listening = true;
  }
  return Bench(TRY(net::connect(address, port)), std::move(pattern));
}

Result<void> Bench::wait(u64 since) {
  u64 now = timing::now_ns();
  if (now >= next_look_ns_) {  // asking for Ctrl-C costs a read of the serial port
    next_look_ns_ = now + kHangUpNs;
    if (io().interrupted()) return fail(Errc::kCancelled, "interrupted");
  }
  if (now - since > kSilenceNs) return fail(Errc::kTimeout, "the peer is silent");
  news().wait(now + kHangUpNs);
  return {};
}

Result<void> Bench::write(std::string_view bytes) {
  u64 since = timing::now_ns();
  while (!bytes.empty()) {
    Result<usize> n = socket_->write(bytes);
    if (n.has_value()) {
      bytes.remove_prefix(*n);
      since = timing::now_ns();
    } else if (n.error().code == Errc::kBusy) {
      TRY(wait(since));
    } else {
      return std::unexpected(n.error());
    }
  }
  return {};
}

Result<usize> Bench::read(std::span<char> into) {
  u64 since = timing::now_ns();
  for (;;) {
    Result<usize> n = socket_->read(into);
    if (n.has_value() && *n == 0) return fail(Errc::kIo, "the peer has hung up");
    if (n.has_value() || n.error().code != Errc::kBusy) return n;
    TRY(wait(since));
  }
}

Result<void> Bench::read_all(std::span<char> into) {
  while (!into.empty()) into = into.subspan(TRY(read(into)));
  return {};
}

Result<void> Bench::ask(char what, u64 count) {
  char request[9] = {what};
  std::memcpy(request + 1, &count, sizeof count);
  return write({request, sizeof request});
}

Result<void> Bench::send(u64 bytes) {
  TRY(ask('s', bytes));
  u64 start = timing::now_ns();
  usize phase = 0;
  for (u64 left = bytes; left > 0;) {
    usize part = static_cast<usize>(std::min<u64>(left, kPiece));
    TRY(write({pattern_.data() + phase, part}));
    phase = (phase + part) % kPeriod;
    left -= part;
  }
  char verdict[2];
  TRY(read_all(verdict));
  took_ns_ = timing::now_ns() - start;
  if (std::string_view(verdict, 2) != "ok")
    return fail(Errc::kCorrupt, "the bytes arrived changed");
  return {};
}

Result<void> Bench::receive(u64 bytes) {
  TRY(ask('r', bytes));
  Vector<char> room;
  TRY(room.resize(kPiece));
  u64 start = timing::now_ns();
  usize phase = 0;
  for (u64 left = bytes; left > 0;) {
    usize most = static_cast<usize>(std::min<u64>(left, kPiece));
    usize n = TRY(read(room.view().first(most)));
    if (std::memcmp(room.data(), pattern_.data() + phase, n) != 0)
      return fail(Errc::kCorrupt, "the bytes arrived changed");
    phase = (phase + n) % kPeriod;
    left -= n;
  }
  took_ns_ = timing::now_ns() - start;
  return {};
}

Result<void> Bench::echo(u64 rounds) {
  TRY(ask('e', rounds));
  u64 start = timing::now_ns();
  for (u64 i = 0; i < rounds; i++) {
    char there[8], back[8];
    std::memcpy(there, &i, sizeof i);
    TRY(write({there, sizeof there}));
    TRY(read_all(back));
    if (std::memcmp(there, back, sizeof there) != 0)
      return fail(Errc::kCorrupt, "the bytes arrived changed");
  }
  took_ns_ = timing::now_ns() - start;
  return {};
}

Result<u64> number(std::string_view text, u64 most) {
  u64 value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > most)
    return fail(Errc::kInvalidArgument, "the number is out of range");
  return value;
}

}  // namespace

Result<void> run_net_bench(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 5)
    return fail(Errc::kInvalidArgument, "net bench HOST PORT send|receive|echo [MIB|ROUNDS]");
  std::string_view what = arguments.words[4];
  u64 port = TRY(number(arguments.words[3], 65535));
  u64 count = what == "echo" ? 1000 : 64;
  if (arguments.words.size() > 5) count = TRY(number(arguments.words[5], 1 << 20));
  net::IpAddress address =
      TRY(net::resolve(arguments.words[2], timing::now_ns() + 10 * kNsPerSecond));
  Bench bench = TRY(Bench::create(address, static_cast<u16>(port)));
  if (what == "echo") {
    TRY(bench.echo(count));
    base::format_to(out, "{} round trips, {} us each\n", count,
                    base::ratio(bench.took_ns(), count * 1000, 1));
    return {};
  }
  if (what == "send") {
    TRY(bench.send(count * kMiB));
  } else if (what == "receive") {
    TRY(bench.receive(count * kMiB));
  } else {
    return fail(Errc::kInvalidArgument, "send, receive or echo");
  }
  u64 took = std::max<u64>(bench.took_ns(), 1);
  base::format_to(out, "{} MiB, every byte as expected, in {} ms, {} MiB/s\n", count,
                  base::ratio(took, 1'000'000, 1), base::ratio(count * kNsPerSecond, took, 1));
  return {};
}

}  // namespace console
