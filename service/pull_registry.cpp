// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the JSON of Ollama's registry and of Hugging Face.
#include "service/pull_registry.h"

#include <algorithm>

#include "kernel/base/hex.h"
#include "kernel/base/json.h"
#include "kernel/base/text.h"

namespace service {
namespace {

constexpr std::string_view kExtension = ".gguf";

// One of several files, such as x-00001-of-00003, without that end; other names as they are.
std::string_view without_part(std::string_view name, bool& is_part) {
  constexpr std::string_view kPattern = "-00000-of-00000";
  is_part = false;
  if (name.size() <= kPattern.size()) return name;
  std::string_view end = name.substr(name.size() - kPattern.size());
  for (usize i = 0; i < end.size(); i++) {
    bool digit = end[i] >= '0' && end[i] <= '9';
    if (kPattern[i] == '0' ? !digit : end[i] != kPattern[i]) return name;
  }
  is_part = true;
  return name.substr(0, name.size() - kPattern.size());
}

bool ends_with_tag(std::string_view name, std::string_view tag) {
  if (base::equal_ignoring_case(name, tag)) return true;
  if (name.size() <= tag.size()) return false;
  usize at = name.size() - tag.size();
  return base::equal_ignoring_case(name.substr(at), tag) &&
         std::string_view("-._").contains(name[at - 1]);
}

// A file of the list that may be a model.
struct Candidate {
  std::string_view path, stem;  // stem: its name without ending and number
  json::Value row;
  bool part = false;
};

Vector<Candidate> candidates_of(const json::Document& list, Result<void>& status) {
  Vector<Candidate> all;
  for (json::Value row : list.root().elements()) {
    Candidate one{.path = row.find("path").text(), .stem = {}, .row = row};
    std::string_view name = base::base_name(one.path);
    if (name.size() <= kExtension.size() ||
        !base::equal_ignoring_case(name.substr(name.size() - kExtension.size()), kExtension) ||
        base::contains_ignoring_case(name, "mmproj") || row.find("type").text() == "directory")
      continue;
    one.stem = without_part(name.substr(0, name.size() - kExtension.size()), one.part);
    if (status.has_value()) status = all.push_back(one);
  }
  return all;
}

// Takes the shortest name: others have words for a variant in them.
const Candidate* best_of(std::span<const Candidate> all, std::string_view tag) {
  const Candidate* best = nullptr;
  for (const Candidate& one : all) {
    bool fits = ends_with_tag(one.stem, tag) || base::base_name(one.path) == tag;
    if (fits && (best == nullptr || one.path.size() < best->path.size())) best = &one;
  }
  return best;
}

Result<ListedFile> listed(const Candidate& one) {
  if (one.part)
    return fail(Errc::kUnsupported,
                "this quantization lies in several files: choose another, or copy them with "
                "`model import`");
  ListedFile file;
  file.path = TRY(String::from(one.path));
  json::Value lfs = one.row.find("lfs");
  Result<i64> bytes = lfs.find("size").integer();
  if (!read_sha256(lfs.find("oid").text(), file.sha256) || !bytes.has_value() || *bytes <= 0)
    return fail(Errc::kCorrupt, "the repository's list has no SHA-256 and size for the file");
  file.bytes = static_cast<u64>(*bytes);
  return file;
}

}  // namespace

Result<WeightsLayer> find_weights(std::string_view manifest) {
  constexpr std::string_view kBegin = "application/vnd.ollama.image.", kDigest = "sha256:";
  Result<json::Document> document = json::Document::parse(manifest);
  if (!document.has_value())
    return fail(Errc::kCorrupt, "the registry's manifest is not JSON: check pull.ollama=");
  WeightsLayer found;
  for (json::Value layer : document->root().find("layers").elements()) {
    std::string_view type = layer.find("mediaType").text();
    if (type == "application/vnd.ollama.image.tensor")
      return fail(Errc::kUnsupported,
                  "the model has its weights as safetensors: choose one of GGUF");
    bool weights =
        type.starts_with(kBegin) ? type.substr(kBegin.size()) == "model" : type.contains("gguf");
    if (!weights) continue;
    if (found.bytes != 0)
      return fail(Errc::kUnsupported,
                  "the model's weights lie in several files: choose another tag");
    std::string_view digest = layer.find("digest").text();
    Result<i64> bytes = layer.find("size").integer();
    if (!digest.starts_with(kDigest) ||
        !base::read_hex(digest.substr(kDigest.size()), found.sha256) || !bytes.has_value() ||
        *bytes <= 0)
      return fail(Errc::kCorrupt, "the registry's manifest has no digest and size for the weights");
    found.bytes = static_cast<u64>(*bytes);
  }
  if (found.bytes != 0) return found;
  return fail(Errc::kNotFound, "the registry has no GGUF weights under this name");
}

Result<ListedFile> find_listed(std::string_view list, std::string_view tag) {
  constexpr std::string_view kUsual[] = {"Q4_K_M", "Q4_0", "Q8_0"};
  Result<json::Document> document = json::Document::parse(list);
  if (!document.has_value() || !document->root().is_array())
    return fail(Errc::kCorrupt, "the repository's list is not one: check pull.hf=");
  Result<void> status;
  Vector<Candidate> all = candidates_of(*document, status);
  TRY(status);
  if (all.empty()) return fail(Errc::kNotFound, "the repository has no GGUF file");
  if (!tag.empty() && !base::equal_ignoring_case(tag, "latest")) {
    const Candidate* best = best_of(all.view(), tag);
    if (best != nullptr) return listed(*best);
    return fail(Errc::kNotFound, "the repository has no file of this quantization");
  }
  if (all.size() == 1) return listed(all[0]);
  for (std::string_view usual : kUsual)
    if (const Candidate* best = best_of(all.view(), usual); best != nullptr) return listed(*best);
  return fail(Errc::kInvalidArgument,
              "the repository has several files: name one, hf:OWNER/REPOSITORY:QUANT");
}

Result<String> find_token(std::string_view answer) {
  Result<json::Document> document = json::Document::parse(answer);
  if (!document.has_value()) return fail(Errc::kCorrupt, "the token server's answer is not JSON");
  for (std::string_view name : {"token", "access_token"}) {
    std::string_view token = document->root().find(name).text();
    // It becomes a part of a header.
    bool good = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!token.empty() && good) return String::from(token);
  }
  return fail(Errc::kCorrupt, "the token server's answer has no token");
}

bool read_sha256(std::string_view text, crypto::Sha256Digest& out) {
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"'))
    text = text.substr(1, text.size() - 2);
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  return base::read_hex(text, out);
}

}  // namespace service
