// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the key file, hashes the keys, hands them to the service and wipes the text.
#include "service/serve/keys.h"

#include "kernel/base/text.h"
#include "kernel/base/wipe.h"
#include "kernel/fs/file_system.h"
#include "kernel/log.h"
#include "kernel/options.h"

namespace service {
namespace {

constexpr Option kFile{"api_key.file", OptionKind::kText, "", "PATH",
                       "file of keys, one per line ('admin KEY': admin key); reread on change"};
KERNEL_OPTION(kFile);

constexpr usize kMostBytes = 64 * 1024;

struct Keys {
  Vector<crypto::Sha256Digest> users, admins;
};

Result<Keys> parse(std::string_view text) {
  constexpr std::string_view kAdmin = "admin";
  Keys keys;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = base::trim(line);
    if (line.empty() || line.front() == '#') continue;
    usize word = line.find_first_of(" \t");
    bool admin = line.substr(0, word) == kAdmin;
    if (admin) line = base::trim(line.substr(kAdmin.size()));
    crypto::Sha256Digest digest = TRY(ai::openai::Guard::read_key(line));
    TRY((admin ? keys.admins : keys.users).push_back(digest));
  }
  if (keys.users.empty() && keys.admins.empty())
    return fail(Errc::kInvalidArgument,
                "the file of api_key.file= has no key: put one key on each line");
  return keys;
}

}  // namespace

bool KeyFile::chosen() {
  return options::given(kFile);
}

Result<void> KeyFile::read(ai::openai::Service& service) {
  if (!chosen()) return {};
  String text = TRY(fs::read_text(options::text(kFile), kMostBytes));
  crypto::Sha256Digest digest = crypto::sha256(text.view());
  if (read_ && digest == seen_) return {};
  seen_ = digest;
  Result<Keys> keys = parse(text.view());
  base::wipe(text);
  if (!keys.has_value()) return std::unexpected(keys.error());
  log::info("http", "{}: {} keys, {} admin keys", options::text(kFile), keys->users.size(),
            keys->admins.size());
  service.set_keys(std::move(keys->users), std::move(keys->admins));
  read_ = true;
  return {};
}

void KeyFile::watch(ai::openai::Service& service) {
  Result<void> done = read(service);
  const char* problem = done.has_value() ? "" : done.error().what;
  if (!done.has_value() && std::string_view(problem) != problem_)
    log::warn("http", "{}: the keys stay as they were: {}", options::text(kFile), done.error());
  problem_ = problem;
}

}  // namespace service
