// SHA-512 (FIPS 180-4), which Ed25519 hashes with.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace segedge {

std::array<std::uint8_t, 64> sha512(std::string_view message);

}  // namespace segedge
