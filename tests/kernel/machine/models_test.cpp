// SPDX-License-Identifier: GPL-2.0-or-later
// Whole models have the same bits on every machine, also on this one. The models lie in the folder
// `tiny` of a disk, as tests/tools/tiny_files.cpp writes them: each carries the tokens of a text
// and the hash of all logits (tests/goldens/models/bits.txt).
#include "ai/models/model.h"
#include "kernel/base/hash.h"
#include "kernel/base/test.h"
#include "kernel/fs/file_system.h"
#include "service/ai_platform.h"

namespace {

// Those of tests/hosted/ai/models/bits_test.cpp.
constexpr u32 kContext = 256, kRows = 32, kChunk = 7;

class Pages {
 public:
  static Result<Pages> allocate(usize bytes) {
    Pages pages;
    if (bytes > 0) pages.bytes = TRY(ai_platform().allocate_pages(bytes, "engine"));
    return pages;
  }
  Pages(Pages&& other) noexcept : bytes(std::exchange(other.bytes, {})) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ai_platform().free_pages(bytes); }

  std::span<Byte> bytes;

 private:
  Pages() = default;
};

Result<Pages> read_whole(std::string_view path) {
  base::Owner<fs::File> file = TRY(fs::open(path));
  Pages pages = TRY(Pages::allocate(file->size()));
  if (TRY(file->read_at(0, pages.bytes)) != pages.bytes.size())
    return fail(Errc::kIo, "the file is shorter than its directory says");
  return pages;
}

// One model and one sequence. `file` must outlive it.
class Runner {
 public:
  static Result<base::Owner<Runner>> load(const ai::GgufFile& file, std::span<Byte> bytes) {
    ai::Platform& platform = ai_platform();
    auto runner = TRY(base::make<Runner>());
    runner->kernels_ = TRY(ai::kernels_by_name("auto", platform.cpu_features()));
    const std::span<Byte> parts[] = {bytes};
    runner->model_ = TRY(ai::Model::load(
        file, parts, {.kernels = &runner->kernels_, .context = kContext}, platform));
    runner->workspace_ =
        TRY(runner->model_->create_workspace({.rows = kRows, .logit_rows = kRows}));
    return runner;
  }

  // Returns FNV-1a over the bits of all logits of the text.
  Result<u64> hash_of(const ai::GgufNumbers& tokens) {
    u32 positions = model_->kv_page_positions(), pages = (kContext + positions - 1) / positions;
    Pages pool = TRY(Pages::allocate(pages * model_->kv_page_bytes().whole)),
          window_pool = TRY(Pages::allocate(pages * model_->kv_page_bytes().window)),
          state = TRY(Pages::allocate(model_->state_bytes()));
    Vector<u32> list, logits;
    for (u32 i = 0; i < pages; i++) TRY(list.push_back(pages - 1 - i));
    u32 vocabulary = model_->params().vocabulary;
    TRY(logits.resize(usize{kChunk} * vocabulary));
    const ai::KvView view{.whole = {pool.bytes.data(), list.view()},
                          .window = {window_pool.bytes.data(), list.view()},
                          .state = state.bytes};
    base::Fnv1a hash;
    for (u32 at = 0; at < tokens.size(); at += kChunk) {
      StaticVector<ai::BatchRow, kChunk> rows;
      for (u32 i = at; i < tokens.size() && !rows.full(); i++)
        ASSERT(rows.push_back({static_cast<u32>(tokens.integer(i)), i, 0, true}));
      std::span<u32> words = logits.view().first(rows.size() * vocabulary);
      TRY(model_->forward(rows.view(), {&view, 1}, *workspace_,
                          {reinterpret_cast<float*>(words.data()), words.size()}));
      for (u32 word : words) hash.add(word);
    }
    return hash.value();
  }

 private:
  ai::KernelTable kernels_{};
  base::Owner<ai::Model> model_;
  base::Owner<ai::Workspace> workspace_;
};

void check_model(TestContext& test, std::string_view path) {
  char text[200];
  auto check = [&]() -> Result<void> {
    Pages pages = TRY(read_whole(path));
    auto file = TRY(ai::GgufFile::parse(pages.bytes, ai_platform()));
    // Loading rearranges the matrices and leaves the header as it is.
    ai::GgufNumbers tokens = TRY(file->get_numbers("test.tokens"));
    std::string_view wanted = TRY(file->get_string("test.bits"));
    auto runner = TRY(Runner::load(*file, pages.bytes));
    char digits[17];
    std::string_view hash = base::format_into(digits, "{:016x}", TRY(runner->hash_of(tokens)));
    if (hash == wanted) return {};
    test.report(__FILE__, __LINE__,
                base::format_into(text, "{} has other bits: {}, wanted {}", path, hash, wanted));
    return {};
  };
  Result<void> done = check();
  if (!done.has_value())
    test.report(__FILE__, __LINE__, base::format_into(text, "{}: {}", path, done.error().what));
}

class Names final : public fs::DirectoryVisitor {
 public:
  void on_entry(std::string_view name, const fs::FileInfo&) override {
    Result<String> copy = String::from(name);
    complete = complete && copy.has_value() && names.push_back(std::move(*copy)).has_value();
  }
  Vector<String> names;
  bool complete = true;
};

}  // namespace

TEST(models_bits, this_machine_has_them) {
  u32 count = 0;
  for (const fs::Mount& mount : fs::mounts()) {
    char folder[64], path[160];
    std::string_view there = base::format_into(folder, "{}/tiny", mount.point);
    Names found;
    if (!fs::list(there, found).has_value()) continue;
    EXPECT(found.complete);
    for (const String& name : found.names) {
      check_model(test, base::format_into(path, "{}/{}", there, name.view()));
      count++;
    }
  }
  if (count == 0) return test.skip("no disk has a folder `tiny`: tests/system/test_bits.py");
  base::format_to(*test.out, "#   {} models\n", count);
}
