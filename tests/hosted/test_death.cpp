// SPDX-License-Identifier: GPL-2.0-or-later
// Tests of what ends the program: a child process dies, its parent reads why.
#include "tests/hosted/test_death.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "kernel/base/test.h"

namespace {

[[noreturn]] void run_child(int output, const std::function<void()>& body) {
  rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGABRT, SIG_DFL);
  alarm(20);  // a body that waits for ever is ended by another signal
  dup2(output, 2);
  body();
  _exit(0);
}

}  // namespace

std::string death_of(const std::function<void()>& body) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  std::fflush(nullptr);  // else the child would write it once more
  pid_t child = fork();
  if (child < 0) return {};
  if (child == 0) run_child(ends[1], body);
  close(ends[1]);
  std::string text;
  char part[512];
  for (ssize_t n = read(ends[0], part, sizeof part); n > 0; n = read(ends[0], part, sizeof part))
    text.append(part, static_cast<usize>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "the child did not end";
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : std::string();
}

TEST(death, only_an_abort_is_one) {
  EXPECT(death_of([] { ASSERT(1 + 1 == 3); }).find("1 + 1 == 3") != std::string::npos);
  EXPECT_EQ(death_of([] { std::fputs("alive", stderr); }), "");
  EXPECT_EQ(death_of([] { raise(SIGTERM); }), "");
  EXPECT_EQ(death_of([] { raise(SIGALRM); }), "the child did not end");
}
