#include "fit.hpp"

#include <algorithm>
#include <cstring>

#include "resample.hpp"

namespace segedge {
namespace {

struct Middle {
  int first, count, at;
};

/// The middle of `length` pixels on a side.
Middle middle(int length, int side) {
  if (length >= side) return {(length - side) / 2, side, 0};
  return {0, length, (side - length) / 2};
}

int scaled(int length, int side, int longest) {
  const std::int64_t value = (2 * std::int64_t{length} * side + longest) / (2 * std::int64_t{longest});
  return std::max(static_cast<int>(value), 1);
}

/// Moves indices by `offset` into the network's input of `side`, and from there to an output of `out`.
void to_output(std::vector<int>& indices, int offset, int side, int out) {
  for (int& index : indices) {
    index += offset;
    if (side != out) index = static_cast<int>((2 * std::int64_t{index} + 1) * out / (2 * std::int64_t{side}));
  }
}

}  // namespace

Placement place(Fit fit, int height, int width, int rows, int columns) {
  if (fit == Fit::stretch) return {0, 0, height, width, rows, columns};
  if (fit == Fit::letterbox) {
    const bool wide = std::int64_t{columns} * height <= std::int64_t{rows} * width;
    const int inner_rows = wide ? scaled(height, columns, width) : rows;
    const int inner_columns = wide ? columns : scaled(width, rows, height);
    return {0, 0, height, width, inner_rows, inner_columns, (rows - inner_rows) / 2, (columns - inner_columns) / 2};
  }
  const Middle down = middle(height, rows), across = middle(width, columns);
  return {down.first, across.first, down.count, across.count, down.count, across.count, down.at, across.at};
}

void Return::operator()(const Task& task, const std::uint8_t* labels, int rows, int columns, int height, int width,
                        std::uint8_t* out) {
  const auto row_bytes = static_cast<std::size_t>(width);
  if (task.fit == Fit::stretch) {
    nearest_indices(rows, height, rows_);
    nearest_indices(columns, width, columns_);
  }
  Placement p{0, 0, height, width, rows, columns};
  if (task.fit != Fit::stretch) {
    p = place(task.fit, height, width, task.height, task.width);
    nearest_indices(p.rows, p.height, rows_);
    nearest_indices(p.columns, p.width, columns_);
    to_output(rows_, p.down, task.height, rows);
    to_output(columns_, p.right, task.width, columns);
    if (p.height < height || p.width < width) std::memset(out, 0, static_cast<std::size_t>(height) * row_bytes);
  }
  int previous = -1;
  std::uint8_t* to = out + static_cast<std::size_t>(p.top) * row_bytes + static_cast<std::size_t>(p.left);
  for (const int y : rows_) {
    if (y == previous) {
      std::memcpy(to, to - row_bytes, static_cast<std::size_t>(p.width));
    } else {
      const std::uint8_t* row = labels + static_cast<std::size_t>(y) * static_cast<std::size_t>(columns);
      for (std::size_t x = 0; x < static_cast<std::size_t>(p.width); ++x) to[x] = row[columns_[x]];
    }
    previous = y;
    to += row_bytes;
  }
}

}  // namespace segedge
