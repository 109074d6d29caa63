// SPDX-License-Identifier: GPL-2.0-or-later
// Judges values by schemas: one function for each group of keywords. JSON Schema 2020-12, and the
// older forms of drafts 4 to 7 and of OpenAPI that programs still write.
#include "ai/text/schema_check.h"

#include <algorithm>

#include "ai/text/exact_decimal.h"
#include "kernel/base/hex.h"
#include "kernel/base/utf8.h"

namespace ai {
namespace {

constexpr u32 kMaxCheckDepth = 64;

struct KeywordRow {
  std::string_view name;
  KeywordUse use;
};
constexpr KeywordRow kKeywords[] = {
    {"$ref", KeywordUse::kEnforced},
    {"additionalItems", KeywordUse::kEnforced},
    {"additionalProperties", KeywordUse::kEnforced},
    {"allOf", KeywordUse::kEnforced},
    {"anyOf", KeywordUse::kEnforced},
    {"const", KeywordUse::kEnforced},
    {"contains", KeywordUse::kEnforced},
    {"dependencies", KeywordUse::kEnforced},
    {"dependentRequired", KeywordUse::kEnforced},
    {"dependentSchemas", KeywordUse::kEnforced},
    {"else", KeywordUse::kEnforced},
    {"enum", KeywordUse::kEnforced},
    {"exclusiveMaximum", KeywordUse::kEnforced},
    {"exclusiveMinimum", KeywordUse::kEnforced},
    {"format", KeywordUse::kEnforced},
    {"if", KeywordUse::kEnforced},
    {"items", KeywordUse::kEnforced},
    {"maxContains", KeywordUse::kEnforced},
    {"maxItems", KeywordUse::kEnforced},
    {"maxLength", KeywordUse::kEnforced},
    {"maxProperties", KeywordUse::kEnforced},
    {"maximum", KeywordUse::kEnforced},
    {"minContains", KeywordUse::kEnforced},
    {"minItems", KeywordUse::kEnforced},
    {"minLength", KeywordUse::kEnforced},
    {"minProperties", KeywordUse::kEnforced},
    {"minimum", KeywordUse::kEnforced},
    {"multipleOf", KeywordUse::kEnforced},
    {"not", KeywordUse::kEnforced},
    {"nullable", KeywordUse::kEnforced},
    {"oneOf", KeywordUse::kEnforced},
    {"pattern", KeywordUse::kEnforced},
    {"patternProperties", KeywordUse::kEnforced},
    {"prefixItems", KeywordUse::kEnforced},
    {"properties", KeywordUse::kEnforced},
    {"propertyNames", KeywordUse::kEnforced},
    {"required", KeywordUse::kEnforced},
    {"then", KeywordUse::kEnforced},
    {"type", KeywordUse::kEnforced},
    {"unevaluatedItems", KeywordUse::kEnforced},
    {"unevaluatedProperties", KeywordUse::kEnforced},
    {"uniqueItems", KeywordUse::kEnforced},
    // They change what a reference means, and cannot be ignored.
    {"$dynamicRef", KeywordUse::kRefused},
    {"$recursiveRef", KeywordUse::kRefused},
    // These were keywords of draft 3.
    {"disallow", KeywordUse::kRefused},
    {"divisibleBy", KeywordUse::kRefused},
    {"extends", KeywordUse::kRefused},
};

// The texts of a format: never more than its specification allows, and all of them where a pattern
// can say it. An empty pattern means any text.
struct Format {
  std::string_view name, pattern;
};
#define DATE                                                                                    \
  "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(" \
  "0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])"  \
  "00)-02-29)"
#define TIME \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define LABEL "[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?"
#define HOST LABEL "(\\." LABEL "){0,3}"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define IPV4 BYTE "(\\." BYTE "){3}"
#define HEXTET "[0-9a-fA-F]{1,4}"
#define IPV6                                                                                 \
  "((" HEXTET ":){7}" HEXTET "|::|(" HEXTET ":){1,7}:|:(:" HEXTET "){1,7}|(" HEXTET          \
  ":){1,6}:" HEXTET "|(" HEXTET ":){1,5}(:" HEXTET "){1,2}|(" HEXTET ":){1,4}(:" HEXTET      \
  "){1,3}|(" HEXTET ":){1,3}(:" HEXTET "){1,4}|(" HEXTET ":){1,2}(:" HEXTET "){1,5}|" HEXTET \
  ":(:" HEXTET "){1,6})"
// The following are shorter than their specifications allow, so that a maxLength beside them rarely
// matters.
#define URI                                        \
  "https?://" HOST                                 \
  "(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9_.~/-]{0,100})?" \
  "(\\?[a-zA-Z0-9_.~=&-]{0,50})?"
#define EMAIL                                                              \
  "[a-zA-Z0-9_+-]{1,32}(\\.[a-zA-Z0-9_+-]{1,16}){0,2}@" LABEL "(\\." LABEL \
  "){0,2}\\.[a-zA-Z]{2,"                                                   \
  "12}"
constexpr Format kFormats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration",
     "^P(([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)(T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-"
     "9]"
     "+M([0-9]+S)?|[0-9]+S))?|T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)|[0-9]+W)$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"email", "^" EMAIL "$"},
    {"idn-email", "^" EMAIL "$"},
    {"hostname", "^" HOST "$"},
    {"idn-hostname", "^" HOST "$"},
    {"ipv4", "^" IPV4 "$"},
    {"ipv6", "^" IPV6 "$"},
    {"uri", "^" URI "$"},
    {"iri", "^" URI "$"},
    {"uri-reference", "^(" URI "|(/[a-zA-Z0-9_.~-]{1,32}){0,8})$"},
    {"iri-reference", "^(" URI "|(/[a-zA-Z0-9_.~-]{1,32}){0,8})$"},
    {"uri-template", "^" URI "$"},
    {"json-pointer", "^(/([^/~]|~[01])*)*$"},
    {"relative-json-pointer", "^(0|[1-9][0-9]*)(#|(/([^/~]|~[01])*)*)$"},
    {"regex", "^[A-Za-z0-9 _-]*$"},
    // Names of pydantic.
    {"ipvanyaddress", "^(" IPV4 "|" IPV6 ")$"},
    {"ipvanyinterface", "^" IPV4 "/([0-9]|[12][0-9]|3[0-2])$"},
    {"ipv4interface", "^" IPV4 "/([0-9]|[12][0-9]|3[0-2])$"},
    {"ipv6interface", "^" IPV6 "/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$"},
    // A network's host bits are zero, which whole bytes show.
    {"ipvanynetwork", "^(" BYTE "\\." BYTE "\\." BYTE "\\.0/24|" BYTE "\\." BYTE "\\.0\\.0/16|" BYTE
                      "\\.0\\.0\\.0/8|" IPV4 "/32)$"},
    {"ipv4network", "^(" BYTE "\\." BYTE "\\." BYTE "\\.0/24|" BYTE "\\." BYTE "\\.0\\.0/16|" BYTE
                    "\\.0\\.0\\.0/8|" IPV4 "/32)$"},
    {"ipv6network", "^(([0-9a-fA-F]{1,4}:){1,3}:/64|" IPV6 "/128)$"},
    {"base64url", "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2}(==)?|[A-Za-z0-9_-]{3}=?)?$"},
    {"byte", "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"},
    {"json-string", "^(\"[A-Za-z0-9 _-]*\"|-?(0|[1-9][0-9]{0,14})|true|false|null|\\[\\]|\\{\\})$"},
};

bool is_name(std::string_view keyword, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), keyword) != list.end();
}

