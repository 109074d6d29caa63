// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the reader of tests/machines.
#include "tests/hosted/test_machines.h"

#include <cstdlib>
#include <sstream>

#include "tests/hosted/test_files.h"

std::vector<std::vector<std::string>> MachineFacts::all(std::string_view word) const {
  std::vector<std::vector<std::string>> found;
  for (const auto& line : lines)
    if (line.front() == word) found.push_back(line);
  return found;
}

u64 MachineFacts::number(std::string_view word, int base, u64 otherwise) const {
  auto found = all(word);
  return found.empty() ? otherwise : number_of(found.front().at(1), base);
}

u64 number_of(const std::string& word, int base) {
  return std::strtoull(word.c_str(), nullptr, base);
}

std::vector<MachineFacts> read_machines(const std::string& file) {
  std::string text;
  if (!read_file("tests/machines/" + file, text)) return {};
  std::vector<MachineFacts> machines;
  usize sources = 0;
  std::istringstream rows(text);
  for (std::string row; std::getline(rows, row);) {
    if (row.empty() || row.front() == '#') continue;
    std::istringstream in(row);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.front() == "machine")
      machines.push_back({row.substr(std::string_view("machine ").size()), {}});
    else if (words.front() == "source")
      sources++;
    else if (!machines.empty())
      machines.back().lines.push_back(words);
  }
  if (sources != machines.size()) machines.clear();
  return machines;
}
