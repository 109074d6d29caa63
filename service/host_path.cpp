// SPDX-License-Identifier: GPL-2.0-or-later
// Puts paths of the host below the mount where the twin shows them.
#include "service/host_path.h"

#include <algorithm>

#include "kernel/base/format.h"
#include "kernel/fs/file_system.h"

namespace service {

std::string_view machine_path(std::string_view typed, std::span<char> room) {
  constexpr std::string_view kHost = "/host";
  auto holds = [&](const fs::Mount& mount) {
    std::string_view rest = typed.substr(std::min(typed.size(), mount.point.size()));
    return typed.starts_with(mount.point) && (rest.empty() || rest.front() == '/');
  };
  auto mounts = fs::mounts();
  bool twin = std::ranges::any_of(mounts, [&](const fs::Mount& m) { return m.point == kHost; });
  if (!twin || std::ranges::any_of(mounts, holds)) return base::format_into(room, "{}", typed);
  if (typed.starts_with('/')) return base::format_into(room, "{}{}", kHost, typed);
  return base::format_into(room, "{}/proc/self/cwd/{}", kHost, typed);
}

}  // namespace service
