// The command line: words, and options with a value.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace segedge::tool {

class Arguments {
 public:
  /// `valued` options take the next word, `flags` none. Throws Failure(Fault::input) for any other option.
  Arguments(const std::vector<std::string>& words, const std::set<std::string>& valued, const std::set<std::string>& flags);

  const std::vector<std::string>& words() const noexcept { return words_; }
  bool has(const std::string& option) const { return options_.count(option) > 0; }
  /// Every value of an option that may be repeated.
  std::vector<std::string> all(const std::string& option) const;
  std::string text(const std::string& option, const std::string& otherwise) const;
  /// Throws Failure(Fault::input) where the value is no number within [low, high].
  double number(const std::string& option, double otherwise, double low, double high) const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::vector<std::string>> options_;
};

}  // namespace segedge::tool
