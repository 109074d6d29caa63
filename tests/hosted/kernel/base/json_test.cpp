// SPDX-License-Identifier: GPL-2.0-or-later
// JSON: what RFC 8259 allows and forbids, limits, exact numbers, and the writer's text.
#include "kernel/base/json.h"

#include "arch/host/memory.h"
#include "kernel/base/test.h"

using json::Document;

namespace {

bool accepts(std::string_view text, const json::Limits& limits = {}) {
  return Document::parse(text, limits).has_value();
}

// The document written back without spaces, or "error".
String rewritten(std::string_view text) {
  String out;
  base::StringWriter sink(out);
  auto document = Document::parse(text);
  if (!document.has_value()) {
    sink.write("error");
    return out;
  }
  json::Writer(sink).value(document->root());
  return out;
}

i64 milli(std::string_view number) {
  auto document = Document::parse(number);
  if (!document.has_value()) return -1;
  return document->root().scaled(3).value_or(-1);
}

}  // namespace

TEST(json, accepts_what_the_rfc_allows) {
  EXPECT_EQ(rewritten(" { \"a\" : [1, 2.5e-3, true, false, null, \"x\"] , \"b\":{} } ").view(),
            "{\"a\":[1,2.5e-3,true,false,null,\"x\"],\"b\":{}}");
  EXPECT_EQ(rewritten("[]").view(), "[]");
  EXPECT_EQ(rewritten("-0").view(), "-0");
  EXPECT_EQ(rewritten("\"\\u00e9\\ud83d\\ude00\\n\\/\"").view(),
            "\"\xc3\xa9\xf0\x9f\x98\x80\\n/\"");
  EXPECT_EQ(rewritten("\"\\u0000\\u001f\"").view(), "\"\\u0000\\u001f\"");
}

TEST(json, refuses_what_the_rfc_forbids) {
  for (std::string_view bad : {"",
                               " ",
                               "{",
                               "[",
                               "[1,]",
                               "{\"a\":1,}",
                               "{a:1}",
                               "[1 2]",
                               "01",
                               "1.",
                               ".5",
                               "+1",
                               "1e",
                               "nul",
                               "truefalse",
                               "\"\t\"",
                               "\"\\x\"",
                               "\"\\u12g4\"",
                               "\"\\ud800\"",
                               "\"\\ud800\\u0041\"",
                               "\"\\udc00\"",
                               "\"\xff\"",
                               "\"\xc0\x80\"",
                               "\"\xed\xa0\x80\"",
                               "\"abc",
                               "\"a\\",
                               "1 1",
                               "{\"a\"}",
                               "{\"a\":}",
                               "[}",
                               "{]",
                               "-",
                               "NaN",
                               "Infinity",
                               "'a'",
                               "\xef\xbb\xbf{}"})
    if (accepts(bad)) test.report(__FILE__, __LINE__, bad);
}

TEST(json, depth_size_and_node_limits) {
  String deep;
  for (int i = 0; i < 64; i++) (void)deep.push_back('[');
  for (int i = 0; i < 64; i++) (void)deep.push_back(']');
  EXPECT(accepts(deep.view()));
  EXPECT(!accepts(deep.view(), {.depth = 63}));
  String deeper;
  for (int i = 0; i < 1'000'000; i++) (void)deeper.push_back('[');
  EXPECT(!accepts(deeper.view()));
  EXPECT(!accepts("[1,2,3]", {.nodes = 3}));
  EXPECT(!accepts("[1,2,3]", {.bytes = 6}));
}

TEST(json, numbers_are_exact_decimals) {
  EXPECT_EQ(milli("0.7"), 700);
  EXPECT_EQ(milli("1"), 1000);
  EXPECT_EQ(milli("7e-1"), 700);
  EXPECT_EQ(milli("0.0005"), 1);
  EXPECT_EQ(milli("0.00049999"), 0);
  EXPECT_EQ(milli("-1.2345"), -1235);
  EXPECT_EQ(milli("123456789e-6"), 123457);
  EXPECT_EQ(milli("1e400"), -1);
  EXPECT_EQ(milli("0e999999999999"), 0);
  EXPECT_EQ(milli("1e-999999999999"), 0);
  auto whole = [](std::string_view text) {
    return Document::parse(text)->root().integer().value_or(-77);
  };
  EXPECT_EQ(whole("1.0"), 1);
  EXPECT_EQ(whole("12e2"), 1200);
  EXPECT_EQ(whole("120e-1"), 12);
  EXPECT_EQ(whole("1.5"), -77);
  EXPECT_EQ(whole("9223372036854775808"), -77);
  EXPECT_EQ(whole("4611686018427387904"), i64{1} << 62);
}

