// SPDX-License-Identifier: GPL-2.0-or-later
// Implements resolve(): a thread waits for lwIP's answer. An answer that comes too late frees its
// own record.
#include "kernel/net/stack.h"

#include <lwip/dns.h>
#include <lwip/netif.h>

#include <algorithm>

#include "kernel/base/memory.h"
#include "kernel/net/lwip/convert.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace net {
namespace {

constinit sched::WaitQueue answers;

struct Question {
  bool answered = false;
  bool abandoned = false;  // nobody waits any more, so the answer frees this
  bool found = false;
  ip_addr_t address{};
};

void on_answer(const char*, const ip_addr_t* address, void* argument) {
  base::Owner<Question> question(static_cast<Question*>(argument));
  if (question->abandoned) return;
  question->answered = true;
  question->found = address != nullptr;
  if (address != nullptr) question->address = *address;
  (void)question.release();  // the waiting thread frees it
  answers.wake_all();
}

// A link-local address does not say which link it is on. This assumes the first interface's.
void add_zone(ip_addr_t& address) {
  if (!IP_IS_V6_VAL(address) || netif_default == nullptr) return;
  if (ip6_addr_lacks_zone(ip_2_ip6(&address), IP6_UNKNOWN))
    ip6_addr_assign_zone(ip_2_ip6(&address), IP6_UNKNOWN, netif_default);
}

}  // namespace

Result<IpAddress> resolve(std::string_view name, u64 deadline_ns) {
  char text[DNS_MAX_NAME_LENGTH];
  if (name.empty() || name.size() >= sizeof text)
    return fail(Errc::kInvalidArgument, "a host name must have 1 to 255 characters");
  std::copy(name.begin(), name.end(), text);
  text[name.size()] = '\0';
  base::Owner<Question> question = TRY(base::make<Question>());
  err_t error = dns_gethostbyname(text, &question->address, on_answer, question.get());
  if (error == ERR_OK) {
    add_zone(question->address);
    return from_lwip(question->address);
  }
  if (error != ERR_INPROGRESS) return fail(Errc::kNotFound, "no name server is known");
  while (!question->answered && timing::now_ns() < deadline_ns) answers.wait(deadline_ns);
  if (!question->answered) {
    question->abandoned = true;
    (void)question.release();  // on_answer frees it
    return fail(Errc::kTimeout, "the name servers did not answer in time");
  }
  if (!question->found) return fail(Errc::kNotFound, "no such name");
  return from_lwip(question->address);
}

}  // namespace net
