// SPDX-License-Identifier: GPL-2.0-or-later
// Parses boot options, and prints the pages that are made from their table.
#include "kernel/options.h"

#include "kernel/base/containers.h"
#include "kernel/base/nearest.h"
#include "kernel/base/text.h"
#include "kernel/log.h"

namespace options {
namespace {

enum class Source : u8 { kFile, kCommandLine };

struct Setting {
  const Option* option = nullptr;
  std::string_view value;  // in Store::text
  Source source = Source::kFile;
};

// Values are copied, because the loader's memory is reused later and there is no heap yet.
constexpr usize kTextBytes = 16 * 1024;
constexpr usize kLongestValue = 4096;

struct Store {
  StaticVector<Setting, 128> settings;
  char text[kTextBytes] = {};
  usize used = 0;
};
constinit Store store;

constexpr std::string_view kSpaces{" \t\n\r\0", 5};  // a boot loader may end its line with a 0

bool is_space(char c) {
  return kSpaces.contains(c);
}

std::string_view trim(std::string_view text) {
  return base::trim(text, kSpaces);
}

// Returns the part of foreign bytes that a warning may repeat: short and printable.
std::string_view shown(std::string_view text, std::span<char> buffer) {
  usize n = std::min(text.size(), buffer.size());
  for (usize i = 0; i < n; i++) {
    auto c = static_cast<u8>(text[i]);
    buffer[i] = c < 0x20 || c >= 0x7f ? '?' : text[i];
  }
  return {buffer.data(), n};
}

const Option* find(std::string_view key) {
  for (const Option* row : kernel_options_rows())
    if (key == row->key || (row->alias != nullptr && key == row->alias)) return row;
  return nullptr;
}

Setting* setting_of(const Option& option) {
  for (Setting& s : store.settings)
    if (s.option == &option) return &s;
  return nullptr;
}

// Parses a decimal number or 0x…; a K, M or G after it multiplies by a power of 1024.
Result<u64> parse_number(std::string_view text) {
  u64 unit = 1;
  if (!text.empty()) {
    constexpr std::string_view kUnits = "kKmMgG";
    usize at = kUnits.find(text.back());
    if (at != std::string_view::npos) {
      unit = u64{1} << (10 * (at / 2 + 1));
      text.remove_suffix(1);
    }
  }
  u32 radix = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    radix = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) return fail(Errc::kInvalidArgument, "not a number");
  u64 value = 0;
  for (char c : text) {
    u32 lower = static_cast<u8>(c) | 0x20u;
    u32 digit = c >= '0' && c <= '9' ? lower - '0' : lower >= 'a' ? lower - 'a' + 10 : radix;
    if (digit >= radix) return fail(Errc::kInvalidArgument, "not a number");
    if (__builtin_mul_overflow(value, u64{radix}, &value) ||
        __builtin_add_overflow(value, u64{digit}, &value))
      return fail(Errc::kOutOfRange, "number too large");
  }
  if (__builtin_mul_overflow(value, unit, &value))
    return fail(Errc::kOutOfRange, "number too large");
  return value;
}

// Checks a number against "0..64". An omitted side is open.
bool in_range(u64 value, std::string_view range) {
  usize dots = range.find("..");
  if (dots == std::string_view::npos) return true;
  Result<u64> low = parse_number(range.substr(0, dots));
  Result<u64> high = parse_number(range.substr(dots + 2));
  return (!low.has_value() || value >= *low) && (!high.has_value() || value <= *high);
}

Result<bool> parse_flag(std::string_view text) {
  constexpr std::string_view kYes[] = {"", "1", "yes", "on", "true"};
  constexpr std::string_view kNo[] = {"0", "no", "off", "false"};
  for (std::string_view word : kYes)
    if (text == word) return true;
  for (std::string_view word : kNo)
    if (text == word) return false;
  return fail(Errc::kInvalidArgument, "it is neither yes nor no");
}

bool is_choice(std::string_view value, std::string_view choices) {
  while (!choices.empty()) {
    usize bar = std::min(choices.find('|'), choices.size());
    if (choices.substr(0, bar) == value) return true;
    choices.remove_prefix(std::min(bar + 1, choices.size()));
  }
  return false;
}

Result<void> check(const Option& option, std::string_view value) {
  switch (option.kind) {
    case OptionKind::kFlag:
      TRY(parse_flag(value));
      return {};
    case OptionKind::kNumber: {
      u64 number = TRY(parse_number(value));
      if (!in_range(number, option.values)) return fail(Errc::kOutOfRange, "out of range");
      return {};
    }
    case OptionKind::kChoice:
      if (!is_choice(value, option.values))
        return fail(Errc::kInvalidArgument, "it is not one of the choices");
      return {};
    case OptionKind::kText:
      return {};
  }
  return {};
}

// Keeps `value` in the store. A value that is longer than the old one takes new room.
Result<void> keep(const Option& option, std::string_view value, Source source) {
  Setting* setting = setting_of(option);
  if (setting != nullptr && setting->source == Source::kCommandLine && source == Source::kFile)
    return {};
  char* room = nullptr;
  if (setting != nullptr && setting->value.size() >= value.size()) {
    room = store.text + (setting->value.data() - store.text);
  } else {
    if (value.size() > kTextBytes - store.used)
      return fail(Errc::kFull, "no room for more options: give fewer or shorter ones");
    room = store.text + store.used;
    store.used += value.size();
  }
  std::copy(value.begin(), value.end(), room);
  std::string_view kept(room, value.size());
  if (setting != nullptr) {
    *setting = {&option, kept, source};
  } else if (!store.settings.push_back({&option, kept, source})) {
    return fail(Errc::kFull, "too many options: give fewer");
  }
  return {};
}

struct Pair {
  std::string_view key, value;
};

Pair pair_of(std::string_view word) {
  usize equals = std::min(word.find('='), word.size());
  return {word.substr(0, equals), word.substr(std::min(equals + 1, word.size()))};
}

Result<const Option*> known(std::string_view key, base::Writer& why) {
  if (const Option* option = find(key); option != nullptr) return option;
  base::Nearest nearest(key);
  for (const Option* row : kernel_options_rows()) nearest.consider(row->key);
  char buffer[64];
  base::format_to(why, "unknown option '{}'", shown(key, buffer));
  if (!nearest.best().empty()) base::format_to(why, ": did you mean '{}'?", nearest.best());
  return fail(Errc::kNotFound, "unknown option");
}

Result<void> fits(const Option& option, std::string_view value, base::Writer& why) {
  Result<void> done = check(option, value);
  char buffer[64];
  if (!done.has_value())
    base::format_to(why, "{}='{}' is not taken: {} (takes {})", option.key, shown(value, buffer),
                    done.error(), option.values);
  return done;
}

Result<void> take(const Pair& pair, Source source, base::Writer& why) {
  const Option* option = TRY(known(pair.key, why));
  TRY(fits(*option, pair.value, why));
  Result<void> kept = keep(*option, pair.value, source);
  if (!kept.has_value()) base::format_to(why, "{} is ignored: {}", option->key, kept.error());
  return kept;
}

// `line` is the line of marrow.cfg, or 0 for the command line.
void set(const Pair& pair, u32 line = 0) {
  char buffer[200];
  base::BufferWriter why(buffer);
  if (take(pair, line == 0 ? Source::kCommandLine : Source::kFile, why).has_value()) return;
  if (line == 0)
    log::warn("options", "{} (`help boot` lists them)", why.view());
  else
    log::warn("options", "line {} of marrow.cfg: {}", line, why.view());
}

// Takes one word from `text` and resolves quotes, and backslashes inside quotes, into `buffer`.
// GRUB quotes a whole argument ("run=a b"), people quote its value (run="a b"); both mean the same.
struct Word {
  std::string_view text;
  bool fits;
  bool closed;
};
Word next_word(std::string_view& text, std::span<char> buffer) {
  usize size = 0, i = 0;
  bool quoted = false, fits = true;
  for (; i < text.size() && (quoted || !is_space(text[i])); i++) {
    char c = text[i];
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    bool escaped =
        quoted && c == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    if (escaped) c = text[++i];
    fits = fits && size < buffer.size();
    if (fits) buffer[size++] = c;
  }
  text.remove_prefix(i);
  return {{buffer.data(), size}, fits, !quoted};
}

void parse_words(std::string_view text) {
  static constinit char buffer[kLongestValue];
  for (text = trim(text); !text.empty(); text = trim(text)) {
    Word word = next_word(text, buffer);
    if (!word.closed) log::warn("options", "a quote is not closed; the rest is taken as its value");
    if (!word.fits) {
      log::warn("options", "a value longer than {} bytes is ignored", kLongestValue);
    } else if (!word.text.empty()) {
      set(pair_of(word.text));
    }
  }
}

// Returns the row whose key follows `last` in order. The table is small, so it is searched instead
// of sorted.
const Option* next_after(const Option* last) {
  const Option* best = nullptr;
  for (const Option* row : kernel_options_rows()) {
    std::string_view key = row->key;
    if (last != nullptr && key <= std::string_view(last->key)) continue;
    if (best == nullptr || key < std::string_view(best->key)) best = row;
  }
  return best;
}

// Returns "threads=0..64", or just the key of a flag.
std::string_view spelling(const Option& option, std::span<char> buffer) {
  if (option.kind == OptionKind::kFlag) return option.key;
  return base::format_into(buffer, "{}={}", option.key, option.values);
}

std::string_view value_of(const Option& option) {
  const Setting* setting = setting_of(option);
  return setting != nullptr ? setting->value : std::string_view(option.default_value);
}

// Returns the value for people to read. What looks like a secret is not shown.
std::string_view present(const Option& option) {
  std::string_view key = option.key;
  for (std::string_view secret : {"key", "password", "secret", "token_hash"})
    if (key.ends_with(secret)) return "(hidden)";
  if (option.kind == OptionKind::kFlag)
    return parse_flag(value_of(option)).value_or(false) ? "on" : "off";
  return value_of(option);
}

}  // namespace

