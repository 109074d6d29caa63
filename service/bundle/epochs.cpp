// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the epochs as a small text: {"epochs":[{"name":"tiny","epoch":"3"}]}. They have 64 bits,
// which numbers of JSON do not keep everywhere.
#include "service/bundle/epochs.h"

#include <charconv>

#include "kernel/base/json.h"
#include "kernel/log.h"
#include "service/storage.h"

namespace service::bundle {
namespace {

constexpr std::string_view kDrawer = "trust", kText = "epochs";

struct Epoch {
  String name;
  u64 epoch = 0;
};
struct Known {
  Vector<Epoch> all;
  bool read = false;
};
Known& known() {
  static constinit Known instance;
  return instance;
}

Epoch* find(std::string_view name) {
  for (Epoch& row : known().all)
    if (row.name.view() == name) return &row;
  return nullptr;
}

Result<Vector<Epoch>> parse(std::string_view text) {
  Vector<Epoch> all;
  json::Document document = TRY(json::Document::parse(text));
  for (json::Value row : document.root().find("epochs").elements()) {
    std::string_view name = row.find("name").text(), digits = row.find("epoch").text();
    u64 epoch = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), epoch);
    if (name.empty() || error != std::errc() || end != digits.data() + digits.size())
      return fail(Errc::kCorrupt, "a row is no epoch");
    TRY(all.push_back({TRY(String::from(name)), epoch}));
  }
  return all;
}

// Reads what is kept, once. Who can damage the text could remove it as well, so a damaged one is
// told, and nothing is known then.
Result<void> read_once() {
  if (known().read) return {};
  Vector<Epoch> all;
  Result<String> text = load_text(kDrawer, kText, StoreOn::kFixedDisk);
  if (text.has_value()) {
    Result<Vector<Epoch>> parsed = parse(text->view());
    if (parsed.has_value())
      all = std::move(*parsed);
    else
      log::error("trust", "the epochs of bundles that this machine kept are damaged: {}",
                 parsed.error());
  } else if (text.error().code == Errc::kOutOfMemory) {
    return std::unexpected(text.error());
  }
  if (known().read) return {};  // reading waits, so another thread may have been faster
  known().all = std::move(all);
  known().read = true;
  return {};
}

Result<void> keep() {
  String text;
  base::StringWriter out(text);
  json::Writer w(out);
  w.begin_object().key("epochs").begin_array();
  char digits[24];
  for (const Epoch& row : known().all)
    w.begin_object()
        .field("name", row.name)
        .field("epoch", base::format_into(digits, "{}", row.epoch))
        .end_object();
  w.end_array().end_object();
  TRY(out.status());
  String place = TRY(store_text(kDrawer, kText, text.view(), StoreOn::kFixedDisk));
  log::debug("trust", "epochs of bundles: {}", place);
  return {};
}

}  // namespace

Result<u64> epoch_of(std::string_view name) {
  TRY(read_once());
  const Epoch* row = find(name);
  return row == nullptr ? 0 : row->epoch;
}

Result<void> raise_epoch(std::string_view name, u64 epoch) {
  TRY(read_once());
  Epoch* row = find(name);
  if (epoch <= (row == nullptr ? 0 : row->epoch)) return {};
  if (row != nullptr)
    row->epoch = epoch;
  else
    TRY(known().all.push_back({TRY(String::from(name)), epoch}));
  return keep();
}

Result<void> accept_older(std::string_view name) {
  TRY(read_once());
  Epoch* row = find(name);
  if (row == nullptr)
    return fail(Errc::kNotFound, "this machine knows no security_epoch of such a bundle");
  known().all.erase(static_cast<usize>(row - known().all.data()));
  return keep();
}

void forget_epochs() {
  known() = {};
}

}  // namespace service::bundle
