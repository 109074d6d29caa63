// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the epochs as a record: {"epochs":[{"name":"tiny","epoch":"3"}]}. They have 64 bits, which
// numbers of JSON do not keep everywhere.
#include "service/bundle/epochs.h"

#include <algorithm>
#include <charconv>

#include "kernel/base/json.h"
#include "kernel/log.h"
#include "service/bundle/record.h"
#include "service/storage.h"

namespace service::bundle {
namespace {

constexpr std::string_view kRecord = "epochs";

struct Epoch {
  String name;
  u64 epoch = 0;
};
struct Known {
  Vector<Epoch> all;
  bool storing = false;  // a thread writes the record
  bool changed = false;  // since it began to, or not written
  bool on_disk = false;  // the record that was written last
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

// Returns true if the number rose.
Result<bool> raise(std::string_view name, u64 epoch) {
  Epoch* row = find(name);
  if (row == nullptr) {
    TRY(known().all.push_back({TRY(String::from(name)), epoch}));
    return true;
  }
  bool higher = epoch > row->epoch;
  row->epoch = std::max(row->epoch, epoch);
  return higher;
}

// Adds the rows of a text to what is known. Returns true if that changed anything. Who can damage
// the text could remove it as well, so a damaged one is told, and adds nothing.
Result<bool> add(std::string_view text) {
  Result<Vector<Epoch>> rows = parse(text);
  if (!rows.has_value() && rows.error().code == Errc::kOutOfMemory)
    return std::unexpected(rows.error());
  if (!rows.has_value()) {
    log::error("trust", "the epochs of bundles that this machine kept are damaged: {}",
               rows.error());
    return false;
  }
  bool changed = false;
  for (const Epoch& row : *rows) changed |= TRY(raise(row.name.view(), row.epoch));
  return changed;
}

Result<void> keep();

// Versions before 0.3 kept the epochs in one file, which a power cut could tear. It is added to the
// record and then emptied, so that it does not undo a later accept_older().
Result<void> take_over_file() {
  constexpr std::string_view kDrawer = "trust", kEmpty = R"({"epochs":[]})";
  Result<String> text = load_text(kDrawer, kRecord, StoreOn::kFixedDisk);
  if (!text.has_value() || text->view() == kEmpty) return {};
  bool changed = TRY(add(text->view()));
  if (changed || !known().on_disk) TRY(keep());
  if (!known().on_disk) return {};  // no disk has room for the record: the file is all there is
  TRY(store_text(kDrawer, kRecord, kEmpty, StoreOn::kFixedDisk));
  return {};
}

// Adds what is kept to what is known. It is read each time, because its disk may come after the
// boot, and a number never falls by that.
Result<void> read_kept() {
  if (known().storing) return {};  // that thread has read it, and a record may be torn just now
  Result<String> text = load_record(kRecord);
  if (text.has_value())
    TRY(add(text->view()));
  else if (text.error().code == Errc::kOutOfMemory)
    return std::unexpected(text.error());
  Result<void> taken = take_over_file();
  if (!taken.has_value())
    log::warn("trust", "the file of epochs is not taken over: {}", taken.error());
  return {};
}

Result<String> record_text() {
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
  return text;
}

Result<void> store() {
  String text = TRY(record_text());
  String place = TRY(store_record(kRecord, text.view()));
  known().on_disk = place.view().starts_with('/');
  log::debug("trust", "epochs of bundles: {}", place);
  return {};
}

// Writes the record. A thread that finds another one writing leaves it to that one.
Result<void> keep() {
  known().changed = true;
  if (known().storing) return {};
  known().storing = true;
  Result<void> stored;
  while (stored.has_value() && known().changed) {
    known().changed = false;
    stored = store();
  }
  known().changed = !stored.has_value();
  known().storing = false;
  return stored;
}

}  // namespace

Result<u64> epoch_of(std::string_view name) {
  TRY(read_kept());
  const Epoch* row = find(name);
  return row == nullptr ? 0 : row->epoch;
}

Result<void> raise_epoch(std::string_view name, u64 epoch) {
  TRY(read_kept());
  if (epoch == 0) return {};
  bool rose = TRY(raise(name, epoch));
  return rose || known().changed ? keep() : Result<void>();
}

Result<void> accept_older(std::string_view name) {
  TRY(read_kept());
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
