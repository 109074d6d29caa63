// SPDX-License-Identifier: GPL-2.0-or-later
// Parses the words of `stability`.
#include "console/chat/talk.h"
#include "console/check/stability.h"

namespace console {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;

struct Unit {
  char letter;
  u64 seconds;
};
constexpr Unit kUnits[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

struct PlantRow {
  std::string_view name;
  Plant plant;
};
constexpr PlantRow kPlants[] = {{"bit", Plant::kBit},
                                {"page", Plant::kPage},
                                {"stall", Plant::kStall},
                                {"drift", Plant::kDrift}};

Result<void> parse_span(std::string_view text, StabilityPlan& plan) {
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.letter)) continue;
    u64 count = TRY(parse_number(text.substr(0, text.size() - 1)));
    if (count == 0 || count > 1'000'000)
      return fail(Errc::kOutOfRange, "the duration must look like 90s, 10m, 1h or 3d");
    plan.ns = count * unit.seconds * kNsPerSecond;
    plan.tokens = 0;
    return {};
  }
  plan.tokens = TRY(parse_number(text));
  plan.ns = 0;
  if (plan.tokens == 0) return fail(Errc::kOutOfRange, "the number of tokens must be at least 1");
  return {};
}

Result<Plant> parse_plant(std::string_view text) {
  for (const PlantRow& row : kPlants)
    if (row.name == text) return row.plant;
  return fail(Errc::kInvalidArgument, "--plant bit, page, stall or drift");
}

}  // namespace

std::string_view plant_name(Plant plant) {
  for (const PlantRow& row : kPlants)
    if (row.plant == plant) return row.name;
  return "nothing";
}

Result<StabilityPlan> parse_stability(std::span<const std::string_view> words) {
  StabilityPlan plan;
  plan.ns = 3600 * kNsPerSecond;
  for (usize i = 0; i < words.size(); i++) {
    if (words[i] == "--resume") {
      plan.resume = true;
      continue;
    }
    bool takes_value = words[i] == "--seed" || words[i] == "--with" || words[i] == "--plant";
    if (!takes_value) {
      TRY(parse_span(words[i], plan));
      continue;
    }
    std::string_view option = words[i];
    if (++i == words.size()) return fail(Errc::kInvalidArgument, "the last option needs a value");
    if (option == "--seed") plan.seed = TRY(parse_number(words[i]));
    if (option == "--plant") plan.plant = TRY(parse_plant(words[i]));
    if (option == "--with") TRY(plan.others.push_back(TRY(String::from(words[i]))));
  }
  return plan;
}

}  // namespace console
