// SPDX-License-Identifier: GPL-2.0-or-later
// Boot options: sources, quoting, bounds, and the messages about wrong ones.
#include <string>

#include "kernel/base/nearest.h"
#include "kernel/base/test.h"
#include "kernel/log.h"
#include "kernel/options.h"

namespace {

constexpr Option kFlag{"test.flag", OptionKind::kFlag, "", "", "a flag", "other.flag"};
constexpr Option kCount{"test.count", OptionKind::kNumber, "3", "1..64", "a number"};
constexpr Option kBytes{"test.bytes", OptionKind::kNumber, "4K", "0..", "an open range"};
constexpr Option kWords{"test.words", OptionKind::kText, "", "TEXT", "words"};
constexpr Option kChoice{"test.choice", OptionKind::kChoice, "a", "a|bb|c", "a choice"};
KERNEL_OPTION(kFlag);
KERNEL_OPTION(kCount);
KERNEL_OPTION(kBytes);
KERNEL_OPTION(kWords);
KERNEL_OPTION(kChoice);

struct Clean {
  Clean() { options::reset(); }
  ~Clean() { options::reset(); }
};

std::string last_log_line() {
  String text;
  base::StringWriter out(text);
  log::replay(out, 1);
  return std::string(text.view());
}

}  // namespace

TEST(options, defaults) {
  Clean clean;
  EXPECT(!options::flag(kFlag));
  EXPECT(!options::given(kFlag));
  EXPECT_EQ(options::number(kCount), u64{3});
  EXPECT_EQ(options::number(kBytes), u64{4096});
  EXPECT_EQ(options::text(kChoice), "a");
}

TEST(options, command_line_forms) {
  Clean clean;
  options::parse_command_line(
      "  test.flag test.count=0x10 test.words=\"a b \\\"c\\\"\" test.choice=bb");
  EXPECT(options::flag(kFlag));
  EXPECT_EQ(options::number(kCount), u64{16});
  EXPECT_EQ(options::text(kWords), "a b \"c\"");
  EXPECT_EQ(options::text(kChoice), "bb");
  options::parse_command_line("\"test.words=help; poweroff\" test.flag=no");  // GRUB's quoting
  EXPECT_EQ(options::text(kWords), "help; poweroff");
  EXPECT(!options::flag(kFlag));
  options::parse_command_line("other.flag=1");
  EXPECT(options::flag(kFlag));
}

TEST(options, file_is_weaker_than_the_command_line) {
  Clean clean;
  options::parse_command_line("test.count=5");
  options::parse_file("# comment\r\ntest.count = 9\r\n\n test.words = two words \r\ntest.flag\n");
  EXPECT_EQ(options::number(kCount), u64{5});
  EXPECT_EQ(options::text(kWords), "two words");
  EXPECT(options::flag(kFlag));
  options::parse_file("test.words=\"  kept  \"\ntest.bytes=2M");
  EXPECT_EQ(options::text(kWords), "  kept  ");
  EXPECT_EQ(options::number(kBytes), u64{2} << 20);
}

TEST(options, bad_values_leave_the_old_one_and_say_why) {
  Clean clean;
  options::parse_command_line("test.count=7");
  for (const char* bad : {"test.count=65", "test.count=0", "test.count=x",
                          "test.count=", "test.count=99999999999999999999999", "test.count"}) {
    options::parse_command_line(bad);
    EXPECT_EQ(options::number(kCount), u64{7});
  }
  EXPECT(last_log_line().find("1..64") != std::string::npos);
  options::parse_command_line("test.choice=b test.flag=maybe");
  EXPECT_EQ(options::text(kChoice), "a");
  EXPECT(!options::given(kFlag));
}

TEST(options, unknown_key_warns_with_the_nearest) {
  Clean clean;
  options::parse_command_line("test.cuont=7");
  EXPECT(last_log_line().find("did you mean 'test.count'") != std::string::npos);
  options::parse_command_line("zzzzzzzzz");
  EXPECT(last_log_line().find("did you mean") == std::string::npos);
  options::parse_file("# a comment\n\ntest.cuont=7\n");
  EXPECT(last_log_line().find(
             "line 3 of marrow.cfg: unknown option 'test.cuont': did you mean 'test.count'") !=
         std::string::npos);
  options::parse_file("test.count=many\n");
  EXPECT(last_log_line().find("line 1 of marrow.cfg: ") != std::string::npos);
}

TEST(options, an_argument_is_judged_and_not_set) {
  Clean clean;
  constexpr struct {
    const char *word, *answer;
  } kRows[] = {{"test.count=7", ""},
               {"test.flag", ""},
               {"test.words=spaces and \"quotes\"", ""},
               {"test.cuont=7", "unknown option 'test.cuont': did you mean 'test.count'?"},
               {"test.count=many", "not a number"},
               {"zzzzzzzzz", "unknown option 'zzzzzzzzz'"}};
  for (const auto& row : kRows) {
    char buffer[200];
    base::BufferWriter why(buffer);
    EXPECT_EQ(options::judge(row.word, why).has_value(), row.answer[0] == 0);
    EXPECT(why.view().contains(row.answer) && why.view().empty() == (row.answer[0] == 0));
  }
  EXPECT(!options::given(kCount) && !options::given(kFlag) && !options::given(kWords));
}

TEST(options, no_room_is_a_warning) {
  Clean clean;
  std::string longest = "test.words=\"" + std::string(5000, 'x') + "\" test.flag";
  options::parse_command_line(longest);
  EXPECT_EQ(options::text(kWords), "");
  EXPECT(options::flag(kFlag));
  for (u32 i = 1; i < 60; i++)
    options::parse_command_line("test.words=" + std::string(i * 64, 'y'));
  EXPECT(options::text(kWords).size() > 64);
}

TEST(options, pages_come_from_the_table) {
  Clean clean;
  options::parse_command_line("test.count=8");
  String text;
  base::StringWriter out(text);
  options::list(out);
  EXPECT(text.view().find("test.count=1..64") != std::string_view::npos);
  EXPECT(text.view().find("[now: 8]") != std::string_view::npos);
  text.clear();
  options::list_markdown(out);
  EXPECT(text.view().find("| `test.flag`, `other.flag` | flag |") != std::string_view::npos);
  EXPECT(text.view().find("a, bb, c") != std::string_view::npos);
}

TEST(options, edit_distance) {
  EXPECT_EQ(base::edit_distance("kitten", "sitting"), usize{3});
  EXPECT_EQ(base::edit_distance("", "abc"), usize{3});
  EXPECT_EQ(base::edit_distance("ab", "ba"), usize{1});
  EXPECT_EQ(base::edit_distance("same", "same"), usize{0});
  base::Nearest near("pwoeroff");
  near.consider("perf");
  near.consider("poweroff");
  EXPECT_EQ(near.best(), "poweroff");
}
