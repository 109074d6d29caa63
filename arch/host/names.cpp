// SPDX-License-Identifier: GPL-2.0-or-later
// Implements resolve() with getaddrinfo(3).
#include "arch/host/names.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "arch/host/event_loop.h"
#include "kernel/sched/context.h"
#include "kernel/sched/thread.h"
#include "kernel/time/clock.h"

namespace host {
namespace {

// Both threads hold one; the last one frees it.
struct Question {
  explicit Question(std::string_view asked) : name(asked), bell(eventfd(0, EFD_CLOEXEC)) {}
  ~Question() { close(bell); }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  std::string name;
  int bell;
  int error = 0;
  net::Addresses found;
  std::atomic<bool> answered = false;
  sched::WaitQueue news;  // of CPU 0's thread alone
};

void keep(const addrinfo& row, net::Addresses& out) {
  net::IpAddress address;
  address.v6 = row.ai_family == AF_INET6;
  if (address.v6)
    std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(row.ai_addr)->sin6_addr, 16);
  else if (row.ai_family == AF_INET)
    std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in*>(row.ai_addr)->sin_addr, 4);
  else
    return;
  static_cast<void>(out.push_back(address));  // a name with more addresses is reached by the first
}

void ask(const std::shared_ptr<Question>& question) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* rows = nullptr;
  question->error = getaddrinfo(question->name.c_str(), nullptr, &hints, &rows);
  for (addrinfo* row = rows; row != nullptr; row = row->ai_next) keep(*row, question->found);
  if (rows != nullptr) freeaddrinfo(rows);
  question->answered = true;
  u64 one = 1;
  if (write(question->bell, &one, sizeof one) < 0) return;  // nobody listens any more
}

// The process's signals are for its first thread.
void start(const std::shared_ptr<Question>& question) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([question] { ask(question); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

Result<net::Addresses> resolve(std::string_view name, u64 deadline_ns) {
  sched::assert_thread();
  auto question = std::make_shared<Question>(name);
  auto ring = [](void* context) { static_cast<Question*>(context)->news.wake_all(); };
  TRY(host::watch(question->bell, Readiness::kReadable, ring, question.get()));
  start(question);
  while (!question->answered && timing::now_ns() < deadline_ns) question->news.wait(deadline_ns);
  host::unwatch(question->bell);
  if (!question->answered) return fail(Errc::kTimeout, "the name servers did not answer in time");
  if (question->error != 0 || question->found.empty())
    return fail(Errc::kNotFound, "the host's name is not known: check it, and the name server");
  return question->found;
}

}  // namespace host
