// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the lists of repositories and the answers of token servers.
#include "service/pull_registry.h"

#include <string>

#include "kernel/base/test.h"

namespace {

std::string file(std::string_view path, u64 bytes) {
  std::string text = R"({"type":"file","size":1,"oid":"a","lfs":{"oid":")" + std::string(64, 'a') +
                     R"(","size":)" + std::to_string(bytes) + R"(},"path":")";
  text += path;
  return text + "\"}";
}

// Returns the path that is chosen, or why none is.
std::string chosen(const std::string& list, std::string_view tag) {
  Result<service::ListedFile> found = service::find_listed(list, tag);
  if (!found.has_value())
    return found.error().code == Errc::kNotFound          ? "none"
           : found.error().code == Errc::kUnsupported     ? "parts"
           : found.error().code == Errc::kInvalidArgument ? "several"
                                                          : "corrupt";
  ASSERT(found->sha256[0] == Byte{0xaa});
  return std::string(found->path.view());
}

}  // namespace

TEST(pull_registry, files_of_a_repository) {
  std::string list = R"([{"type":"directory","path":"x.gguf"},)" + file("README.md", 1) + "," +
                     file("mmproj-Tiny-Q4_0.gguf", 5) + "," + file("v/Tiny-UD-Q4_K_M.gguf", 6) +
                     "," + file("Tiny-Q4_K_M.gguf", 7) + "," + file("Tiny-IQ4_K_M.gguf", 8) + "," +
                     file("Tiny.Q8_0.gguf", 9) + "," + file("Tiny-F32-00001-of-00002.gguf", 9) +
                     "]";
  EXPECT(chosen(list, "") == "Tiny-Q4_K_M.gguf");
  EXPECT(chosen(list, "latest") == "Tiny-Q4_K_M.gguf");
  EXPECT(chosen(list, "q4_k_m") == "Tiny-Q4_K_M.gguf");
  EXPECT(chosen(list, "IQ4_K_M") == "Tiny-IQ4_K_M.gguf");
  EXPECT(chosen(list, "Q8_0") == "Tiny.Q8_0.gguf");
  EXPECT(chosen(list, "Tiny-UD-Q4_K_M.gguf") == "v/Tiny-UD-Q4_K_M.gguf");
  EXPECT(chosen(list, "F32") == "parts");
  EXPECT(chosen(list, "Q4_0") == "none");
  EXPECT(chosen("[" + file("only.gguf", 1) + "]", "") == "only.gguf");
  EXPECT(chosen("[" + file("a.gguf", 1) + "," + file("b.gguf", 1) + "]", "") == "several");
  EXPECT(chosen("[]", "") == "none");
  EXPECT(chosen("{}", "") == "corrupt");
  EXPECT(chosen("[" + file("a.gguf", 0) + "]", "") == "corrupt");
  EXPECT(chosen(R"([{"path":"a.gguf","size":7}])", "") == "corrupt");
}

TEST(pull_registry, tokens) {
  EXPECT(MUST(service::find_token(R"({"token":"abc.d-e"})")).view() == "abc.d-e");
  EXPECT(MUST(service::find_token(R"({"access_token":"x","expires_in":60})")).view() == "x");
  for (std::string_view wrong :
       {"", "[]", "{}", R"({"token":""})", R"({"token":"a\nb"})", R"({"token":"a b"})"})
    EXPECT(!service::find_token(wrong).has_value());
}
