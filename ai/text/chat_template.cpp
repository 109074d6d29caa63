// SPDX-License-Identifier: GPL-2.0-or-later
// Compiles chat templates and sets their variables.
#include "ai/text/chat_template.h"

#include <charconv>

#include "ai/text/jinja_interpreter.h"
#include "ai/text/jinja_parser.h"
#include "ai/text/name_index.h"
#include "ai/text/template_probe.h"
#include "ai/tokenizer/tokenizer.h"

namespace ai {
namespace {

using namespace jinja;

constexpr usize kMaxSource = kMiB;
constexpr usize kMaxTree = 64 * kMiB;
constexpr u32 kMaxVariables = 256;   // from a client; each is compared with those before it
constexpr u32 kIndexedMembers = 16;  // from this size on, names are looked up by hash

// Normalizes as Hugging Face does, which passes templates on as Python reads them: "
// " line ends, one final "
// " dropped.
Result<String> normalized(std::string_view source) {
  String text;
  TRY(text.reserve(source.size()));
  for (usize i = 0; i < source.size(); i++) {
    bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (!pair) TRY(text.push_back(source[i] == '\r' ? '\n' : source[i]));
  }
  if (text.view().ends_with('\n')) text.truncate(text.size() - 1);
  return text;
}

// Converts a client's JSON into the values of a template. The parser has bounded its depth.
class Importer {
 public:
  Importer(Interpreter& in, const Tokenizer* guard) : in_(in), guard_(guard) {}

  // Returns a text that the template did not write, guarded if there is a guard.
  Result<Value> text(std::string_view from) {
    if (guard_ == nullptr) return string(from);
    String guarded;
    TRY(guard_->guard(from, guarded));
    if (guarded.view() == from) return string(from);
    return in_.keep(guarded.view());
  }

  Result<Value> import(json::Value from) {
    TRY(in_.spend(1));
    switch (from.kind()) {
      case json::Kind::kNull:
        return none();
      case json::Kind::kFalse:
      case json::Kind::kTrue:
        return boolean(from.is_true());
      case json::Kind::kNumber:
        return number(from.text());
      case json::Kind::kString:
        return text(from.text());
      case json::Kind::kArray: {
        List* list = TRY(in_.new_list());
        for (json::Value element : from.elements()) {
          Value value = TRY(import(element));
          TRY(list->append(in_.arena(), value));
        }
        return list_value(list);
      }
      case json::Kind::kObject: {
        Dict* dict = TRY(in_.new_dict());
        TRY(members(from, *dict));
        return dict_value(dict);
      }
    }
    return none();
  }

 private:
  // If a name occurs twice, the last value counts, in the place of the first.
  Result<void> members(json::Value from, Dict& into) {
    NameIndex names;
    bool indexed = from.size() > kIndexedMembers;
    for (json::Member member : from.members()) {
      Value value = TRY(import(member.value));
      Value name = TRY(text(member.name));
      u32 known = indexed ? TRY(names.add(name.text())) : into.size;
      if (known < into.size)
        into.entries[known].value = value;
      else
        TRY(indexed ? into.append(in_.arena(), name, value)
                    : into.set(in_.arena(), name.text(), value));
    }
    return {};
  }
  static Value number(std::string_view text) {
    i64 value = 0;
    auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool whole = status == std::errc() && end == text.data() + text.size();
    return whole ? integer(value) : text_value(Kind::kFloat, text);
  }

  Interpreter& in_;
  const Tokenizer* guard_;
};

// The form in which a template gets the arguments of calls.
enum class CallForm : u8 { kObjects, kTexts, kAsSent };

class CompiledTemplate final : public ChatTemplate {
 public:
  CompiledTemplate() : arena_(kMaxTree) {}
  Result<void> compile(std::string_view source, TemplateError& error);
  Result<void> render(std::span<const ChatMessage> messages, const TemplateOptions& options,
                      String& out, TemplateError* error) const override;
  std::string_view source() const override { return source_.view(); }
  const TemplateAbilities& abilities() const override { return abilities_; }
  bool knows_tools() const override {
    return source_.view().find("tools") != std::string_view::npos;
  }

 private:
  Result<void> render_once(std::span<const ChatMessage> messages, const TemplateOptions& options,
                           CallForm form, String& out, TemplateError& error) const;