usize characters(std::string_view text) {
  usize count = 0;
  for (char c : text) count += (static_cast<u8>(c) & 0xc0) != 0x80;
  return count;
}

}  // namespace

KeywordUse keyword_use(std::string_view name) {
  for (const KeywordRow& row : kKeywords)
    if (row.name == name) return row.use;
  return KeywordUse::kDescribes;
}

// ---- references and texts -------------------------------------------------------------------

// Follows a pointer into this document (RFC 6901 in a fragment), or finds an anchor.
Result<json::Value> SchemaCheck::resolve(std::string_view reference) {
  std::string_view rest = reference, id = root_.find("$id").text();
  if (!id.empty() && rest.starts_with(id)) rest.remove_prefix(id.size());
  if (rest.empty() && !reference.empty()) return root_;
  if (!rest.starts_with('#')) return bad("$ref must point into the same schema:", reference);
  rest.remove_prefix(1);
  if (!rest.empty() && !rest.starts_with('/')) {
    TRY(work_.spend(root_.node_count()));
    std::span<const json::Node> nodes = root_.nodes();
    for (usize i = 1; i < nodes.size(); i++) {
      bool anchor = nodes[i - 1].text == "$anchor" && nodes[i].text == rest;
      bool older = nodes[i - 1].text == "$id" && nodes[i].text.starts_with('#') &&
                   nodes[i].text.substr(1) == rest;  // up to draft 7
      if (!anchor && !older) continue;
      // The anchor's schema is the closest object before it that reaches past it.
      for (usize owner = i - 1; owner-- > 0;) {
        u32 base = root_.node()->end - root_.node_count();
        if (nodes[owner].kind == json::Kind::kObject && nodes[owner].end > base + i)
          return json::Value(root_.node() - base, base + static_cast<u32>(owner));
      }
    }
    return bad("$ref leads nowhere:", reference);
  }
  json::Value at = root_;
  while (rest.starts_with('/')) {
    rest.remove_prefix(1);
    std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    char name[256];
    usize length = 0;
    for (usize i = 0; i < part.size(); i++) {
      if (length == sizeof name) return bad("$ref has a name of more than 256 bytes:", reference);
      char c = part[i];
      if (c == '%' && i + 2 < part.size()) {
        auto high = base::hex_digit(part[i + 1]), low = base::hex_digit(part[i + 2]);
        if (high && low) {
          c = static_cast<char>(*high << 4 | *low);
          i += 2;
        }
      }
      if (c == '~' && i + 1 < part.size()) c = part[++i] == '0' ? '~' : '/';
      name[length++] = c;
    }
    std::string_view key(name, length);
    if (at.is_array()) {
      u32 index = 0;
      for (char c : key)
        index = c >= '0' && c <= '9' && index < 100'000 ? index * 10 + static_cast<u32>(c - '0')
                                                        : ~u32{0} / 16;
      at = at.at(index);
    } else {
      at = at.find(key);
    }
    if (!at.present()) return bad("$ref leads nowhere:", reference);
  }
  return at;
}

