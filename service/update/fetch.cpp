// SPDX-License-Identifier: GPL-2.0-or-later
// Implements updates over the network.
#include "service/update/fetch.h"

#include "kernel/base/format.h"
#include "kernel/log.h"
#include "service/import.h"

namespace service::update {
namespace {

class UpdateGoods final : public PullGoods {
 public:
  explicit UpdateGoods(const Plan& plan) : plan_(plan) {}

  std::string_view shelf() const override { return "updates"; }
  std::string_view file_name() const override { return "marrow.update"; }
  usize head_bytes() const override { return kHeadBytes; }
  Result<void> judge(std::span<const Byte> head, u64 total, PullWatcher&) override {
    Head parsed = TRY(parse_head(head));
    TRY(judge_update(parsed, total, plan_.point));
    return {};
  }
  Result<String> choose_root(u64 total) const override { return choose_disk(total, plan_.point); }
  Result<void> take(Incoming& incoming, std::string_view, u64,
                    const crypto::Sha256Digest&) override {
    char room[640];
    written_ =
        TRY(write_update(base::format_into(room, "{}/{}", incoming.folder(), file_name()), plan_));
    // The update is in its slot: what stays here is removed by the next one.
    Result<void> removed = incoming.abandon();
    if (!removed.has_value())
      log::warn("update", "{}: not removed: {}", incoming.folder(), removed.error());
    return {};
  }
  std::optional<Written> written() && { return std::move(written_); }

 private:
  const Plan& plan_;
  std::optional<Written> written_;
};

}  // namespace

Result<Written> fetch_update(std::string_view url, const Plan& plan, PullWatcher& watcher) {
  UpdateGoods goods(plan);
  TRY(pull({.source = url, .name = "marrow"}, goods, watcher));
  std::optional<Written> written = std::move(goods).written();
  ASSERT(written.has_value());
  return std::move(*written);
}

}  // namespace service::update
