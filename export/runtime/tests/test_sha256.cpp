// Vectors of FIPS 180-4's examples.
#include "check.hpp"
#include "sha256.hpp"

namespace {

std::string hash(const std::string& text) {
  segedge::Sha256 digest;
  digest.update(text.data(), text.size());
  return digest.hex();
}

}  // namespace

CASE(sha256, known_vectors) {
  CHECK_EQUAL(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQUAL(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQUAL(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQUAL(hash(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

CASE(sha256, pieces_do_not_matter) {
  const std::string text(1000, 'x');
  for (const std::size_t piece : {1U, 3U, 55U, 56U, 63U, 64U, 65U, 500U}) {
    segedge::Sha256 digest;
    for (std::size_t at = 0; at < text.size(); at += piece) digest.update(text.data() + at, std::min(piece, text.size() - at));
    CHECK_EQUAL(digest.hex(), hash(text));
  }
}
