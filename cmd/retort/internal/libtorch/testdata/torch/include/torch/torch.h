#pragma once
#include <torch/types.h>
namespace torch {
namespace optim {
struct Optimizer {
  void step() {}
};
} // namespace optim
} // namespace torch
