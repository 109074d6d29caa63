// SPDX-License-Identifier: GPL-2.0-or-later
// The commands that generate text: talk, chat, llm (gen), template.
#include "console/chat/talk.h"
#include "console/shell/command.h"
#include "console/terminal/io.h"
#include "kernel/base/json.h"
#include "kernel/fs/file_system.h"
#include "service/perf_log.h"

namespace console {
namespace {

constexpr u64 kDefaultTokens = 64;
constexpr std::string_view kDefaultPrompt = "Once upon a time";

// ---- talk, chat, template --------------------------------------------------------------------

Result<void> run_talk(const Arguments& arguments, base::Writer&) {
  if (!arguments.raw.empty()) {
    service::ModelFile file = TRY(service::find_model(arguments.words[1]));
    TRY(load_shown(file, io()));
  }
  auto talk = TRY(base::make<Talk>(io(), conversation()));
  return talk->run();
}

// Asks one question in a new conversation. Prints nothing but the answer, for scripts.
Result<void> run_chat(const Arguments& arguments, base::Writer& out) {
  if (arguments.words.size() < 2) return fail(Errc::kInvalidArgument, "chat TEXT");
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  Conversation single;
  bool quoted = arguments.words.size() == 2;
  TRY(single.add(Role::kUser, quoted ? arguments.words[1] : arguments.raw));
  Vector<ai::TokenId> prompt;
  TRY(encode_chat(model, single.messages(), prompt));
  ai::Request request;
  request.prompt = prompt.view();
  request.sampling = default_sampling(Use::kScript);
  request.max_tokens = default_max_tokens();
  request.stop = chat_stops(model);
  Answer answer = TRY(generate(model, request, io(), Show::kText));
  out.write("\n");
  if (answer.reason == ai::FinishReason::kError) return std::unexpected(answer.error);
  if (answer.reason == ai::FinishReason::kCancelled) return fail(Errc::kCancelled, "stopped");
  return {};
}

Result<void> run_template(const Arguments&, base::Writer& out) {
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  String text;
  TRY(render_chat(model, conversation().messages(), Continue::kAssistant, text));
  write_clean(out, text.view());
  out.write("\n");
  return {};
}

// ---- llm -------------------------------------------------------------------------------------

struct LlmArguments {
  String prompt;
  u32 tokens = kDefaultTokens;
  bool json = false;
  bool special = false;  // "<|im_end|>" in the prompt is read as the token
};

// Parses `llm [OPTION ...] WORD ... [N]`. A number after the words is N, quoted or not.
Result<LlmArguments> parse_llm(const Arguments& arguments) {
  LlmArguments parsed;
  bool from_file = false;
  Vector<std::string_view> words;
  bool options = true;
  std::span<const std::string_view> given = arguments.words.subspan(1);
  for (usize i = 0; i < given.size(); i++) {
    if (!options || !given[i].starts_with("--")) {
      TRY(words.push_back(given[i]));
    } else if (given[i] == "--") {
      options = false;
    } else if (given[i] == "--json") {
      parsed.json = true;
    } else if (given[i] == "--special") {
      parsed.special = true;
    } else if (given[i] == "--file") {
      if (++i == given.size()) return fail(Errc::kInvalidArgument, "--file PATH");
      parsed.prompt = TRY(fs::read_text(given[i], 4 * kMiB));
      parsed.special = from_file = true;
    } else {
      return fail(Errc::kInvalidArgument, "no such option; behind -- all words are the prompt");
    }
  }
  Result<u64> number = words.empty() ? Result<u64>(kDefaultTokens) : parse_number(words.back());
  bool counted = number.has_value() && words.size() >= (from_file ? 1 : 2);
  if (counted) {
    if (*number > ~u32{0}) return fail(Errc::kOutOfRange, "too many tokens");
    parsed.tokens = static_cast<u32>(*number);
    words.pop_back();
  }
  if (from_file && !words.empty())
    return fail(Errc::kInvalidArgument,
                "with --file the prompt comes from the file: llm --file PATH [N]");
  for (usize i = 0; i < words.size(); i++) {
    if (i > 0) TRY(parsed.prompt.push_back(' '));
    TRY(parsed.prompt.append(words[i]));
  }
  if (!from_file && words.empty()) TRY(parsed.prompt.assign(kDefaultPrompt));
  return parsed;
}

void write_llm_json(const ai::Lease& model, const LlmArguments& llm, const Answer& answer,
                    base::Writer& out) {
  constexpr std::string_view kReasons[] = {"stop", "length", "context_full", "cancelled", "error"};
  json::Writer writer(out);
  const ai::Timings& t = answer.timings;
  writer.begin_object();
  writer.key("model").value(model.info().name);
  writer.key("prompt_bytes").value(llm.prompt.size());
  writer.key("ids").begin_array();
  for (ai::TokenId id : answer.tokens) writer.value(id);
  writer.end_array();
  writer.key("text").value(answer.text);
  writer.key("finish").value(kReasons[static_cast<usize>(answer.reason)]);
  writer.key("prompt_tokens").value(t.prompt_tokens);
  writer.key("cached_tokens").value(t.cached_tokens);
  writer.key("generated_tokens").value(t.generated_tokens);
  writer.key("prefill_ns").value(t.prefill_ns);
  writer.key("first_token_ns").value(t.first_token_ns);
  writer.key("decode_ns").value(t.decode_ns);
  writer.key("gap_p50_ns").value(t.gap_p50_ns);
  writer.key("gap_max_ns").value(t.gap_max_ns);
  writer.end_object();
  out.write("\n");
}

Result<void> run_llm(const Arguments& arguments, base::Writer& out) {
  LlmArguments llm = TRY(parse_llm(arguments));
  ai::Lease model = TRY(use_model(service::kConsoleHolder, io()));
  const ai::ModelInfo& info = model.info();
  Vector<ai::TokenId> prompt;
  TRY(model.tokenizer().encode(llm.prompt.view(), ai::AddSpecial::kYes,
                               llm.special ? ai::ParseSpecial::kYes : ai::ParseSpecial::kNo,
                               prompt));
  ai::Request request;
  request.prompt = prompt.view();
  request.max_tokens = llm.tokens;
  if (llm.tokens == 0) return fail(Errc::kInvalidArgument, "N, the last word, must be at least 1");
  if (!llm.json) {
    base::format_to(out, "llm: weights in memory from {}\n",
                    service::engine_host().file(model).path);
    base::format_to(out, "llm: {} dim={} layers={} heads={} vocab={}\n", info.name, info.width,
                    info.layers, info.heads, info.vocabulary);
    base::format_to(out, "llm: generating {} tokens (greedy)\n--- output ---\n", llm.tokens);
    write_clean(out, llm.prompt.view());
  }
  Answer answer = TRY(generate(model, request, io(), llm.json ? Show::kNothing : Show::kText));
  if (llm.json) {
    write_llm_json(model, llm, answer, out);
  } else {
    u64 ns = answer.timings.prefill_ns + answer.timings.decode_ns;
    base::format_to(out, "\n--- end ---\nllm: {} tokens in {} ms ({} tok/s)\nllm: done\n",
                    answer.timings.generated_tokens, ns / 1'000'000,
                    service::tokens_per_second(answer.timings.generated_tokens, ns));
  }
  if (answer.reason == ai::FinishReason::kError) return std::unexpected(answer.error);
  return {};
}

constexpr const char* kLlmDetails =
    "Takes the likeliest token at each step. N is 64 by default. Special tokens in the prompt are\n"
    "read as plain text unless --special is given. --file takes the exact bytes of a file and\n"
    "parses special tokens; --json prints ids, text and timings (ns) as one JSON line and nothing\n"
    "else. Words after -- are the prompt, whatever they begin with.";

constexpr Command kTalk{
    "talk",
    "talk [MODEL]",
    "a conversation with the model",
    run_talk,
    "/help lists the commands of a conversation. Ctrl-C stops an answer; pressed twice it leaves.",
    false,
    service::complete_model};
constexpr Command kChat{
    "chat", "chat TEXT", "answers one question, for scripts", run_chat,
    "Each call starts a new conversation and uses the model's template. The boot option\n"
    "talk.max= (512) limits the tokens of an answer."};
constexpr Command kLlm{"llm", "llm [PROMPT] [N] [--special] [--json] [--file PATH]",
                       "continues a text, greedily", run_llm, kLlmDetails};
constexpr Command kGen{"gen", "gen [PROMPT] [N]", "the same as llm", run_llm, kLlmDetails};
constexpr Command kTemplate{"template", "template",
                            "prints the conversation as the model's template formats it",
                            run_template};
CONSOLE_COMMAND(kTalk);
CONSOLE_COMMAND(kChat);
CONSOLE_COMMAND(kLlm);
CONSOLE_COMMAND(kGen);
CONSOLE_COMMAND(kTemplate);

}  // namespace
}  // namespace console
