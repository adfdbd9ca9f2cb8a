#include <cmath>
#include <numeric>

#include "check.hpp"
#include "json.hpp"
#include "statistics.hpp"

using segedge::tool::Latency;
using segedge::tool::percentile;
using segedge::tool::summarize;

CASE(statistics, percentiles_are_ranks) {
  std::vector<double> samples(100);
  std::iota(samples.begin(), samples.end(), 1.0);
  CHECK_EQUAL(percentile(samples, 0.5), 50.0);
  CHECK_EQUAL(percentile(samples, 0.9), 90.0);
  CHECK_EQUAL(percentile(samples, 0.99), 99.0);
  CHECK_EQUAL(percentile({4.0}, 0.99), 4.0);
}

CASE(statistics, spread_and_drift_are_said) {
  const Latency quiet = summarize(std::vector<double>(60, 2.0));
  CHECK_EQUAL(quiet.mean, 2.0);
  CHECK(quiet.warnings.empty());
  std::vector<double> slowing(60, 2.0);
  for (std::size_t i = 30; i < 60; ++i) slowing[i] = 2.2;
  const Latency drifting = summarize(slowing);
  CHECK(std::abs(drifting.cov - 0.1 / 2.1) < 1e-12);
  CHECK_EQUAL(drifting.warnings.size(), 2U);
  CHECK(check::contains(drifting.warnings[1], "10.0 % slower"));
}

CASE(statistics, writes_the_report_s_fields) {
  Latency latency = summarize({1.0, 3.0});
  latency.warmup = 5;
  const auto table = segedge::json::parse(to_json(latency, {{"threads", "2"}, {"timed_region", "\"compute\""}}));
  CHECK_EQUAL(table.object().size(), 12U);
  CHECK_EQUAL(table.at("p50").number(), 3.0 - 2.0);
  CHECK_EQUAL(table.at("warmup").integer(), 5);
  CHECK_EQUAL(table.at("conditions").at("threads").integer(), 2);
  CHECK_EQUAL(table.at("warnings").array().size(), 1U);
}