void parse_command_line(std::string_view text) {
  parse_words(text);
}

Result<void> judge(std::string_view argument, base::Writer& why) {
  Pair pair = pair_of(argument);
  const Option* option = TRY(known(pair.key, why));
  return fits(*option, pair.value, why);
}

void parse_file(std::string_view text) {
  for (u32 number = 1; !text.empty(); number++) {
    usize end = std::min(text.find('\n'), text.size());
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    // "key = value with spaces": the value is the rest of the line, unless it is quoted.
    usize equals = line.find('=');
    std::string_view key = trim(line.substr(0, std::min(equals, line.size())));
    std::string_view value =
        equals == std::string_view::npos ? std::string_view() : trim(line.substr(equals + 1));
    if (value.starts_with('"')) {
      static constinit char buffer[kLongestValue];
      Word word = next_word(value, buffer);
      if (!word.fits || !word.closed) {
        log::warn("options", "line {} of marrow.cfg: its value is too long or its quote not closed",
                  number);
        continue;
      }
      value = word.text;
    }
    if (value.size() <= kLongestValue) set({key, value}, number);
  }
}

bool flag(const Option& option) {
  // A flag that nobody gave is off unless its row says otherwise. A flag without a value on the
  // line is on.
  if (!given(option) && option.default_value[0] == 0) return false;
  return parse_flag(value_of(option)).value_or(false);
}

