#include "ed25519.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "sha512.hpp"

namespace segedge {
namespace {

__extension__ typedef unsigned __int128 Wide;
using Bytes = std::array<std::uint8_t, 32>;  // little-endian

constexpr std::uint64_t low_51 = (std::uint64_t{1} << 51) - 1;

/// A number modulo p = 2^255 - 19: five limbs of 51 bits, each a little over that at most.
struct Field {
  std::array<std::uint64_t, 5> limb{};
};

using Sums = std::array<Wide, 5>;

/// Carries twice round, which brings limbs of up to 2^115 back to 51 bits and a little.
Field carried(Sums sums) {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < 5; ++i) {
      const Wide over = sums[i] >> 51;
      sums[i] &= low_51;
      sums[(i + 1) % 5] += i == 4 ? over * 19 : over;
    }
  }
  Field out;
  for (std::size_t i = 0; i < 5; ++i) out.limb[i] = static_cast<std::uint64_t>(sums[i]);
  return out;
}

Field operator+(const Field& a, const Field& b) {
  Sums sums{};
  for (std::size_t i = 0; i < 5; ++i) sums[i] = Wide{a.limb[i]} + b.limb[i];
  return carried(sums);
}

Field operator-(const Field& a, const Field& b) {
  constexpr std::uint64_t four_p = std::uint64_t{1} << 53;  // of every limb, but for 4 * 19 in the lowest
  Sums sums{};
  for (std::size_t i = 0; i < 5; ++i) sums[i] = Wide{a.limb[i]} + (four_p - (i == 0 ? 76U : 4U)) - b.limb[i];
  return carried(sums);
}

Field operator*(const Field& a, const Field& b) {
  Sums sums{};
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      const Wide product = Wide{a.limb[i]} * b.limb[j];
      sums[(i + j) % 5] += i + j < 5 ? product : product * 19;
    }
  }
  return carried(sums);
}

Field number(std::uint64_t value) { return {{value, 0, 0, 0, 0}}; }

bool bit(const Bytes& bytes, std::size_t index) { return (bytes[index / 8] >> (index % 8) & 1) != 0; }

Field power(const Field& base, const Bytes& exponent) {
  Field out = number(1);
  for (std::size_t i = 256; i-- > 0;) {
    out = out * out;
    if (bit(exponent, i)) out = out * base;
  }
  return out;
}

/// 2^(8 * 31) * last + ... + first, all bytes between being 255.
Bytes exponent(std::uint8_t first, std::uint8_t last) {
  Bytes out;
  out.fill(0xff);
  out.front() = first;
  out.back() = last;
  return out;
}

Field inverse(const Field& a) { return power(a, exponent(0xeb, 0x7f)); }  // a^(p - 2)

/// The one way to write it: below p.
Bytes encoded(const Field& a) {
  std::array<std::uint64_t, 5> limb = carried({a.limb[0], a.limb[1], a.limb[2], a.limb[3], a.limb[4]}).limb;
  std::uint64_t over = 19;
  for (const std::uint64_t part : limb) over = (part + over) >> 51;  // 1 where it is p or more
  over *= 19;
  for (std::uint64_t& part : limb) {
    part += over;
    over = part >> 51;
    part &= low_51;
  }
  Bytes out{};
  for (std::size_t i = 0; i < 255; ++i) {
    const std::uint64_t one = limb[i / 51] >> (i % 51) & 1;
    out[i / 8] = static_cast<std::uint8_t>(out[i / 8] | one << (i % 8));
  }
  return out;
}

Field decoded(const Bytes& bytes) {
  Field out;
  for (std::size_t i = 0; i < 255; ++i) out.limb[i / 51] |= std::uint64_t{bit(bytes, i)} << (i % 51);
  return out;
}

bool operator==(const Field& a, const Field& b) { return encoded(a) == encoded(b); }

bool is_odd(const Field& a) { return bit(encoded(a), 0); }

/// x = X / Z, y = Y / Z, xy = T / Z on -x^2 + y^2 = 1 + d x^2 y^2.
struct Point {
  Field x, y, z, t;
};