Result<TextAutomaton> SchemaCheck::pattern(json::Value pattern, bool wide,
                                           const TextAutomaton* within) {
  about_ = pattern.text();
  if (!pattern.is_string()) return bad("pattern must be a string", {});
  return regex_automaton(pattern.text(), wide, work_, within);
}

bool SchemaCheck::has_format(std::string_view name) {
  return std::any_of(std::begin(kFormats), std::end(kFormats),
                     [&](const Format& f) { return f.name == name; });
}

Result<TextAutomaton> SchemaCheck::format(std::string_view name) {
  about_ = name;
  for (const Format& f : kFormats)
    if (f.name == name) return regex_automaton(f.pattern, false, work_);
  return TextAutomaton::everything();
}

// ---- values ---------------------------------------------------------------------------------

bool SchemaCheck::equal(json::Value a, json::Value b) {
  if (a.kind() != b.kind()) return false;
  if (a.is_number()) {
    Result<ExactDecimal> x = ExactDecimal::from(a.text()), y = ExactDecimal::from(b.text());
    if (!x.has_value() || !y.has_value()) return a.text() == b.text();
    return ExactDecimal::compare(*x, *y) == 0;
  }
  if (a.is_string()) return a.text() == b.text();
  if (a.size() != b.size()) return false;
  if (a.is_object()) {
    for (json::Member m : a.members()) {
      json::Value other = b.find(m.name);
      if (!other.present() || !equal(a.find(m.name), other)) return false;
    }
    return true;
  }
  auto other = b.elements().begin();
  for (json::Value one : a.elements()) {
    if (!equal(one, *other)) return false;
    ++other;
  }
  return true;
}

