// SPDX-License-Identifier: GPL-2.0-or-later
// The twin's entry point: arguments become the boot command line, and stdio becomes the console.
#include <version.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "boot/boot_info.h"
#include "kernel/arch_contract.h"
#include "kernel/main.h"
#include "kernel/options.h"

// The engine's objects are the kernel's, whose stack protector reads one global word.
extern "C" {
// NOLINTNEXTLINE(bugprone-reserved-identifier)
u64 __stack_chk_guard = 0x6d6172726f770a00;
}

namespace {

constexpr const char* kUsage =
    "Marrow %s, a language model on a machine of its own; this is its twin, an\n"
    "ordinary process with the same console, engine and server.\n"
    "\n"
    "usage: marrow [MODEL.gguf] [OPTION=VALUE ...]\n"
    "  marrow smollm2.gguf                      the console; `talk` starts a conversation\n"
    "  marrow smollm2.gguf talk                 straight into the conversation\n"
    "  marrow smollm2.gguf run=\"chat Hello; poweroff\"   commands, then the end\n"
    "  marrow bundle keygen|make|sign|verify ...  signed models; marrow bundle --help\n"
    "  marrow update make|sign ...              kernels for installed disks; marrow update --help\n"
    "  marrow receipt verify FILE model=MODEL.gguf  did the model give this answer?\n"
    "\n";

constexpr int kBadUsage = 2;

// The shell has removed the quotes, so a value with spaces gets them back.
std::string in_quotes(std::string_view word) {
  std::string text;
  for (char c : word) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  if (word.find_first_of(" \t\"\\") == word.npos) return text;
  usize value = text.find('=');
  value = value == text.npos ? 0 : value + 1;
  return text.substr(0, value) + '"' + text.substr(value) + '"';
}

// Returns true for a word that is just a file name, which names the model.
bool names_model(std::string_view word) {
  std::error_code none;
  return word.find('=') == word.npos && std::filesystem::is_regular_file(word, none);
}

// Checks one argument. A machine boots with a warning, but a person who types a wrong argument
// expects an error.
bool understood(const char* word) {
  char buffer[200];
  base::BufferWriter why(buffer);
  if (names_model(word) || options::judge(word, why).has_value()) return true;
  std::string_view text = word;
  bool file = text.find('=') == text.npos && (text.ends_with(".gguf") || text.contains('/'));
  std::string told = file ? "no such file: " + std::string(text) : std::string(why.view());
  std::fprintf(stderr, "marrow: %s\nmarrow: --help lists what it takes\n", told.c_str());
  return false;
}

bool has(int count, char** words, std::string_view wanted) {
  return std::any_of(words + 1, words + count, [&](const char* word) { return word == wanted; });
}

// A command of the console that is a tool of the host, too.
struct Tool {
  std::string_view name;
  bool takes_options;  // OPTION=VALUE behind its words
};
constexpr Tool kTools[] = {{"bundle", false}, {"receipt", true}, {"update", false}};

const Tool* tool_of(int count, char** words) {
  for (const Tool& tool : kTools)
    if (count > 1 && tool.name == words[1]) return &tool;
  return nullptr;
}

bool is_option_of(const Tool& tool, std::string_view word) {
  return tool.takes_options && word.find('=') != word.npos;
}

// Returns the options that run one command of the console, with the words as they are, and its
// options.
std::string command_options(const Tool& tool, int count, char** words) {
  std::string run = "run=", given;
  for (int i = 1; i < count; i++) {
    if (is_option_of(tool, words[i])) {
      given += in_quotes(words[i]) + ' ';
      continue;
    }
    run += i > 1 ? " \"" : "";
    for (const char* at = words[i]; *at != 0; at++) {
      if (*at == '"' || *at == '\\') run += '\\';
      run += *at;
    }
    run += i > 1 ? "\"" : "";
  }
  run += "; poweroff";
  return given + in_quotes(run);
}

std::string command_line(int count, char** words) {
  std::string line;
  for (int i = 1; i < count; i++) {
    std::string word = words[i];
    if (names_model(word)) word.insert(0, "model=");
    if (!line.empty()) line += ' ';
    line += in_quotes(word);
  }
  return line;
}

}  // namespace

int main(int count, char** words) {
  __stack_chk_guard = arch::Cpu::random_seed() & ~u64{0xff};
  static std::string line = command_line(count, words);
  if (has(count, words, "--version")) {
    std::printf("Marrow %s (%s)\n", kMarrowVersion, kMarrowCommit);
    return EXIT_SUCCESS;
  }
  bool helps = has(count, words, "--help") || has(count, words, "-h");
  const Tool* tool = tool_of(count, words);
  if (helps && tool == nullptr) {
    std::printf(kUsage, kMarrowVersion);
    std::fflush(stdout);
    line = "log=error run=\"help boot; poweroff\"";
  }
  if (tool != nullptr)
    line = helps || count == 2 ? "run=\"help " + std::string(tool->name) + "; poweroff\""
                               : command_options(*tool, count, words);
  for (int i = 1; i < count && !helps; i++) {
    bool judged = tool == nullptr || is_option_of(*tool, words[i]);
    if (words[i][0] != 0 && judged && !understood(words[i])) return kBadUsage;
  }
  static BootInfo boot;
  boot.loader = "linux process";
  boot.command_line = line;
  boot.entry_ticks = arch::Cpu::now_ticks();
  kernel_main(boot);
}
