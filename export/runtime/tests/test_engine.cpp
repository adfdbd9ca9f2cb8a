#include <cstdint>

#include "check.hpp"
#include "fake.hpp"

using segedge::Engine;
using segedge::EngineAccess;
using segedge::ImageView;
using segedge::Mask;

namespace {

Engine grey_engine(std::size_t batch, fake::Sum** network = nullptr) {
  auto sum = std::make_unique<fake::Sum>(segedge::Shape{batch, 1, 2, 2}, 1);
  if (network != nullptr) *network = sum.get();
  return EngineAccess::make(fake::info(fake::grey_task(2, 2)), std::move(sum));
}

const std::uint8_t corner[4] = {0, 0, 0, 255};

}  // namespace

CASE(engine, segments_at_the_image_s_own_size) {
  Engine engine = grey_engine(1);
  const std::uint8_t wide[8] = {0, 0, 255, 255, 0, 0, 255, 255};
  const auto mask = engine.segment({wide, 2, 4, 1});
  CHECK(mask.ok());
  CHECK_EQUAL(mask->width, 4);
  const std::uint8_t expected[8] = {0, 0, 1, 1, 0, 0, 1, 1};
  CHECK(mask->labels == std::vector<std::uint8_t>(expected, expected + 8));
}

CASE(engine, fills_batches_and_runs_the_rest) {
  fake::Sum* network = nullptr;
  Engine engine = grey_engine(2, &network);
  const std::uint8_t white[1] = {255};
  const auto masks = engine.segment({{corner, 2, 2, 1}, {white, 1, 1, 1}, {corner, 2, 2, 1}});
  CHECK(masks.ok());
  CHECK_EQUAL(network->runs, 2);
  CHECK_EQUAL(masks->size(), 3U);
  CHECK((*masks)[0].labels == (std::vector<std::uint8_t>{0, 0, 0, 1}));
  CHECK((*masks)[1].labels == (std::vector<std::uint8_t>{1}));
  CHECK((*masks)[2].labels == (*masks)[0].labels);
  CHECK(!engine.preprocess({corner, 2, 2, 1}, 2).ok());
  CHECK(engine.segment(std::vector<ImageView>{}).ok());
}

CASE(engine, refuses_views_without_pixels) {
  Engine engine = grey_engine(1);
  for (const ImageView& view : {ImageView{nullptr, 2, 2, 1}, ImageView{corner, 0, 2, 1}, ImageView{corner, 2, -1, 1},
                                ImageView{corner, 2, 2, 2}, ImageView{corner, 2, 2, 1, 1}, ImageView{corner, 1, 1 << 25, 1}}) {
    const auto mask = engine.segment(view);
    CHECK(!mask.ok());
    CHECK(mask.error().fault == segedge::Fault::input);
  }
  Mask mask;
  CHECK(!engine.postprocess(0, 2, mask).ok());
}

CASE(engine, a_failing_device_is_an_error_value) {
  fake::Sum* network = nullptr;
  Engine engine = grey_engine(1, &network);
  network->fails = true;
  const auto mask = engine.segment({corner, 2, 2, 1});
  CHECK(!mask.ok());
  CHECK(mask.error().fault == segedge::Fault::machine);
  CHECK_EQUAL(mask.error().message, "the fake device is gone");
}

CASE(engine, refuses_a_network_that_is_not_the_task_s) {
  for (const segedge::Shape shape : {segedge::Shape{1, 3, 2, 2}, segedge::Shape{1, 1, 2, 3}}) {
    bool refused = false;
    try {
      EngineAccess::make(fake::info(fake::grey_task(2, 2)), std::make_unique<fake::Sum>(shape, 1));
    } catch (const segedge::Failure& failure) {
      refused = failure.fault() == segedge::Fault::input;
    }
    CHECK(refused);
  }
}

CASE(engine, rows_may_lie_apart_and_alpha_is_ignored) {
  Engine engine = grey_engine(1);
  const std::uint8_t padded[6] = {0, 255, 9, 255, 0, 9};
  CHECK(engine.segment({padded, 2, 2, 1, 3})->labels == (std::vector<std::uint8_t>{0, 1, 1, 0}));
  const std::uint8_t rgba[16] = {255, 255, 255, 0, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 1};
  CHECK(engine.segment({rgba, 2, 2, 4})->labels == (std::vector<std::uint8_t>{1, 0, 0, 1}));
}
