// SPDX-License-Identifier: GPL-2.0-or-later
// SNTP (RFC 4330) by lwIP: asks at the start until replies agree, and then every hour. ntp_judge
// decides which replies are accepted; kernel/time/wall_clock keeps the time.
#include "kernel/net/ntp.h"

#include <lwip/apps/sntp.h>
#include <version.h>

#include <algorithm>

#include "kernel/log.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/net/lwip/port.h"
#include "kernel/net/ntp_judge.h"
#include "kernel/options.h"
#include "kernel/time/wall_clock.h"

namespace net {
namespace {

constexpr Option kNtp{"ntp", OptionKind::kText, "pool.ntp.org", "SERVER|off",
                      "time server, used when DHCP names none"};
KERNEL_OPTION(kNtp);

// RFC 4330, 10: never more often than every 15 s
constexpr u32 kSoonMs = 16'000, kHourMs = 3'600'000;
// the clock of the building machine may be slightly wrong
constexpr u64 kDay = 24 * TimeJudge::kHour;

constinit char server_name[128] = "";
constinit TimeJudge judge(kMarrowDate* TimeJudge::kSecond - kDay);

void log_refusal(TimeJudge::Verdict verdict, u64 told) {
  using enum TimeJudge::Verdict;
  char text[32];
  std::string_view date = timing::format_utc(text, told);
  if (verdict == kImpossible)
    log::warn("ntp", "{} UTC is refused: it is before this build, or decades after it", date);
  if (verdict == kFar)
    log::warn("ntp",
              "{} UTC is not accepted yet: it is far from this clock, so {} replies must agree",
              date, TimeJudge::kAgreeing);
  if (verdict == kBackwards)
    log::warn("ntp", "{} UTC is refused: this clock is never set back by hours", date);
}

void log_step(TimeJudge::Verdict verdict, u64 told, u64 before) {
  char text[32], old[32];
  bool confirmed = verdict == TimeJudge::Verdict::kConfirmed;
  if (before == 0)
    log::info("ntp", "the time is {} UTC", timing::format_utc(text, told));
  else if (told > before + TimeJudge::kNear || before > told + TimeJudge::kNear)
    log::warn("ntp", "the time goes from {} to {} UTC", timing::format_utc(old, before),
              timing::format_utc(text, told));
  if (confirmed && !timing::unix_time_confirmed())
    log::info("ntp", "the time is confirmed: {} replies agree", TimeJudge::kAgreeing);
}

void on_time(u64 told) {
  using enum TimeJudge::Verdict;
  u64 before = timing::unix_ns();
  TimeJudge::Verdict verdict = judge.judge(
      told, port::now_ns(), {.unix_ns = before, .confirmed = timing::unix_time_confirmed()});
  if (verdict != kTaken && verdict != kConfirmed) return log_refusal(verdict, told);
  log_step(verdict, told, before);
  timing::set_unix_ns(told, verdict == kConfirmed ? timing::Told::kConfirmed : timing::Told::kOnce);
  marrow_lwip_time_delay_ms = verdict == kConfirmed ? kHourMs : kSoonMs;
}

}  // namespace

void start_ntp() {
  std::string_view server = options::text(kNtp);
  if (server == "off") return;
  std::copy_n(server.data(), std::min(server.size(), sizeof server_name - 1), server_name);
  sntp_setoperatingmode(SNTP_OPMODE_POLL);
  const ip_addr_t* by_dhcp = sntp_getserver(0);
  if (options::given(kNtp) || by_dhcp == nullptr || ip_addr_isany(by_dhcp))
    sntp_setservername(0, server_name);
  sntp_init();
}

std::string_view ntp_server() {
  if (sntp_enabled() == 0) return "";
  const ip_addr_t* address = sntp_getserver(0);
  if (sntp_getservername(0) != nullptr) return server_name;
  static AddressText text(*IP4_ADDR_ANY);
  text = AddressText(*address);
  return text.view();
}

}  // namespace net

extern "C" {

uint32_t marrow_lwip_time_delay_ms = net::kHourMs;

void marrow_lwip_set_time(uint32_t unix_seconds, uint32_t microseconds) {
  net::on_time(u64{unix_seconds} * 1'000'000'000 + u64{microseconds} * 1000);
}

}  // extern "C"
