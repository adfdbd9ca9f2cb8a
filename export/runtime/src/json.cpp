#include "json.hpp"

#include <cmath>
#include <cstdio>
#include <locale>
#include <sstream>
#include <string>
#include <unordered_set>

#include "failure.hpp"
#include "limits.hpp"

namespace segedge::json {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value document() {
    Value value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("more text after the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    fail_input("not valid JSON (" + what + " at byte " + std::to_string(at_) + ")");
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  char take() {
    if (at_ == text_.size()) fail("unexpected end");
    return text_[at_++];
  }

  void expect(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail("expected " + std::string(word));
    at_ += word.size();
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  Value parse_value(std::size_t depth) {
    if (depth > limits().depth) {
      fail_limit("tables and lists lie " + std::to_string(depth) + " deep in each other", "depth");
    }
    skip_space();
    switch (peek()) {
      case '{':
        return parse_object(depth);
      case '[':
        return parse_array(depth);
      case '"':
        return Value(parse_string());
      case 't':
        expect("true");
        return Value(true);
      case 'f':
        expect("false");
        return Value(false);
      case 'n':
        expect("null");
        return Value();
      default:
        return Value(parse_number());
    }
  }

  Value parse_object(std::size_t depth) {
    Object members;
    std::unordered_set<std::string> names;  // a name that stood twice would mean one thing here and another in Python
    take();
    skip_space();
    if (peek() == '}') {
      take();
      return Value(std::move(members));
    }
    for (;;) {
      skip_space();
      if (peek() != '"') fail("expected a name");
      std::string key = parse_string();
      if (!names.insert(key).second) fail("a name stands twice in a table");
      skip_space();
      expect(":");
      members.emplace_back(std::move(key), parse_value(depth + 1));
      skip_space();
      const char next = take();
      if (next == '}') return Value(std::move(members));
      if (next != ',') fail("expected , or }");
    }
  }

  Value parse_array(std::size_t depth) {
    Array items;
    take();
    skip_space();
    if (peek() == ']') {
      take();
      return Value(std::move(items));
    }
    for (;;) {
      items.push_back(parse_value(depth + 1));
      skip_space();
      const char next = take();
      if (next == ']') return Value(std::move(items));
      if (next != ',') fail("expected , or ]");
    }
  }

  std::string parse_string() {
    std::string out;
    take();
    for (;;) {
      const char c = take();
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) fail("control character in a string");
      if (c != '\\') {
        out.push_back(c);
        continue;
      }
      switch (take()) {
        case '"':
          out.push_back('"');
          break;
        case '\\':
          out.push_back('\\');
          break;
        case '/':
          out.push_back('/');
          break;
        case 'b':
          out.push_back('\b');
          break;
        case 'f':
          out.push_back('\f');
          break;
        case 'n':
          out.push_back('\n');
          break;
        case 'r':
          out.push_back('\r');
          break;
        case 't':
          out.push_back('\t');
          break;
        case 'u':
          append_utf8(out, parse_code_point());
          break;
        default:
          fail("unknown escape");
      }
    }
  }

  unsigned parse_hex4() {
    unsigned value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = take();
      value <<= 4;
      if (c >= '0' && c <= '9') {
        value |= static_cast<unsigned>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value |= static_cast<unsigned>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        value |= static_cast<unsigned>(c - 'A' + 10);
      } else {
        fail("bad \\u escape");
      }
    }
    return value;
  }

  unsigned parse_code_point() {
    const unsigned high = parse_hex4();
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF) fail("lone surrogate");
    expect("\\u");
    const unsigned low = parse_hex4();
    if (low < 0xDC00 || low > 0xDFFF) fail("lone surrogate");
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  }

  static void append_utf8(std::string& out, unsigned code) {
    const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6));
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  void take_digits() {
    if (peek() < '0' || peek() > '9') fail("expected a value");
    while (peek() >= '0' && peek() <= '9') ++at_;
  }

  double parse_number() {
    const std::size_t start = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else {
      const std::size_t first = at_;
      take_digits();
      if (at_ - first > limits().digits) fail_limit("a number has " + std::to_string(at_ - first) + " digits", "digits");
    }
    if (peek() == '.') {
      ++at_;
      take_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      take_digits();
    }
    // A stream with the classic locale: strtod would read "0.5" as 0 where the user's decimal point is a comma.
    std::istringstream stream{std::string(text_.substr(start, at_ - start))};
    stream.imbue(std::locale::classic());
    double value = 0.0;
    if (!(stream >> value)) fail("number out of range");
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <class T, class Data>
const T& get(const Data& data, const char* kind) {
  const T* value = std::get_if<T>(&data);
  if (value == nullptr) fail_input(std::string("a value should be ") + kind + " and is not");
  return *value;
}

}  // namespace

bool Value::boolean() const { return get<bool>(data_, "true or false"); }
double Value::number() const { return get<double>(data_, "a number"); }
const std::string& Value::string() const { return get<std::string>(data_, "text"); }
const Array& Value::array() const { return get<Array>(data_, "a list"); }
const Object& Value::object() const { return get<Object>(data_, "a table"); }

int Value::integer() const {
  const double value = number();
  if (value != std::floor(value) || std::abs(value) > 1e9) fail_input("a value should be a whole number and is not");
  return static_cast<int>(value);
}

const Value* Value::find(std::string_view key) const {
  const Object& members = object();
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (member->first == key) return &member->second;
  }
  return nullptr;
}

const Value& Value::at(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) fail_input("no \"" + std::string(key) + "\"");
  return *value;
}

Value parse(std::string_view text) { return Parser(text).document(); }

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out.push_back(c);
    }
  }
  return out + '"';
}

}  // namespace segedge::json
