// Ed25519 signatures (RFC 8032), checked only: everything that goes in is public, so nothing needs constant time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace segedge {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

/// Whether a signature is this key's, of this message; the same answers as edge/trust/ed25519.py.
bool is_signed(const PublicKey& key, std::string_view message, const Signature& signature);

}  // namespace segedge
