// A test framework of one page: CASE(group, name) { CHECK(...); }
#pragma once

#include <sstream>
#include <string>

namespace check {

struct Case {
  Case(const char* group, const char* name, void (*body)());
};

void failed(const char* file, int line, const std::string& what);

template <class A, class B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (a == b) return;
  std::ostringstream what;
  what << text << ": " << a << " != " << b;
  failed(file, line, what.str());
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace check

#define CASE(group, name)                                                        \
  static void group##_##name();                                                  \
  static const check::Case case_##group##_##name(#group, #name, group##_##name); \
  static void group##_##name()
#define CHECK(condition) \
  if (!(condition)) check::failed(__FILE__, __LINE__, #condition)
#define CHECK_EQUAL(a, b) check::equal(__FILE__, __LINE__, #a " == " #b, a, b)
