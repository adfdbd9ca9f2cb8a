#include "signature.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "ed25519.hpp"
#include "failure.hpp"
#include "json.hpp"
#include "manifest.hpp"

namespace segedge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view schema = "edge.signature/1";
constexpr std::string_view begins = "-----BEGIN PUBLIC KEY-----", ends = "-----END PUBLIC KEY-----";
constexpr std::array<std::uint8_t, 12> ed25519_key{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
constexpr std::size_t shown_digits = 16;

/// Base64 without its padding; spaces are skipped. Empty where another character stands in it.
std::vector<std::uint8_t> from_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> out;
  unsigned held = 0, bits = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '=') continue;
    const std::size_t value = digits.find(c);
    if (value == std::string_view::npos) return {};
    held = (held << 6 | static_cast<unsigned>(value)) & 0xffffU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<std::uint8_t>(held >> bits & 255U));
  }
  return out;
}

/// So many bytes of so many hex digits, lower case; none where it is no such text.
template <std::size_t Size>
std::optional<std::array<std::uint8_t, Size>> from_hex(const std::string& text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::uint8_t, Size> out{};
  if (text.size() != 2 * Size) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t value = digits.find(text[i]);
    if (value == std::string_view::npos) return std::nullopt;
    out[i / 2] = static_cast<std::uint8_t>(out[i / 2] << 4 | value);
  }
  return out;
}

PublicKey read_key(const std::string& path) {
  const std::string text = read_text(path);
  const std::size_t from = text.find(begins), to = text.find(ends);
  std::vector<std::uint8_t> data;
  if (from == 0 && to != std::string::npos && to > begins.size()) {
    data = from_base64(std::string_view(text).substr(begins.size(), to - begins.size()));
  }
  PublicKey key{};
  if (data.size() != ed25519_key.size() + key.size() || !std::equal(ed25519_key.begin(), ed25519_key.end(), data.begin())) {
    fail_input(path + ": is no public Ed25519 key; give the .pub file of who signed");
  }
  std::copy(data.begin() + ed25519_key.size(), data.end(), key.begin());
  return key;
}

/// The user's home folder, as Python finds it.
fs::path home() {
  if (const char* said = std::getenv("HOME"); said != nullptr && *said != '\0') return said;
  const passwd* entry = getpwuid(getuid());
  return entry == nullptr || entry->pw_dir == nullptr ? fs::path() : fs::path(entry->pw_dir);
}

/// Keys in the user's folder of them; a folder that cannot be looked into, or that holds things and no key, is none of
/// those where nothing is configured.
std::vector<std::string> configured() {
  const fs::path folder = home() / ".config" / "segedge" / "trusted_keys";
  std::vector<std::string> files;
  std::error_code fault;
  bool odd = false;
  for (const auto& entry : fs::directory_iterator(folder, fault)) {
    const std::string path = entry.path().string();
    const bool is_key = path.size() >= 4 && path.compare(path.size() - 4, 4, ".pub") == 0;
    if (is_key) files.push_back(path);
    odd = odd || !is_key;
  }
  if (fault && fault != std::errc::no_such_file_or_directory && fault != std::errc::not_a_directory) {
    fail_machine(folder.string() + ": " + fault.message() + "; free space or permissions there");
  }
  if (files.empty() && (odd || fault == std::errc::not_a_directory)) {
    fail_input(folder.string() + ": holds no file that ends in .pub, so no key; name keys so, or remove the folder");
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Signed {
  std::string key_text;
  PublicKey key;
  Signature signature;
};

Signed read_signature(const std::string& path) {
  const std::string text = read_text(path);
  const json::Value table = within(path, [&] { return json::parse(text); });
  const auto field = [&](const char* name) {
    const json::Value* value = table.find(name);
    return value != nullptr && value->is_string() ? value->string() : std::string();
  };
  return within(path, [&]() -> Signed {
    if (field("schema") != schema) fail_input("is not of schema " + std::string(schema) + "; sign it again");
    const auto key = from_hex<32>(field("key"));
    const auto signature = from_hex<64>(field("signature"));
    if (!key || !signature) fail_input("is no signature; sign it again");
    return {field("key"), *key, *signature};
  });
}

}  // namespace

std::string vouched(const EngineInfo& info, const std::vector<std::string>& keys) {
  std::vector<std::string> trusted(keys);
  for (const std::string& file : configured()) trusted.push_back(file);
  std::vector<PublicKey> known;
  for (const std::string& file : trusted) known.push_back(read_key(file));
  const std::string place = (fs::path(info.folder) / "engine.sig").string(), &folder = info.folder;
  std::error_code ignored;
  if (!fs::is_regular_file(place, ignored)) {
    if (known.empty()) return folder + ": is not signed, so nobody vouches for who made it";
    fail_input(folder + ": is not signed (no engine.sig); take it from whoever signs, or sign it");
  }
  const Signed said = read_signature(place);
  const std::string by = folder + ": is signed by key " + said.key_text.substr(0, shown_digits) + "..., which ";
  if (known.empty()) return by + "nothing here checks; give --trusted-key FILE.pub";
  const auto found = std::find(known.begin(), known.end(), said.key);
  if (found == known.end()) fail_input(by + "is not trusted here; do not use it");
  const std::string message = "{\"files\":{\"engine.json\":\"" + info.sha256 + "\"},\"schema\":\"" + std::string(schema) +
                              "\",\"subject\":\"engine\"}";
  if (!is_signed(said.key, message, said.signature)) {
    fail_input(folder + ": was changed since it was signed, or its signature is forged; do not use it");
  }
  return folder + ": is signed by " + trusted[static_cast<std::size_t>(found - known.begin())];
}

}  // namespace segedge