const Field& curve_d() {
  static const Field d = (number(0) - number(121665)) * inverse(number(121666));
  return d;
}

/// The point of these bytes; none where they stand for none, or not in the one way allowed.
std::optional<Point> point(const Bytes& bytes) {
  const Field y = decoded(bytes);
  Bytes canonical = encoded(y);
  const bool odd = bit(bytes, 255);
  canonical[31] = static_cast<std::uint8_t>(canonical[31] | (odd ? 0x80 : 0));
  if (canonical != bytes) return std::nullopt;
  const Field square = (y * y - number(1)) * inverse(curve_d() * y * y + number(1));
  Field x = power(square, exponent(0xfe, 0x0f));                       // square^((p + 3) / 8)
  if (!(x * x == square)) x = x * power(number(2), exponent(0xfb, 0x1f));  // 2^((p - 1) / 4), a root of -1
  if (!(x * x == square) || (odd && x == number(0))) return std::nullopt;
  if (is_odd(x) != odd) x = number(0) - x;
  return Point{x, y, number(1), x * y};
}

/// Complete: of any two points, equal ones too.
Point operator+(const Point& p, const Point& q) {
  const Field a = (p.y - p.x) * (q.y - q.x), b = (p.y + p.x) * (q.y + q.x);
  const Field c = p.t * q.t * (curve_d() + curve_d()), d = (p.z + p.z) * q.z;
  const Field e = b - a, f = d - c, g = d + c, h = b + a;
  return {e * f, g * h, f * g, e * h};
}

Bytes encoded(const Point& p) {
  const Field back = inverse(p.z);
  Bytes out = encoded(p.y * back);
  out[31] = static_cast<std::uint8_t>(out[31] | (is_odd(p.x * back) ? 0x80 : 0));
  return out;
}

/// The number of points in the group that signatures live in: 2^252 + 27742317777372353535851937790883648493.
constexpr Bytes order{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

bool is_below_order(const Bytes& scalar) {
  return std::lexicographical_compare(scalar.rbegin(), scalar.rend(), order.rbegin(), order.rend());
}

/// 64 bytes modulo the order, a bit at a time.
Bytes reduced(const std::array<std::uint8_t, 64>& wide) {
  Bytes out{};
  for (std::size_t i = 512; i-- > 0;) {
    unsigned carry = wide[i / 8] >> (i % 8) & 1U;
    for (std::uint8_t& byte : out) {
      carry += 2U * byte;
      byte = static_cast<std::uint8_t>(carry & 255U);
      carry >>= 8;
    }
    if (is_below_order(out)) continue;
    int borrow = 0;
    for (std::size_t k = 0; k < out.size(); ++k) {
      const int left = out[k] - order[k] - borrow;
      borrow = left < 0 ? 1 : 0;
      out[k] = static_cast<std::uint8_t>(left & 255);
    }
  }
  return out;
}

}  // namespace

bool is_signed(const PublicKey& key, std::string_view message, const Signature& signature) {
  Bytes commitment, scalar, base;
  std::copy(signature.begin(), signature.begin() + 32, commitment.begin());
  std::copy(signature.begin() + 32, signature.end(), scalar.begin());
  base.fill(0x66);  // y = 4/5
  base.front() = 0x58;
  const std::optional<Point> owner = point(key), generator = point(base);
  if (!owner || !is_below_order(scalar)) return false;
  std::string hashed(commitment.begin(), commitment.end());
  hashed.append(key.begin(), key.end()).append(message);
  const Bytes digest = reduced(sha512(hashed));
  const Point negated{number(0) - owner->x, owner->y, owner->z, number(0) - owner->t};
  Point sum{number(0), number(1), number(1), number(0)};
  for (std::size_t i = 253; i-- > 0;) {
    sum = sum + sum;
    if (bit(scalar, i)) sum = sum + *generator;
    if (bit(digest, i)) sum = sum + negated;
  }
  return encoded(sum) == commitment;
}

}  // namespace segedge
