// A JSON reader (RFC 8259) for the few kilobytes of an engine.json.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace segedge::json {

class Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;

/// One JSON value. Accessors throw Failure(Fault::input) where the value is of another kind.
class Value {
 public:
  Value() = default;
  explicit Value(bool value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string value) : data_(std::move(value)) {}
  explicit Value(Array value) : data_(std::move(value)) {}
  explicit Value(Object value) : data_(std::move(value)) {}

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(data_); }
  bool boolean() const;
  double number() const;
  int integer() const;
  const std::string& string() const;
  const Array& array() const;
  const Object& object() const;

  /// A member of an object, the last of that name; null where there is none.
  const Value* find(std::string_view key) const;
  /// A member that must be there.
  const Value& at(std::string_view key) const;

 private:
  std::variant<std::monostate, bool, double, std::string, Array, Object> data_;
};

/// Parses a whole document. Throws Failure(Fault::input).
Value parse(std::string_view text);

/// A string in JSON's notation, with its quotes.
std::string quoted(std::string_view text);

}  // namespace segedge::json
