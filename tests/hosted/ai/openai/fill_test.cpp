// SPDX-License-Identifier: GPL-2.0-or-later
// Texts with a gap: /infill, and "suffix" of /v1/completions. The fake's marks are letters, so the
// prompt that the engine gets can be read.
#include "kernel/base/test.h"
#include "tests/hosted/ai/openai/test_server.h"

using Server = ApiTestServer;
using Answer = ApiTestServer::Answer;

namespace {

constexpr ai::FillTokens kMarks = {.prefix = '<', .suffix = '>', .middle = '|'};
constexpr ai::FillTokens kProject = {
    .prefix = '<', .suffix = '>', .middle = '|', .repository = '#', .file = '@'};

}  // namespace

TEST(openai_fill, a_model_without_marks_says_so) {
  Server s;
  Answer r = s.post("/infill", R"({"input_prefix":"a","input_suffix":"b"})");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, "cannot fill in");
  EXPECT_HAS(r.body, "fim_pre_token_id");
  r = s.post("/v1/completions", R"({"prompt":"a","suffix":"b"})");
  EXPECT_EQ(r.status, 400);
  EXPECT_HAS(r.body, "\"param\":\"suffix\"");
  // One mark is missing.
  s.backend.fake.set_fill_tokens({.prefix = '<', .suffix = '>'});
  EXPECT_EQ(s.post("/infill", R"({"input_prefix":"a","input_suffix":"b"})").status, 400);
}

TEST(openai_fill, the_gap_is_between_its_marks) {
  Server s;
  s.backend.fake.set_fill_tokens(kMarks);
  Answer r = s.post("/infill", R"({"input_prefix":"int a","input_suffix":"}","prompt":" = "})");
  EXPECT_EQ(r.status, 200);
  EXPECT_HAS(r.body, "\"content\":\"Hello world\"");
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "<int a = >}|");
  s.backend.fake.begin_texts_with('^');
  EXPECT_EQ(s.post("/v1/completions", R"({"prompt":"a","suffix":"b"})").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "^<a>b|");
  // An empty suffix is none, and an empty side of /infill is one.
  EXPECT_EQ(s.post("/v1/completions", R"({"prompt":"a","suffix":""})").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "^a");
  EXPECT_EQ(s.post("/infill", R"({"input_prefix":"","input_suffix":""})").status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "^<>|");
}

TEST(openai_fill, other_texts_come_first) {
  constexpr std::string_view kBody =
      R"({"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"f.h","text":"F"},{"text":"G"}]})";
  Server s;
  s.backend.fake.set_fill_tokens(kMarks);
  EXPECT_EQ(s.post("/infill", kBody).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "f.h\nF\nunnamed\nG\n<a>b|");
  s.backend.fake.set_fill_tokens(kProject);
  EXPECT_EQ(s.post("/infill", kBody).status, 200);
  EXPECT_EQ(s.backend.fake.last_prompt.view(), "#project\n@f.h\nF\n@unnamed\nG\n@this\n<a>b|");
}

// The context has 200 tokens, a quarter of which is for the answer, and three for the marks.
TEST(openai_fill, what_is_far_from_the_gap_is_cut) {
  Server s;
  s.backend.fake.set_fill_tokens(kMarks);
  const std::string left(300, 'l'), right(300, 'r'), other(300, 'o');
  auto ask = [&](const std::string& before, const std::string& after, const std::string& extra) {
    Answer r =
        s.post("/infill", R"({"input_prefix":"0)" + before + R"(1","input_suffix":"2)" + after +
                              R"(3","prompt":"typed","input_extra":[{"text":")" + extra + "\"}]}");
    EXPECT_EQ(r.status, 200);
    return std::string(s.backend.fake.last_prompt.view());
  };
  std::string both = ask(left, right, other);
  EXPECT_EQ(both.size(), 149u);
  EXPECT(both.starts_with("<l") && both.ends_with("r|"));
  EXPECT(both.find("l1typed>2r") != both.npos);
  EXPECT_EQ(std::ranges::count(both, 'r'), 34);
  std::string short_left = ask("", right, other);
  EXPECT(short_left.starts_with("<01typed>2r") && short_left.ends_with("r|"));
  EXPECT_EQ(short_left.size(), 149u);
  std::string short_both = ask("", "", other);
  EXPECT(short_both.starts_with("oo") && short_both.ends_with("o\n<01typed>23|"));
  EXPECT_EQ(short_both.size(), 149u);
}

TEST(openai_fill, wrong_fields_are_named) {
  Server s;
  s.backend.fake.set_fill_tokens(kMarks);
  struct Row {
    const char *path, *body, *param;
  };
  const Row rows[] = {
      {"/infill", R"({"input_suffix":"b"})", "input_prefix"},
      {"/infill", R"({"input_prefix":"b"})", "input_suffix"},
      {"/infill", R"({"input_prefix":1,"input_suffix":"b"})", "input_prefix"},
      {"/infill", R"({"input_prefix":"a","input_suffix":"b","prompt":[1]})", "prompt"},
      {"/infill", R"({"input_prefix":"a","input_suffix":"b","n":2})", "n"},
      {"/infill", R"({"input_prefix":"a","input_suffix":"b","input_extra":"x"})", "input_extra"},
      {"/infill", R"({"input_prefix":"a","input_suffix":"b","input_extra":[1]})", "input_extra"},
      {"/infill", R"({"input_prefix":"a","input_suffix":"b","input_extra":[{"text":1}]})", "text"},
      {"/v1/completions", R"({"prompt":["a","b"],"suffix":"b"})", "prompt"},
      {"/v1/completions", R"({"prompt":"a","suffix":7})", "suffix"},
  };
  for (const Row& row : rows) {
    Answer r = s.post(row.path, row.body);
    EXPECT_EQ(r.status, 400);
    EXPECT_HAS(r.body, (std::string("\"param\":\"") + row.param + "\"").c_str());
  }
}