u64 number(const Option& option) {
  return parse_number(value_of(option)).value_or(0);
}

std::string_view text(const Option& option) {
  return value_of(option);
}

bool given(const Option& option) {
  return setting_of(option) != nullptr;
}

void list(base::Writer& out) {
  char buffer[160];
  for (const Option* row = next_after(nullptr); row != nullptr; row = next_after(row)) {
    base::format_to(out, "  {:<34} {}", spelling(*row, buffer), row->help);
    if (row->default_value[0] != 0) base::format_to(out, " (default {})", row->default_value);
    if (row->alias != nullptr) base::format_to(out, " [also {}]", row->alias);
    if (given(*row)) base::format_to(out, " [now: {}]", present(*row));
    out.write("\n");
  }
}

void list_given(base::Writer& out) {
  for (const Option* row = next_after(nullptr); row != nullptr; row = next_after(row)) {
    if (!given(*row)) continue;
    if (row->kind == OptionKind::kText)
      base::format_to(out, "{}=({} characters)\n", row->key, value_of(*row).size());
    else
      base::format_to(out, "{}={}\n", row->key, value_of(*row));
  }
}

void list_markdown(base::Writer& out) {
  out.write("| Option | Values | Default | Meaning |\n|---|---|---|---|\n");
  for (const Option* row = next_after(nullptr); row != nullptr; row = next_after(row)) {
    base::format_to(out, "| `{}`", row->key);
    if (row->alias != nullptr) base::format_to(out, ", `{}`", row->alias);
    out.write(" | ");
    std::string_view values = row->kind == OptionKind::kFlag ? "flag" : row->values;
    for (char c : values) out.write(c == '|' ? std::string_view(", ") : std::string_view(&c, 1));
    base::format_to(out, " | {} | {} |\n", row->default_value, row->help);
  }
}

void reset() {
  store.settings.clear();
  store.used = 0;
}

}  // namespace options
