#include "check.hpp"
#include "failure.hpp"
#include "json.hpp"

namespace {

bool refuses(const std::string& text) {
  try {
    segedge::json::parse(text);
    return false;
  } catch (const segedge::Failure& failure) {
    return failure.fault() == segedge::Fault::input;
  }
}

}  // namespace

CASE(json, reads_values) {
  const auto value = segedge::json::parse(R"( {"a": [1, -2.5e2, true, null], "b": {"c": "d\n\u00e9\ud83d\ude00\/"}} )");
  CHECK_EQUAL(value.at("a").array()[1].number(), -250.0);
  CHECK_EQUAL(value.at("a").array()[0].integer(), 1);
  CHECK(value.at("a").array()[3].is_null());
  CHECK_EQUAL(value.at("b").at("c").string(), "d\n\xc3\xa9\xf0\x9f\x98\x80/");
  CHECK(value.find("z") == nullptr);
}

CASE(json, refuses_a_name_that_stands_twice) {
  CHECK(refuses(R"({"a": 1, "a": 2})"));
  CHECK(refuses(R"({"b": {"a": 1, "c": 2, "a": 1}})"));
}

CASE(json, numbers_are_exact) {
  CHECK_EQUAL(segedge::json::parse("[0.485]").array()[0].number(), 0.485);
  CHECK_EQUAL(segedge::json::parse("[0.1e-6]").array()[0].number(), 1e-7);
}

CASE(json, refuses_what_is_not_json) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "{1: 2}", "nul", "01", "1.", "+1", "\"\\x\"", "\"a", "[1] 2", "NaN",
                           "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\n\"", "1e999", "{\"a\":1,}", "-", "[", "\"\\u12"}) {
    if (!refuses(text)) check::failed(__FILE__, __LINE__, std::string("accepts ") + text);
  }
}

CASE(json, refuses_deep_nesting) { CHECK(refuses(std::string(100000, '[') + std::string(100000, ']'))); }

CASE(json, refuses_other_kinds) {
  const auto value = segedge::json::parse(R"({"a": 1.5})");
  for (const auto& wrong : {+[](const segedge::json::Value& v) { (void)v.at("a").string(); },
                            +[](const segedge::json::Value& v) { (void)v.at("a").integer(); },
                            +[](const segedge::json::Value& v) { (void)v.at("b"); },
                            +[](const segedge::json::Value& v) { (void)v.array(); }}) {
    bool refused = false;
    try {
      wrong(value);
    } catch (const segedge::Failure&) {
      refused = true;
    }
    CHECK(refused);
  }
}

CASE(json, quotes) { CHECK_EQUAL(segedge::json::quoted("a\"\\\n"), "\"a\\\"\\\\\\u000a\""); }
