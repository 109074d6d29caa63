// SPDX-License-Identifier: GPL-2.0-or-later
// Implements the functions that chat templates may call: range, namespace, dict, raise_exception,
// strftime_now.
#include "ai/text/jinja_interpreter.h"

namespace ai::jinja {
namespace {

Result<Value> range(Interpreter& in, const Arguments& arguments) {
  std::span<Value> given = arguments.positional;
  for (const Value& value : given) {
    if (!value.is_number()) return in.fail(arguments.offset, "range() needs integers");
  }
  if (given.empty() || given.size() > 3)
    return in.fail(arguments.offset, "range() takes one to three integers");
  i64 first = given.size() > 1 ? given[0].number() : 0;
  i64 last = given.size() > 1 ? given[1].number() : given[0].number();
  i64 step = given.size() > 2 ? given[2].number() : 1;
  if (step == 0) return in.fail(arguments.offset, "range()'s step cannot be 0");
  List* list = TRY(in.new_list());
  for (i64 at = first; step > 0 ? at < last : at > last;) {
    if (list->size >= Limits::kMaxRange)
      return in.fail(arguments.offset, "range() is too long (at most {})", Limits::kMaxRange);
    TRY(in.spend(1));
    TRY(list->append(in.arena(), integer(at)));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return list_value(list);
}

Result<Dict*> named_values(Interpreter& in, const Arguments& arguments) {
  Dict* dict = TRY(in.new_dict());
  if (!arguments.positional.empty() && arguments.positional[0].is(Kind::kDict)) {
    for (const Entry& entry : arguments.positional[0].dict->view())
      TRY(dict->append(in.arena(), entry.key, entry.value));
  }
  for (const NamedValue& named : arguments.named)
    TRY(dict->set(in.arena(), named.name, named.value));
  return dict;
}

Result<Value> make_namespace(Interpreter& in, const Arguments& arguments) {
  return dict_value(TRY(named_values(in, arguments)), Kind::kNamespace);
}

Result<Value> make_dict(Interpreter& in, const Arguments& arguments) {
  return dict_value(TRY(named_values(in, arguments)));
}

Result<Value> raise_exception(Interpreter& in, const Arguments& arguments) {
  std::string_view message = TRY(in.text_of(arguments.get(0, "message")));
  return in.raise(arguments.offset, message);
}

struct Date {
  i64 year, month, day, weekday, year_day, hour, minute, second;
};

// Converts by the proleptic Gregorian calendar. Days count from 1970-01-01, a Thursday.
Date date_of(i64 unix_seconds) {
  i64 days = unix_seconds / 86400;
  i64 rest = unix_seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    days--;
  }
  auto leap = [](i64 y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); };
  Date date{.year = 1970,
            .month = 0,
            .day = 0,
            .weekday = ((days + 4) % 7 + 7) % 7,
            .year_day = 0,
            .hour = rest / 3600,
            .minute = rest / 60 % 60,
            .second = rest % 60};
  constexpr i64 kEra = 146097;  // days in 400 years
  date.year += days / kEra * 400;
  days %= kEra;
  for (; days < 0; days += leap(date.year) ? 366 : 365) date.year--;
  for (; days >= (leap(date.year) ? 366 : 365); date.year++) days -= leap(date.year) ? 366 : 365;
  date.year_day = days;
  const i64 months[] = {31, leap(date.year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (; days >= months[date.month]; date.month++) days -= months[date.month];
  date.day = days + 1;
  return date;
}

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};

// Returns the text for one letter of a strftime format, or "" for an unknown one.
std::string_view date_part(char letter, const Date& d, std::span<char> room) {
  std::string_view month = kMonths[d.month], day = kDays[d.weekday];
  i64 hour12 = d.hour % 12 == 0 ? 12 : d.hour % 12;
  switch (letter) {
    case 'Y':
      return base::format_into(room, "{}", d.year);
    case 'y':
      return base::format_into(room, "{:02}", d.year % 100);
    case 'm':
      return base::format_into(room, "{:02}", d.month + 1);
    case 'd':
      return base::format_into(room, "{:02}", d.day);
    case 'e':
      return base::format_into(room, "{:2}", d.day);
    case 'j':
      return base::format_into(room, "{:03}", d.year_day + 1);
    case 'H':
      return base::format_into(room, "{:02}", d.hour);
    case 'I':
      return base::format_into(room, "{:02}", hour12);
    case 'M':
      return base::format_into(room, "{:02}", d.minute);
    case 'S':
      return base::format_into(room, "{:02}", d.second);
    case 'F':
      return base::format_into(room, "{}-{:02}-{:02}", d.year, d.month + 1, d.day);
    case 'T':
      return base::format_into(room, "{:02}:{:02}:{:02}", d.hour, d.minute, d.second);
    case 'p':
      return d.hour < 12 ? "AM" : "PM";
    case 'B':
      return month;
    case 'b':
    case 'h':
      return month.substr(0, 3);
    case 'A':
      return day;
    case 'a':
      return day.substr(0, 3);
    case '%':
      return "%";
    default:
      return {};
  }
}

// The time is UTC, because the machine knows no time zone.
Result<Value> strftime_now(Interpreter& in, const Arguments& arguments) {
  Value format = arguments.get(0, "format");
  if (!format.is(Kind::kString)) return in.fail(arguments.offset, "strftime_now() needs a format");
  Date date = date_of(in.now_unix());
  String out;
  for (usize i = 0; i < format.size; i++) {
    char c = format.text()[i];
    if (c != '%' || i + 1 == format.size) {
      TRY(out.push_back(c));
      continue;
    }
    char room[40];
    std::string_view part = date_part(format.text()[++i], date, room);
    if (part.empty())
      return in.fail(arguments.offset, "strftime_now() does not know %{}", format.text()[i]);
    TRY(out.append(part));
  }
  return in.keep(out.view());
}

struct Row {
  std::string_view name;
  Result<Value> (*call)(Interpreter& in, const Arguments& arguments);
};
constexpr Row kRows[] = {
    {"dict", make_dict}, {"namespace", make_namespace},  {"raise_exception", raise_exception},
    {"range", range},    {"strftime_now", strftime_now},
};

}  // namespace

bool has_global(const Interpreter& in, std::string_view name) {
  if (name == "strftime_now" && in.now_unix() == 0) return false;
  for (const Row& row : kRows) {
    if (row.name == name) return true;
  }
  return false;
}

Result<Value> call_global(Interpreter& in, std::string_view name, const Arguments& arguments) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.call(in, arguments);
  }
  return in.fail(arguments.offset, "\"{}\" is undefined", name);
}

}  // namespace ai::jinja
