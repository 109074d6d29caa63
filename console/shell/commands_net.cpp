// SPDX-License-Identifier: GPL-2.0-or-later
// The commands about the network: ip, ping, ss, net.
#include <charconv>

#include "console/shell/command.h"
#include "console/shell/net_bench.h"
#include "console/terminal/io.h"
#include "kernel/dev/registry.h"
#include "kernel/net/stack.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

Result<void> need_stack() {
  if (net::stack_running()) return {};
  return fail(Errc::kUnsupported,
              "this needs Marrow's own network: it is switched off, or this is the twin");
}

// Without a card the lists above are of the machine with itself.
void tell_without_card(base::Writer& out) {
  if (!devices::nets().empty()) return;
  out.write("no network card: nobody reaches this machine\n");
  if (const devices::DriverService* drivers = devices::driver_service(); drivers != nullptr)
    drivers->advise(out);
}

Result<void> run_ip(const Arguments&, base::Writer& out) {
  TRY(need_stack());
  net::describe_interfaces(out);
  tell_without_card(out);
  return {};
}
constexpr Command kIp{"ip", "ip", "addresses of this machine, gateways and name servers", run_ip};
CONSOLE_COMMAND(kIp);

Result<void> run_ss(const Arguments&, base::Writer& out) {
  TRY(need_stack());
  net::describe_sockets(out);
  return {};
}
constexpr Command kSs{"ss", "ss", "connections and open ports", run_ss};
CONSOLE_COMMAND(kSs);

Result<void> run_net(const Arguments& arguments, base::Writer& out) {
  TRY(need_stack());
  if (arguments.words.size() > 1 && arguments.words[1] == "bench")
    return run_net_bench(arguments, out);
  net::describe_counters(out);
  tell_without_card(out);
  return {};
}
constexpr Command kNet{
    "net", "net [bench HOST PORT send|receive|echo [MIB|ROUNDS]]",
    "protocol counters, the time of day; measures TCP throughput", run_net,
    "net bench needs a peer that checks the bytes: scripts/compare_linux.py contains\n"
    "one. By default MIB is 64 and ROUNDS of an echo is 1000. Ctrl-C stops."};
CONSOLE_COMMAND(kNet);

// ---- ping -----------------------------------------------------------------------------------

struct PingTotals {
  u32 sent = 0, answered = 0;
  u64 least = ~u64{0}, most = 0, sum = 0;
};

Result<void> ping_once(const net::IpAddress& address, PingTotals& totals, base::Writer& out) {
  constexpr u64 kAnswerNs = 2 * kNsPerSecond;
  auto sequence = static_cast<u16>(++totals.sent);
  Result<u64> took = net::ping(address, sequence, timing::now_ns() + kAnswerNs);
  if (!took.has_value()) {
    if (took.error().code != Errc::kTimeout) return std::unexpected(took.error());
    base::format_to(out, "{}: no answer\n", sequence);
    return {};
  }
  totals.answered++;
  totals.sum += *took;
  totals.least = std::min(totals.least, *took);
  totals.most = std::max(totals.most, *took);
  base::format_to(out, "{}: answer from ", sequence);
  net::write_address(out, address);
  base::format_to(out, " in {} ms\n", base::ratio(*took, 1'000'000, 3));
  return {};
}

Result<void> run_ping(const Arguments& arguments, base::Writer& out) {
  TRY(need_stack());
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "ping HOST [COUNT]");
  u32 count = 4;
  if (arguments.words.size() > 2) {
    std::string_view text = arguments.words[2];
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || end != text.data() + text.size() || count == 0)
      return fail(Errc::kInvalidArgument, "COUNT must be a number");
  }
  net::IpAddress address =
      TRY(net::resolve(arguments.words[1], timing::now_ns() + 10 * kNsPerSecond));
  PingTotals totals;
  while (totals.sent < count && !io().interrupted()) {
    if (totals.sent > 0) sched::sleep_ns(kNsPerSecond);
    TRY(ping_once(address, totals, out));
  }
  base::format_to(out, "{} sent, {} answered", totals.sent, totals.answered);
  if (totals.answered > 0)
    base::format_to(out, ", {} / {} / {} ms least, mean, most",
                    base::ratio(totals.least, 1'000'000, 3),
                    base::ratio(totals.sum, u64{totals.answered} * 1'000'000, 3),
                    base::ratio(totals.most, 1'000'000, 3));
  out.write("\n");
  if (totals.answered == 0) return fail(Errc::kTimeout, "nobody answered");
  return {};
}
constexpr Command kPing{"ping", "ping HOST [COUNT]", "sends echo requests to a machine", run_ping,
                        "HOST is a name or an IPv4 or IPv6 address; COUNT is 4 by default."};
CONSOLE_COMMAND(kPing);

}  // namespace
}  // namespace console
