// SPDX-License-Identifier: GPL-2.0-or-later
// Tools: which one may be called, the grammar that forces a call, and the reader that finds calls
// in the text.
#pragma once

#include "ai/openai/error.h"

namespace ai::openai {

struct ToolChoice {
  enum class Mode : u8 { kNone, kAuto, kRequired } mode = Mode::kNone;
  std::string_view name;  // the tool that must be called; "" = any
  bool parallel = false;  // more than one call may be forced
};

// Checks `tools` and `tool_choice` of a chat request.
Result<ToolChoice> read_tool_choice(json::Value body, ApiError& error);

// The form that an answer has if it is no call.
struct AnswerForm {
  json::Value schema;  // absent: any JSON object
  bool loose = false;  // a schema that cannot be enforced means any JSON value
};
// Writes GBNF for one or several calls of the form {"name": …, "arguments": {…}}. With `instead`,
// the answer is either an answer of that form, or calls between <tool_call> and </tool_call>.
Result<void> tool_grammar(json::Value tools, const ToolChoice& choice, const AnswerForm* instead,
                          String& out, ApiError& error);

// Receives the parts of an answer.
class ToolCallSink {
 public:
  virtual void on_content(std::string_view text) = 0;
  virtual void on_call(std::string_view name) = 0;            // a new call begins
  virtual void on_arguments(std::string_view json_text) = 0;  // more of its arguments

 protected:
  ~ToolCallSink() = default;
};

// Finds calls in streamed text: {"name": "f", "arguments": {…}}, bare when `forced`, otherwise
// between <tool_call> and </tool_call>. Text that only looked like a call is passed on as content.
class ToolCallReader {
 public:
  ToolCallReader(bool forced, ToolCallSink& sink) : forced_(forced), sink_(sink) {
    state_ = forced ? State::kHead : State::kText;
  }
  Result<void> feed(std::string_view text);
  Result<void> finish();

 private:
  enum class State : u8 { kText, kHead, kArguments, kTail };

  Result<bool> step();
  Result<bool> text_step();
  Result<bool> head_step();
  bool arguments_step();
  bool tail_step();
  void drop(usize bytes);
  void say_opening();

  bool forced_;
  ToolCallSink& sink_;
  State state_;
  String held_;
  String gap_;  // the blanks before a mark that may begin a call
  u32 depth_ = 0;
  bool in_string_ = false, escaped_ = false;
  bool called_ = false;  // there was a call
};

}  // namespace ai::openai