Result<bool> SchemaCheck::holds(json::Value schema, json::Value value) {
  if (schema.is_bool()) return schema.is_true();
  if (!schema.is_object()) return bad("a schema must be an object, true or false", {});
  if (schema.find("nullable").is_true() && value.is_null()) return true;
  if (depth_ == kMaxCheckDepth) return bad("is nested too deeply", {});
  depth_++;
  bool all = true;
  for (json::Member m : schema.members()) {
    // A keyword that is there twice counts once.
    if (!schema.find(m.name).same_as(m.value)) continue;
    all = TRY(applies(schema, m, value));
    if (!all) break;
  }
  depth_--;
  return all;
}

Result<bool> SchemaCheck::keyword_holds(std::string_view keyword, json::Value expected,
                                        json::Value value) {
  return applies({}, {keyword, expected}, value);
}

Result<bool> SchemaCheck::applies(json::Value schema, json::Member m, json::Value value) {
  TRY(work_.spend(4));
  KeywordUse use = keyword_use(m.name);
  if (use == KeywordUse::kDescribes) return true;
  if (use == KeywordUse::kRefused) return bad("unsupported keyword", m.name);
  if (m.name == "type") {
    if (m.value.is_string()) return type_holds(m.value.text(), value);
    for (json::Value one : m.value.elements())
      if (type_holds(one.text(), value)) return true;
    return false;
  }
  if (m.name == "const") return equal(m.value, value);
  if (m.name == "enum") {
    TRY(work_.spend(m.value.size()));
    for (json::Value one : m.value.elements())
      if (equal(one, value)) return true;
    return false;
  }
  if (is_name(m.name, {"$ref", "allOf", "anyOf", "oneOf", "not", "if"}))
    return combined(schema, m, value);
  if (value.is_number()) return number(schema, m, value);
  if (value.is_string()) return string(m, value);
  if (value.is_array()) return array(schema, m, value);
  if (value.is_object()) return object(schema, m, value);
  return true;
}

bool SchemaCheck::type_holds(std::string_view type, json::Value value) {
  if (type == "integer") {
    Result<ExactDecimal> number = ExactDecimal::from(value.is_number() ? value.text() : "0.1");
    return number.has_value() && number->whole();
  }
  return (type == "null" && value.is_null()) || (type == "boolean" && value.is_bool()) ||
         (type == "number" && value.is_number()) || (type == "string" && value.is_string()) ||
         (type == "array" && value.is_array()) || (type == "object" && value.is_object()) ||
         type == "any";
}

Result<bool> SchemaCheck::combined(json::Value schema, json::Member m, json::Value value) {
  if (m.name == "$ref") return holds(TRY(resolve(m.value.text())), value);
  if (m.name == "not") return !TRY(holds(m.value, value));
  if (m.name == "if") {
    json::Value then = schema.find(TRY(holds(m.value, value)) ? "then" : "else");
    return !then.present() || TRY(holds(then, value));
  }
  u32 held = 0;
  for (json::Value one : m.value.elements()) held += TRY(holds(one, value));
  return m.name == "allOf" ? held == m.value.size() : m.name == "anyOf" ? held > 0 : held == 1;
}

Result<bool> SchemaCheck::number(json::Value schema, json::Member m, json::Value value) {
  if (!is_name(m.name,
               {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}))
    return true;
  about_ = m.name;
  if (m.value.is_bool()) return true;  // draft 4: read together with the bound
  if (!m.value.is_number()) return bad("must be a number:", m.name);
  ExactDecimal mine = TRY(ExactDecimal::from(value.text()));
  ExactDecimal its = TRY(ExactDecimal::from(m.value.text()));
  if (m.name == "multipleOf") return mine.multiple_of(its);
  int order = ExactDecimal::compare(mine, its);
  if (m.name == "minimum")
    return order > 0 || (order == 0 && !schema.find("exclusiveMinimum").is_true());
  if (m.name == "maximum")
    return order < 0 || (order == 0 && !schema.find("exclusiveMaximum").is_true());
  return m.name == "exclusiveMinimum" ? order > 0 : order < 0;
}

Result<bool> SchemaCheck::string(json::Member m, json::Value value) {
  if (m.name == "pattern") return TRY(pattern(m.value, false)).accepts(value.text());
  // A listed value was chosen by the author, and the formats here are narrower than their names.
  bool least = m.name == "minLength";
  if (!least && m.name != "maxLength") return true;
  i64 limit = m.value.integer().value_or(0), length = static_cast<i64>(characters(value.text()));
  return least ? length >= limit : length <= limit;
}