  Arena arena_;
  String source_;
  Body body_;
  TemplateAbilities abilities_;
};

Result<void> CompiledTemplate::compile(std::string_view source, TemplateError& error) {
  if (source.size() > kMaxSource) {
    Reporter(source, error).fail(0, "the template is longer than {} bytes", kMaxSource);
    return fail(Errc::kInvalidArgument, "the chat template is too long");
  }
  source_ = TRY(normalized(source));
  Reporter reporter(source_.view(), error);
  Vector<Token> tokens = TRY(tokenize(source_.view(), arena_, reporter));
  Parser parser(tokens.view(), arena_, reporter);
  body_ = TRY(parser.parse_template());
  abilities_ = TRY(probe_template(*this));
  return {};
}

Value* arguments_of(Value call) {
  Value* function = call.is(Kind::kDict) ? call.dict->find("function") : nullptr;
  return function != nullptr && function->is(Kind::kDict) ? function->dict->find("arguments")
                                                          : nullptr;
}

// Writes a tool call's arguments as JSON text if the client sent them as an object.
Result<void> write_call_arguments(Interpreter& in, Value call) {
  Value* arguments = arguments_of(call);
  if (arguments == nullptr || !arguments->is(Kind::kDict)) return {};
  String text;
  TRY(append_json(in, 0, *arguments, {}, text));
  *arguments = TRY(in.keep(text.view()));
  return {};
}

// Parses a tool call's arguments into an object if the client sent them as JSON text.
Result<void> parse_call_arguments(Interpreter& in, const Tokenizer* guard, Value call,
                                  Vector<base::Owner<json::Document>>& parsed) {
  Value* arguments = arguments_of(call);
  if (arguments == nullptr || !arguments->is(Kind::kString)) return {};
  std::string_view text = arguments->text();
  if (guard != nullptr) {  // guard the texts inside the JSON, not the JSON itself
    String written;
    TRY(Tokenizer::unguard(text, written));
    text = TRY(in.keep(written.view())).text();
  }
  auto document = json::Document::parse(text);
  if (!document.has_value() || !document->root().is_object()) return {};
  auto owner = TRY(base::make<json::Document>(std::move(*document)));
  *arguments = TRY(Importer(in, guard).import(owner->root()));
  return parsed.push_back(std::move(owner));
}

Result<Value> import_message(Interpreter& in, const Tokenizer* guard, const ChatMessage& message,
                             CallForm form, Vector<base::Owner<json::Document>>& parsed) {
  Importer importer(in, guard);
  Dict* dict = TRY(in.new_dict());
  TRY(dict->set(in.arena(), "role", TRY(importer.text(message.role))));
  Value content = message.has_content ? TRY(importer.text(message.content)) : none();
  if (message.parts.present()) content = TRY(importer.import(message.parts));
  TRY(dict->set(in.arena(), "content", content));
  struct Optional {
    std::string_view name, text;
  };
  const Optional optional[] = {{"name", message.name},
                               {"tool_call_id", message.tool_call_id},
                               {"reasoning_content", message.reasoning}};
  for (const Optional& row : optional) {
    if (!row.text.empty()) TRY(dict->set(in.arena(), row.name, TRY(importer.text(row.text))));
  }
  if (message.tool_calls.is_array()) {
    Value calls = TRY(importer.import(message.tool_calls));
    for (const Value& call : calls.list->view()) {
      if (form == CallForm::kObjects) TRY(parse_call_arguments(in, guard, call, parsed));
      if (form == CallForm::kTexts) TRY(write_call_arguments(in, call));
    }
    TRY(dict->set(in.arena(), "tool_calls", calls));
  }
  return dict_value(dict);
}

Result<void> define_variables(Interpreter& in, const TemplateOptions& options) {
  Importer importer(in, options.guard);
  Value tools = options.tools.present() ? TRY(importer.import(options.tools)) : none();
  Value documents = options.documents.present() ? TRY(importer.import(options.documents)) : none();
  TRY(in.define("tools", tools));
  TRY(in.define("documents", documents));
  TRY(in.define("add_generation_prompt", boolean(options.add_generation_prompt)));
  TRY(in.define("bos_token", string(options.bos)));
  TRY(in.define("eos_token", string(options.eos)));
  if (!options.extra.is_object()) return {};
  if (options.extra.size() > kMaxVariables)
    return in.fail(0, "the request has {} variables for the template; at most {} are taken",
                   options.extra.size(), kMaxVariables);
  for (json::Member member : options.extra.members()) {
    Value value = TRY(importer.import(member.value));
    TRY(in.define(member.name, value));
  }
  return {};
}

Result<void> CompiledTemplate::render_once(std::span<const ChatMessage> messages,
                                           const TemplateOptions& options, CallForm form,
                                           String& out, TemplateError& error) const {
  Limits limits;
  limits.steps = options.max_steps;
  limits.output = options.max_output;
  Arena arena(limits.memory);
  Reporter reporter(source_.view(), error);
  Vector<base::Owner<json::Document>> parsed;
  Interpreter in(arena, reporter, limits, out, options.now_unix);
  List* list = TRY(in.new_list());
  for (const ChatMessage& message : messages) {
    Value value = TRY(import_message(in, options.guard, message, form, parsed));
    TRY(list->append(arena, value));
  }
  TRY(in.define("messages", list_value(list)));
  TRY(define_variables(in, options));
  return in.run(body_);
}

// Errors that belong to no place in the template, such as a lack of memory, get their text here.
void complete(const Result<void>& result, TemplateError& detail) {
  if (result.has_value() || detail.size > 0) return;
  base::BufferWriter writer(detail.text);
  writer.write(result.error().what);
  detail.size = static_cast<u32>(writer.view().size());
}

// If the template fails with the arguments of calls in the wanted form, they are tried as the
// client sent them.
Result<void> CompiledTemplate::render(std::span<const ChatMessage> messages,
                                      const TemplateOptions& options, String& out,
                                      TemplateError* error) const {
  usize size = out.size();
  TemplateError detail;
  CallForm form = options.argument_texts ? CallForm::kTexts : CallForm::kObjects;
  bool calls = std::any_of(messages.begin(), messages.end(),
                           [](const ChatMessage& m) { return m.tool_calls.is_array(); });
  Result<void> result = render_once(messages, options, form, out, detail);
  if (!result.has_value() && calls && !detail.raised) {
    out.truncate(size);
    TemplateError second;
    Result<void> again = render_once(messages, options, CallForm::kAsSent, out, second);
    if (again.has_value()) return again;
  }
  if (!result.has_value()) out.truncate(size);
  complete(result, detail);
  if (error != nullptr) *error = detail;
  return result;
}

}  // namespace

Result<base::Owner<ChatTemplate>> ChatTemplate::compile(std::string_view source,
                                                        TemplateError* error) {
  TemplateError detail;
  auto compiled = TRY(base::make<CompiledTemplate>());
  Result<void> result = compiled->compile(source, detail);
  complete(result, detail);
  if (error != nullptr) *error = detail;
  TRY(std::move(result));
  return base::Owner<ChatTemplate>(std::move(compiled));
}

}  // namespace ai
