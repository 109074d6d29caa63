// SPDX-License-Identifier: GPL-2.0-or-later
// The option net= and the time of day as text.
#include "kernel/net/settings.h"
#include "kernel/base/test.h"
#include "kernel/net/network_list.h"
#include "kernel/time/wall_clock.h"

namespace {

using net::Ipv4Settings;

TEST(net_settings, modes) {
  EXPECT(net::parse_settings("dhcp").value().mode == Ipv4Settings::Mode::kDhcp);
  EXPECT(net::parse_settings("off").value().mode == Ipv4Settings::Mode::kOff);
}

TEST(net_settings, static_address) {
  Result<Ipv4Settings> s = net::parse_settings("192.0.2.7/24,192.0.2.1,198.51.100.3,8.8.8.8");
  REQUIRE(s.has_value());
  EXPECT(s->mode == Ipv4Settings::Mode::kStatic);
  EXPECT(s->address == net::parse_ipv4("192.0.2.7").value());
  EXPECT_EQ(s->prefix, 24u);
  EXPECT(s->gateway == net::parse_ipv4("192.0.2.1").value());
  EXPECT(s->name_servers[0] == net::parse_ipv4("198.51.100.3").value());
  EXPECT(s->name_servers[1] == net::parse_ipv4("8.8.8.8").value());
}

TEST(net_settings, what_is_not_an_address_is_refused) {
  for (const char* text :
       {"", "on", "1.2.3.4", "1.2.3/8", "1.2.3.4.5/8", "256.0.0.1/8", "1.2.3.4/33", "1.2.3.4/",
        "1.2.3.4/24,gateway", "1.2.3.4/24,1.2.3.1,1.1.1.1,2.2.2.2,3.3.3.3", "-1.2.3.4/8",
        "1.2.3. 4/8", "99999999999.1.1.1/8"})
    EXPECT(!net::parse_settings(text).has_value());
}

TEST(net_settings, time_of_day) {
  char text[32];
  constexpr u64 kSecond = 1'000'000'000;
  EXPECT_EQ(timing::format_utc(text, 0), "1970-01-01 00:00:00");
  EXPECT_EQ(timing::format_utc(text, 951'782'399 * kSecond), "2000-02-28 23:59:59");
  EXPECT_EQ(timing::format_utc(text, 951'782'400 * kSecond), "2000-02-29 00:00:00");
  EXPECT_EQ(timing::format_utc(text, 1'735'689'599 * kSecond), "2024-12-31 23:59:59");
  EXPECT_EQ(timing::format_utc(text, 4'107'542'400 * kSecond), "2100-03-01 00:00:00");
}

}  // namespace

TEST(net, addresses_from_text) {
  auto same = [](std::string_view a, std::string_view b) {
    Result<net::IpAddress> x = net::parse_address(a), y = net::parse_address(b);
    return x.has_value() && y.has_value() && *x == *y;
  };
  EXPECT(same("2001:db8::1", "2001:0db8:0:0:0:0:0:1"));
  EXPECT(same("::", "0:0:0:0:0:0:0:0"));
  EXPECT(same("1::", "1:0:0:0:0:0:0:0"));
  EXPECT(same("::ffff:192.0.2.1", "192.0.2.1"));
  EXPECT(same("64:ff9b::192.0.2.1", "64:ff9b::c000:201"));
  EXPECT(!same("2001:db8::1", "2001:db8::2"));
  for (std::string_view bad :
       {"", ":", ":::", "1", "1:2", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8",
        "g::", "12345::", "::1.2.3", "::1.2.3.4:5", "1:2:3:4:5:6:7:", "fe80::1%eth0", "1.2.3.4.5"})
    EXPECT(!net::parse_address(bad).has_value());
}

TEST(net, lists_of_networks) {
  auto list = net::NetworkList::parse("10.0.0.0/8,192.0.2.7,fe80::/10,2001:db8::/33");
  REQUIRE(list.has_value());
  auto has = [&](std::string_view text) { return list->contains(*net::parse_address(text)); };
  EXPECT(has("10.255.1.2") && has("192.0.2.7") && has("febf::1") && has("2001:db8:7fff::1"));
  EXPECT(has("::ffff:10.0.0.1"));
  EXPECT(!has("11.0.0.1") && !has("192.0.2.8") && !has("fec0::1") && !has("2001:db8:8000::1"));
  EXPECT(net::NetworkList::parse("0.0.0.0/0")->contains(*net::parse_address("8.8.8.8")));
  EXPECT(!net::NetworkList::parse("0.0.0.0/0")->contains(*net::parse_address("::1")));
  EXPECT(net::NetworkList::parse("")->empty());
  for (std::string_view bad :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "x", ",,", "/8"})
    EXPECT(!net::NetworkList::parse(bad).has_value());
  EXPECT_EQ(net::host_of("192.0.2.1:80"), "192.0.2.1");
  EXPECT_EQ(net::host_of("2001:db8::1:80"), "2001:db8::1");
}