TEST(json, members_and_elements) {
  auto document = Document::parse(R"({"a":{"x":[1,[2],3]},"b":"t\u0065xt","a":{"x":[9,8]}})");
  REQUIRE(document.has_value());
  json::Value root = document->root();
  EXPECT_EQ(root.size(), 3u);
  EXPECT_EQ(root.find("b").text(), "text");
  EXPECT_EQ(root.find("a").find("x").at(1).text(), "8");  // the last of two equal names
  EXPECT(!root.find("c").present());
  EXPECT(!root.find("c").find("d").at(3).present());
  u32 names = 0;
  for (json::Member m : root.members()) names += m.value.present() ? 1 : 0;
  EXPECT_EQ(names, 3u);
}

TEST(json, writer_replaces_bytes_that_are_not_utf8) {
  String out;
  base::StringWriter sink(out);
  json::Writer w(sink);
  w.begin_object().field("a", "x\xffy\xe2\x82").field("n", u32{7}).field("d", base::Decimal{12, 1});
  w.key("l").begin_array().value(true).null().end_array().end_object();
  EXPECT_EQ(out.view(),
            "{\"a\":\"x\xef\xbf\xbdy\xef\xbf\xbd\",\"n\":7,\"d\":1.2,\"l\":[true,null]}");
}

TEST(json, error_position_and_memory) {
  usize at = 0;
  EXPECT(!Document::parse("{\"a\": x}", {}, &at).has_value());
  EXPECT_EQ(at, 6u);
  i64 before = host::live_allocations();
  for (u64 nth = 1; nth < 6; nth++) {
    host::fail_allocation(nth);
    (void)Document::parse("[\"\\n\",\"a long string with an escape at its end\\n\",{}]");
  }
  host::fail_allocation(0);
  EXPECT_EQ(host::live_allocations(), before);
}

// ---- large documents

TEST(json, large_objects_are_indexed) {
  String text;
  base::StringWriter out(text);
  out.write("{");
  for (u32 i = 0; i < 5000; i++) base::format_to(out, "\"k{}\":{{\"v\":{}},", i, i);
  out.write("\"k7\":true,\"\\u006b8\":\"\\n\"}");  // the last of a name holds
  auto document = json::Document::parse(text.view());
  REQUIRE(document.has_value());
  json::Value root = document->root();
  EXPECT_EQ(root.size(), 5002u);
  EXPECT(root.text().empty() && root.node_count() == 1 + 5000 * 4 + 4);
  for (u32 i = 0; i < 5000; i++) {
    char name[16];
    json::Value value = root.find(base::format_into(name, "k{}", i));
    if (i == 7)
      EXPECT(value.is_true());
    else if (i == 8)
      EXPECT_EQ(value.text(), "\n");
    else
      EXPECT_EQ(value.find("v").integer().value_or(-1), i64{i});
  }
  EXPECT(!root.find("k5000").present() && !root.find("").present());
  String copy;
  base::StringWriter sink(copy);
  json::Writer(sink).value(root);
  EXPECT(json::Document::parse(copy.view())->root().size() == 5002);
}

TEST(json, members_of_one_object_are_limited) {
  auto object = [](u32 members) {
    String text;
    base::StringWriter out(text);
    for (u32 i = 0; i < members; i++) base::format_to(out, "{}\"{}\":1", i > 0 ? "," : "{", i);
    out.write("}");
    auto document = json::Document::parse(text.view());
    return document.has_value() ? std::string_view() : std::string_view(document.error().what);
  };
  EXPECT_EQ(object(1 << 16), "");
  EXPECT_EQ(object((1 << 16) + 1), "an object in the JSON has too many members");
}

// Decoded strings share pieces that never move: the first views must still be good at the end.
TEST(json, many_escaped_strings) {
  String text;
  base::StringWriter out(text);
  out.write("[");
  for (u32 i = 0; i < 20'000; i++) base::format_to(out, "\"a\\u00e9{}\\\"\",", i);
  out.write("\"\\t\"]");
  auto document = json::Document::parse(text.view());
  REQUIRE(document.has_value());
  u32 i = 0;
  for (json::Value value : document->root().elements()) {
    char wanted[32];
    std::string_view expected = base::format_into(wanted, "a\xc3\xa9{}\"", i);
    EXPECT_EQ(value.text(), i++ < 20'000 ? expected : std::string_view("\t"));
  }
  EXPECT(!json::Document::parse("\"\\").has_value() &&
         !json::Document::parse("\"\\\"").has_value());
}
