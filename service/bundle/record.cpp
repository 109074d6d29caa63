// SPDX-License-Identifier: GPL-2.0-or-later
// Writes records as JSON: {"number":"7","sha256":"…","text":"…"}. The number has 64 bits, which
// numbers of JSON do not keep everywhere.
#include "service/bundle/record.h"

#include <charconv>

#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/crypto/sha256.h"
#include "kernel/log.h"
#include "service/storage.h"

namespace service::bundle {
namespace {

constexpr std::string_view kDrawer = "trust";
constexpr std::string_view kSides[] = {"a", "b"};

std::string_view side_name(std::string_view name, std::string_view side, std::span<char> room) {
  return base::format_into(room, "{}-{}", name, side);
}

struct Record {
  u64 number = 0;  // 0 = there is none
  String text;
};

crypto::Sha256Digest digest_of(std::string_view number, std::string_view text) {
  crypto::Sha256 sha;
  for (std::string_view part : {number, std::string_view("\n"), text})
    sha.update({reinterpret_cast<const Byte*>(part.data()), part.size()});
  return sha.finish();
}

Result<Record> parse(std::string_view bytes) {
  json::Document document = TRY(json::Document::parse(bytes));
  std::string_view digits = document.root().find("number").text();
  std::string_view text = document.root().find("text").text();
  Record record;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), record.number);
  crypto::Sha256Digest sum;
  bool whole = error == std::errc() && end == digits.data() + digits.size() &&
               base::read_hex(document.root().find("sha256").text(), sum) &&
               sum == digest_of(digits, text);
  if (!whole || record.number == 0) return fail(Errc::kCorrupt, "a record is damaged");
  record.text = TRY(String::from(text));
  return record;
}

// A record that is damaged is as good as none, and is told.
Result<Record> read_side(std::string_view name, std::string_view side) {
  char room[64];
  Result<String> bytes = load_text(kDrawer, side_name(name, side, room), StoreOn::kFixedDisk);
  if (!bytes.has_value()) {
    if (bytes.error().code == Errc::kOutOfMemory) return std::unexpected(bytes.error());
    return Record();
  }
  Result<Record> record = parse(bytes->view());
  if (record.has_value() || record.error().code == Errc::kOutOfMemory) return record;
  log::error("trust", "one of the two records of {} is damaged and left out: {}", name,
             record.error());
  return Record();
}

}  // namespace

Result<String> load_record(std::string_view name) {
  Record a = TRY(read_side(name, kSides[0])), b = TRY(read_side(name, kSides[1]));
  if (a.number == 0 && b.number == 0) return fail(Errc::kNotFound, "there is no record");
  return std::move(a.number > b.number ? a.text : b.text);
}

Result<String> store_record(std::string_view name, std::string_view text) {
  u64 a = TRY(read_side(name, kSides[0])).number, b = TRY(read_side(name, kSides[1])).number;
  std::string_view side = a > b ? kSides[1] : kSides[0];
  char digits_room[24], room[64];
  std::string_view digits = base::format_into(digits_room, "{}", std::max(a, b) + 1);
  String sum = TRY(base::hex_text(digest_of(digits, text)));
  String out;
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object().field("number", digits).field("sha256", sum.view()).field("text", text);
  w.end_object();
  TRY(sink.status());
  return store_text(kDrawer, side_name(name, side, room), out.view(), StoreOn::kFixedDisk);
}

}  // namespace service::bundle
