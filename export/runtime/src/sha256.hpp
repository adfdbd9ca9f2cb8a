// SHA-256 (FIPS 180-4), to know that an artefact is the one that was built.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace segedge {

class Sha256 {
 public:
  void update(const void* data, std::size_t size);
  /// Lower-case hex; the object is used up.
  std::string hex();

 private:
  void compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t length_ = 0;
};

/// Hash of a file. Throws Failure(Fault::input) where it cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace segedge
