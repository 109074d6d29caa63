// SPDX-License-Identifier: GPL-2.0-or-later
// The prefetch of a load: the option, small models, and what is found once.
#include "service/prefetch.h"

#include <string>

#include "kernel/base/test.h"
#include "kernel/options.h"
#include "tests/hosted/test_threads.h"

namespace {

constexpr u64 kSmall = 8 * kMiB, kLarge = 512 * kMiB;

std::string_view reason(const service::PrefetchChoice& choice) {
  return choice.reason;
}

}  // namespace

TEST(service_prefetch, the_option_is_obeyed_or_named) {
  test_threads::start();
  options::parse_command_line("prefetch=4096+16384");
  service::PrefetchChoice choice = service::choose_prefetch("auto", kLarge);
  EXPECT(choice.prefetch == (ai::Prefetch{4096, 16384}));
  EXPECT_EQ(reason(choice), std::string_view("by the option prefetch="));
  char text[80];
  base::BufferWriter out(text);
  service::print_prefetch(out, choice);
  EXPECT_EQ(out.view(), std::string_view("4096+16384 bytes ahead, by the option prefetch="));
  options::reset();
  options::parse_command_line("prefetch=far");
  choice = service::choose_prefetch("auto", kSmall);
  options::reset();  // as if it had not been given
  EXPECT(choice.prefetch == service::choose_prefetch("auto", kSmall).prefetch);
}

TEST(service_prefetch, small_models_measure_nothing_and_large_ones_once) {
  test_threads::start();
  service::PrefetchChoice choice = service::choose_prefetch("auto", kSmall);
  EXPECT(choice.prefetch == ai::kUsualPrefetch);
  EXPECT_EQ(reason(choice), std::string_view("the usual distance: the model is small"));
  EXPECT(service::choose_prefetch("no such", kLarge).prefetch == ai::kUsualPrefetch);

  service::PrefetchChoice first = service::choose_prefetch("auto", kLarge);
  if (reason(first).ends_with("memory to measure"))
    return test.skip("the probe needs 256 MiB of free memory");
  service::PrefetchChoice again = service::choose_prefetch("auto", kLarge);
  EXPECT(first.prefetch == again.prefetch);
  EXPECT_EQ(reason(first), reason(again));
}
