// SPDX-License-Identifier: GPL-2.0-or-later
// The chat loop over a fake engine: the prompts that the model gets, and the text that the person
// reads.
#include "console/chat/talk.h"

#include "console/shell/shell.h"
#include "kernel/base/test.h"
#include "service/perf_log.h"
#include "tests/hosted/console/console_script.h"
#include "tests/hosted/scripted_engine.h"

namespace {

using console::Conversation;
using console::Talk;

std::string talk(ScriptedIo& io, Conversation& conversation) {
  Talk talk(io, conversation);
  Result<void> done = talk.run();
  if (!done.has_value()) io.written += std::string("<") + done.error().what + ">";
  return io.written;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(console_talk, streams_answers_and_keeps_the_history) {
  WithScriptedEngine fake;
  fake.engine->answers = {"Hello!", "Fine."};
  ScriptedIo io("hi\rhow are you?\r/exit\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT(contains(seen, "you> hi\nHello!\n[6 tokens, 2.50 tok/s; context "));
  REQUIRE(fake.engine->prompts.size() == 2);
  EXPECT_EQ(fake.engine->prompts[1],
            std::string("User: hi\nAssistant: Hello!\nUser: how are you?\nAssistant:"));
  EXPECT_EQ(conversation.turns(), usize{2});
}

TEST(console_talk, speaks_through_the_models_template) {
  WithScriptedEngine fake;
  fake.engine->chat = std::move(
      ai::ChatTemplate::compile("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
                                "{% if add_generation_prompt %}<assistant>{% endif %}")
          .value());
  ScriptedIo io("/system S\rhi\r/exit\r");
  Conversation conversation;
  talk(io, conversation);
  REQUIRE(fake.engine->prompts.size() == 1);
  EXPECT_EQ(fake.engine->prompts[0], std::string("<system>S\n<user>hi\n<assistant>"));
}

TEST(console_talk, a_template_that_refuses_is_an_error_not_an_answer) {
  WithScriptedEngine fake;
  fake.engine->chat =
      std::move(ai::ChatTemplate::compile("{{ raise_exception('no system please') }}").value());
  ScriptedIo io("hi\r/exit\r");
  Conversation conversation;
  EXPECT(contains(talk(io, conversation), "talk: the chat template failed"));
  EXPECT_EQ(conversation.turns(), usize{0});
}

TEST(console_talk, system_undo_retry_reset) {
  WithScriptedEngine fake;
  fake.engine->answers = {"one", "two", "three"};
  ScriptedIo io("/system Be short.\r/system\ra\r/retry\r/undo\r/undo\rb\r/reset\rc\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  REQUIRE(fake.engine->prompts.size() == 4);
  EXPECT_EQ(fake.engine->prompts[0], std::string("Be short.\nUser: a\nAssistant:"));
  EXPECT_EQ(fake.engine->prompts[1], fake.engine->prompts[0]);
  EXPECT_EQ(fake.engine->prompts[2], std::string("Be short.\nUser: b\nAssistant:"));
  EXPECT_EQ(fake.engine->prompts[3], std::string("Be short.\nUser: c\nAssistant:"));
  EXPECT(contains(seen, "there is nothing to take back"));
  EXPECT(contains(seen, "\nBe short.\nyou> "));
}

TEST(console_talk, sampling_commands) {
  WithScriptedEngine fake;
  ScriptedIo io(
      "/temp 0.7\r/top-p .5\r/seed 42\r/max 3\r/temp x\rhello\r/tmep\r/temp 0\r/max 0\ragain\r");
  Conversation conversation;
  fake.engine->answers = {"abcdef"};
  std::string seen = talk(io, conversation);
  REQUIRE(fake.engine->requests.size() == 2);
  EXPECT(contains(seen, "[temperature 0.30, top-p 0.95, repeat 1.10, seed 0: "));
  EXPECT_EQ(fake.engine->requests[0].sampling.repeat_penalty_milli, 1100);
  // Temperature 0 is the likeliest token, whatever was said lately.
  EXPECT_EQ(fake.engine->requests[1].sampling.temperature_milli, 0);
  EXPECT_EQ(fake.engine->requests[1].sampling.repeat_penalty_milli, 1000);
  EXPECT(contains(seen, "until the context is full"));
  EXPECT_EQ(fake.engine->requests[0].sampling.temperature_milli, 700);
  EXPECT_EQ(fake.engine->requests[0].sampling.top_p_milli, 500);
  EXPECT_EQ(fake.engine->requests[0].sampling.seed, u64{42});
  EXPECT(contains(seen, "abc\n[stopped at the token limit; 3 tokens"));
  EXPECT(contains(seen, "expected a number from 0.00 to 5.00"));
  EXPECT(contains(seen, "did you mean /temp?"));
}

TEST(console_talk, control_c_stops_the_answer_and_then_leaves) {
  WithScriptedEngine fake;
  fake.engine->answers = {"a long answer that is cut"};
  ScriptedIo io("question\r");
  io.interrupt_at = 20;  // looked at once or twice a step: some tokens are there, not all
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT_EQ(fake.engine->cancelled, 1u);
  EXPECT(contains(seen, "[stopped; "));
  EXPECT_EQ(conversation.turns(), usize{1});  // the conversation goes on with what there is
  EXPECT_EQ(conversation.messages().size(), usize{2});

  ScriptedIo twice("\x03/seed\r\x03\x03never\r");
  fake.engine->prompts.clear();
  seen = talk(twice, conversation);
  EXPECT(contains(seen, "Ctrl-C again or /exit leaves"));
  EXPECT(fake.engine->prompts.empty());
}

TEST(console_talk, several_lines) {
  WithScriptedEngine fake;
  ScriptedIo io("\"\"\"first\rsecond\r\"\"\"\r\"\"\"one line\"\"\"\r");
  Conversation conversation;
  talk(io, conversation);
  REQUIRE(conversation.turns() == 2);
  EXPECT_EQ(conversation.messages()[0].text.view(), "first\nsecond");
  EXPECT_EQ(conversation.messages()[2].text.view(), "one line");
}

TEST(console_talk, a_question_longer_than_the_context_is_refused_with_both_numbers) {
  WithScriptedEngine fake(40);
  ScriptedIo io(std::string(100, 'x') + "\rok?\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT(
      contains(seen, "The conversation has 117 tokens, the context 40: this cannot be answered."));
  REQUIRE(fake.engine->prompts.size() == 1);
  EXPECT_EQ(fake.engine->prompts[0], std::string("User: ok?\nAssistant:"));
}

TEST(console_talk, full_context_stops_or_slides_but_says_so) {
  WithScriptedEngine fake(60);
  fake.engine->answers = {std::string(20, 'a'), std::string(50, 'b'), "c"};
  ScriptedIo io("one\rtwo\rthree\r/slide on\rfour\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT(contains(seen, "the context is full"));
  EXPECT(contains(seen, "this cannot be answered"));
  EXPECT(contains(seen, "oldest questions were left out]"));
  EXPECT_EQ(conversation.turns(), usize{1});
}

TEST(console_talk, errors_of_the_engine_are_said_and_the_question_is_taken_back) {
  WithScriptedEngine fake;
  fake.engine->refuse = {Errc::kFull, "too many requests"};
  ScriptedIo io("hi\r");
  Conversation conversation;
  EXPECT(contains(talk(io, conversation), "talk: too many requests"));
  EXPECT_EQ(conversation.turns(), usize{0});
}

TEST(console_talk, control_characters_of_the_model_never_reach_the_terminal) {
  WithScriptedEngine fake;
  fake.engine->answers = {"a\x1b[2Jb\tc\nd\x07"};
  ScriptedIo io("hi\r/exit\r");
  Conversation conversation;
  EXPECT(contains(talk(io, conversation), "a\xef\xbf\xbd[2Jb\tc\nd\xef\xbf\xbd"));
}

TEST(console_talk, save_and_load) {
  WithScriptedEngine fake;
  fake.engine->answers = {"answer \"quoted\"\n"};
  ScriptedIo io(
      "/system S\rhi\r/save x\r/reset\r/system \"\"\r/load\r/load x\r/load y\r/save ../x\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT(contains(seen, "no system message\n"));
  EXPECT(contains(seen, "kept: x\n"));
  EXPECT(
      contains(seen, "saved as x, in memory only and lost at power-off: no disk can be written"));
  EXPECT(contains(seen, "1 questions loaded"));
  EXPECT(contains(seen, "no text is kept under this name"));
  EXPECT(contains(seen, "this is not a valid file name"));
  REQUIRE(conversation.messages().size() == 3);
  EXPECT_EQ(conversation.messages()[0].text.view(), "S");
  EXPECT_EQ(conversation.messages()[2].text.view(), "answer \"quoted\"\n");
}

TEST(console_talk, saved_conversations_are_checked) {
  EXPECT(!Conversation::parse_json("{}").has_value());
  EXPECT(!Conversation::parse_json("{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}")
              .has_value());
  EXPECT(!Conversation::parse_json("{\"messages\":[{\"role\":\"user\"}]}").has_value());
  EXPECT(!Conversation::parse_json("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
                                   "{\"role\":\"system\",\"content\":\"b\"}]}")
              .has_value());
}

TEST(console_ai, llm_prints_the_markers) {
  WithScriptedEngine fake;
  fake.engine->answers = {" there was"};
  ScriptedIo io;
  console::set_io(&io);
  console::Shell shell(io);
  console::Verdict verdict = shell.run("llm \"Once; upon\" 5");
  console::set_io(nullptr);
  EXPECT_EQ(verdict.failed, 0u);
  EXPECT(contains(io.written, "llm: Fake dim=4 layers=0 heads=0 vocab=0\n"));
  EXPECT(contains(
      io.written,
      "llm: generating 5 tokens (greedy)\n--- output ---\nOnce; upon ther\n--- end ---\n"));
  EXPECT(contains(io.written, "llm: 5 tokens in 3000 ms (1.66 tok/s)\nllm: done\n") ||
         contains(io.written, "llm: 5 tokens in 3000 ms (1.67 tok/s)\nllm: done\n"));
}

TEST(console_ai, llm_json_chat_tokenize_and_friends) {
  WithScriptedEngine fake;
  fake.engine->answers = {"xy"};
  ScriptedIo io;
  console::set_io(&io);
  console::Shell shell(io);
  console::Verdict verdict = shell.run(
      "llm a --json 2; chat what is this; tokenize \"h\n\"; detokenize 72 105; logits a; "
      "perf; status; model info; models; template; perf reset; perf");
  console::set_io(nullptr);
  EXPECT_EQ(verdict.failed, 0u);
  EXPECT(io.written.starts_with(
      "{\"model\":\"Fake\",\"prompt_bytes\":1,\"ids\":[120,121],\"text\":\"xy\""));
  EXPECT_EQ(fake.engine->prompts.back(), std::string("User: what is this\nAssistant:"));
  EXPECT_EQ(fake.engine->requests.back().sampling.temperature_milli, 0);
  EXPECT_EQ(fake.engine->requests.back().sampling.repeat_penalty_milli, 1000);
  EXPECT(contains(io.written, "     104  'h'\n      10  '\\n'\n2 tokens\n"));
  EXPECT(contains(io.written, "Hi\n"));
  EXPECT(contains(io.written, "     120     -0.100000  'x'\n"));
  EXPECT(contains(io.written, "last answer\n  prompt"));
  EXPECT(contains(io.written, "no answer yet\n"));
}

TEST(console_ai, numbers) {
  EXPECT_EQ(console::parse_milli("0.7", 2000).value(), 700);
  EXPECT_EQ(console::parse_milli("1", 2000).value(), 1000);
  EXPECT_EQ(console::parse_milli(".05", 2000).value(), 50);
  EXPECT_EQ(console::parse_milli("1.", 2000).value(), 1000);
  for (const char* bad : {"", ".", "-1", "0.1234", "2.001", "1e3", "99999999999999999999"})
    EXPECT(!console::parse_milli(bad, 2000).has_value());
}

TEST(console_talk, commands_of_the_shell_work_behind_a_slash) {
  WithScriptedEngine fake;
  fake.engine->answers = {"Hello!"};
  ScriptedIo io("/echo from the shell\rhi\r/exit\r");
  Conversation conversation;
  std::string seen = talk(io, conversation);
  EXPECT(contains(seen, "\nfrom the shell\n"));
  EXPECT(contains(seen, "Hello!"));
  EXPECT_EQ(fake.engine->prompts.size(), usize{1});
}
