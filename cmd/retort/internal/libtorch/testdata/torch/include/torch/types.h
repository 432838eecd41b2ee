#pragma once
#include <ATen/ATen.h>
#include <cstring>
#include <stdexcept>
#include <string>
namespace torch {
int times(int x, int n);
}
