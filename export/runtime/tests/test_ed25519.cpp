// The vectors of data/ed25519.json, which tests/trust/test_ed25519.py holds Python to as well.
#include "check.hpp"
#include "ed25519.hpp"
#include "json.hpp"
#include "manifest.hpp"

namespace {

std::string bytes(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}

template <class Array>
Array array(const std::string& hex) {
  Array out{};
  const std::string data = bytes(hex);
  std::copy(data.begin(), data.end(), out.begin());
  return out;
}

}  // namespace

CASE(ed25519, vectors) {
  const segedge::json::Value rows = segedge::json::parse(segedge::read_text(SEGEDGE_TINY "/../ed25519.json"));
  CHECK_EQUAL(rows.array().size(), std::size_t{25});
  for (const segedge::json::Value& row : rows.array()) {
    const bool valid = segedge::is_signed(array<segedge::PublicKey>(row.at("key").string()), bytes(row.at("message").string()),
                                          array<segedge::Signature>(row.at("signature").string()));
    CHECK_EQUAL(row.at("what").string() + (valid ? " is taken" : " is not"),
                row.at("what").string() + (row.at("valid").boolean() ? " is taken" : " is not"));
  }
}
