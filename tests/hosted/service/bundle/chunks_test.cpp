// SPDX-License-Identifier: GPL-2.0-or-later
// Lists of chunks: each flipped bit of a list and of the bytes is found, and where.
#include "service/bundle/chunks.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "kernel/base/test.h"
#include "tests/hosted/console_tiny_model.h"
#include "tests/hosted/test_files.h"
#include "tests/hosted/test_threads.h"

namespace {

using namespace service::bundle;

std::vector<Byte> noise(usize bytes) {
  std::mt19937 random(7);
  std::vector<Byte> out(bytes);
  for (Byte& b : out) b = static_cast<Byte>(random());
  return out;
}

// A folder with a list, gone in the end.
struct Folder {
  Folder() {
    mount_host_files();
    test_threads::start();
    char name[] = "/tmp/marrow_chunks_XXXXXX";
    ASSERT(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void write(std::span<const Byte> list) const {
    std::ofstream(path + "/model.chunks", std::ios::binary)
        .write(reinterpret_cast<const char*>(list.data()), static_cast<i64>(list.size()));
  }
  Result<ChunkList> read(const Payload& payload) const {
    return ChunkList::read("/host" + path, payload);
  }
  std::string path;
};

ChunkHashes hashes_of(std::span<const Byte> bytes, usize step) {
  ChunkHashes hashes;
  for (usize at = 0; at < bytes.size(); at += step)
    MUST(hashes.update(bytes.subspan(at, std::min(step, bytes.size() - at))));
  MUST(hashes.finish());
  return hashes;
}

Payload payload_of(std::span<const Byte> bytes, const ChunkHashes& hashes) {
  crypto::Sha256 sha;
  sha.update(list_bytes(hashes.list()));
  Payload payload{.path = "model.gguf", .sha256 = {}, .bytes = bytes.size()};
  payload.has_chunks = true;
  payload.chunks_sha256 = sha.finish();
  return payload;
}

}  // namespace

TEST(bundle_chunks, a_list_is_that_of_the_bytes_however_they_come) {
  std::vector<Byte> bytes = noise(3 * kChunkBytes + 5);
  ChunkHashes whole = hashes_of(bytes, bytes.size());
  REQUIRE(whole.list().size() == 4);
  for (u64 i = 0; i < 4; i++) {
    crypto::Sha256 sha;
    sha.update(chunk_of(bytes, i));
    EXPECT(sha.finish() == whole.list()[i]);
  }
  EXPECT(std::ranges::equal(hashes_of(bytes, 100'003).list(), whole.list()));
  EXPECT(hashes_of({}, 1).list().empty());
  EXPECT_EQ(chunk_count(kChunkBytes), 1u);
  EXPECT_EQ(chunk_count(kChunkBytes + 1), 2u);
}

TEST(bundle_chunks, each_flipped_bit_of_a_list_is_refused) {
  Folder folder;
  std::vector<Byte> bytes = noise(kChunkBytes + 77);
  ChunkHashes hashes = hashes_of(bytes, kChunkBytes);
  Payload payload = payload_of(bytes, hashes);
  EXPECT(folder.read(payload).error().code == Errc::kNotFound);
  std::span<const Byte> good = list_bytes(hashes.list());
  folder.write(good);
  EXPECT(folder.read(payload).has_value());
  for (usize bit = 0; bit < good.size() * 8; bit++) {
    std::vector<Byte> list(good.begin(), good.end());
    list[bit / 8] = static_cast<Byte>(list[bit / 8] ^ (1 << bit % 8));
    folder.write(list);
    Result<ChunkList> read = folder.read(payload);
    if (read.has_value() || read.error().code != Errc::kCorrupt) {
      test.report(__FILE__, __LINE__, "a flipped bit was taken");
      return;
    }
  }
  std::vector<Byte> longer(good.begin(), good.end());
  longer.push_back(0);
  for (std::span<const Byte> wrong : {good.first(good.size() - 1), good.first(32), good.first(0),
                                      std::span<const Byte>(longer)}) {
    folder.write(wrong);
    EXPECT(folder.read(payload).error().code == Errc::kCorrupt);
  }
}

TEST(bundle_chunks, flipped_bits_of_the_bytes_are_found) {
  Folder folder;
  std::vector<Byte> bytes = noise(4 * kChunkBytes + 123);
  ChunkHashes hashes = hashes_of(bytes, kChunkBytes);
  folder.write(list_bytes(hashes.list()));
  ChunkList list = MUST(folder.read(payload_of(bytes, hashes)));
  EXPECT(!list.find_wrong(bytes, 0, 5).has_value());
  EXPECT(!list.find_wrong(bytes, 2, 2).has_value());
  std::mt19937 random(11);
  for (u32 i = 0; i < 60; i++) {
    usize at = i == 0 ? 0 : i == 1 ? bytes.size() - 1 : random() % bytes.size();
    auto bit = static_cast<Byte>(1 << i % 8);
    u64 chunk = at / kChunkBytes;
    bytes[at] ^= bit;
    EXPECT(list.find_wrong(bytes, 0, 5) == chunk);
    EXPECT(list.find_wrong(bytes, chunk, chunk + 1) == chunk);
    if (chunk > 0) EXPECT(!list.find_wrong(bytes, 0, chunk).has_value());
    bytes[at] ^= bit;
  }
}