Result<bool> SchemaCheck::array(json::Value schema, json::Member m, json::Value value) {
  i64 size = value.size(), limit = m.value.integer().value_or(0);
  if (m.name == "minItems") return size >= limit;
  if (m.name == "maxItems") return size <= limit;
  if (m.name == "uniqueItems") return !m.value.is_true() || TRY(unique(value));
  if (m.name == "unevaluatedItems") return bad("is not supported beside enum or const:", m.name);
  if (m.name == "contains") {
    i64 found = 0;
    for (json::Value one : value.elements()) found += TRY(holds(m.value, one));
    json::Value least = schema.find("minContains"), most = schema.find("maxContains");
    return found >= least.integer().value_or(1) &&
           (!most.present() || found <= most.integer().value_or(0));
  }
  // Older drafts write the items in front as a list of `items`.
  json::Value prefix = schema.find("prefixItems"), rest = schema.find("items");
  if (!prefix.present() && rest.is_array()) prefix = rest, rest = schema.find("additionalItems");
  bool front = m.name == "prefixItems" || (m.name == "items" && m.value.is_array());
  bool behind = (m.name == "items" && !m.value.is_array()) ||
                (m.name == "additionalItems" && schema.find("items").is_array());
  u32 place = 0;
  for (json::Value one : value.elements()) {
    bool mine = place < prefix.size();
    if (mine && front && !TRY(holds(prefix.at(place), one))) return false;
    if (!mine && behind && !TRY(holds(rest, one))) return false;
    place++;
  }
  return true;
}

Result<bool> SchemaCheck::unique(json::Value list) {
  u32 i = 0;
  for (json::Value one : list.elements()) {
    u32 j = 0;
    for (json::Value other : list.elements()) {
      if (j++ >= i) break;
      TRY(work_.spend(one.node_count()));
      if (equal(one, other)) return false;
    }
    i++;
  }
  return true;
}

// The name of a member as a value: it is the node before the member's value.
Result<bool> SchemaCheck::name_holds(json::Value schema, json::Value name) {
  return holds(schema, json::Value(name.node() - 1, 0));
}

Result<bool> SchemaCheck::object(json::Value schema, json::Member m, json::Value value) {
  i64 size = value.size(), limit = m.value.integer().value_or(0);
  if (m.name == "minProperties") return size >= limit;
  if (m.name == "maxProperties") return size <= limit;
  if (m.name == "unevaluatedProperties")
    return bad("is not supported beside enum or const:", m.name);
  if (m.name == "required") {
    for (json::Value name : m.value.elements())
      if (!value.find(name.text()).present()) return false;
    return true;
  }
  if (is_name(m.name, {"dependentRequired", "dependentSchemas", "dependencies"})) {
    for (json::Member one : m.value.members()) {
      if (!value.find(one.name).present()) continue;
      if (!one.value.is_array() && !TRY(holds(one.value, value))) return false;
      for (json::Value name : one.value.elements())
        if (!value.find(name.text()).present()) return false;
    }
    return true;
  }
  if (m.name == "additionalProperties") return additional(schema, m.value, value);
  for (json::Member one : value.members()) {
    if (m.name == "propertyNames" && !TRY(name_holds(m.value, one.value))) return false;
    if (m.name == "properties" && m.value.find(one.name).present() &&
        !TRY(holds(m.value.find(one.name), one.value)))
      return false;
    if (m.name != "patternProperties") continue;
    for (json::Member row : m.value.members()) {
      json::Value text(row.value.node() - 1, 0);
      if (TRY(pattern(text, false)).accepts(one.name) && !TRY(holds(row.value, one.value)))
        return false;
    }
  }
  return true;
}

Result<bool> SchemaCheck::additional(json::Value schema, json::Value rest, json::Value value) {
  for (json::Member one : value.members()) {
    bool known = schema.find("properties").find(one.name).present();
    for (json::Member row : schema.find("patternProperties").members())
      known = known || TRY(pattern(json::Value(row.value.node() - 1, 0), false)).accepts(one.name);
    if (!known && !TRY(holds(rest, one.value))) return false;
  }
  return true;
}

}  // namespace ai
