// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the types of KV caches.
#include "ai/attention/kv_type.h"

#include <iterator>

namespace ai {
namespace {

constexpr KvTypeInfo kTypes[usize(KvType::kCount)] = {
    {"f16", 16, 16, "the text was saved from a KV cache of type f16: load the model with kv=f16"},
    {"q8", 8, 8, "the text was saved from a KV cache of type q8: load the model with kv=q8"},
    {"q8q4", 8, 4, "the text was saved from a KV cache of type q8q4: load the model with kv=q8q4"},
    {"q4", 4, 4, "the text was saved from a KV cache of type q4: load the model with kv=q4"},
};

}  // namespace

const KvTypeInfo& kv_type_info(KvType type) {
  return kTypes[static_cast<usize>(type)];
}

Result<KvType> kv_type_by_name(std::string_view name) {
  for (usize i = 0; i < std::size(kTypes); i++)
    if (kTypes[i].name == name) return static_cast<KvType>(i);
  return fail(Errc::kNotFound, "no KV cache has this type: choose f16, q8, q8q4 or q4");
}

}  // namespace ai
