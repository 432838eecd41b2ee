#include "torch_api.h"
#include <torch/torch.h>

#define QUOTE "a brace { in a directive" \
  "and on its second line {"

using namespace std; // a brace { in a comment

char *get_and_reset_last_err() {
  char *tmp = torch_last_err;
  torch_last_err = nullptr;
  return tmp;
}

template <typename T> T times(T x, int n) {
  if (n == 0) throw std::invalid_argument("a brace } in a string \" and {");
  return torch::times(x, n);
}

/* { */
int atg_twice(int x) {
  PROTECT(char open = '{'; return open == '{' ? times<int>(x, 2) : 0;)
  return -1;
}

void ato_step(optimizer o) { PROTECT(o->step();) }

#include "torch_api_generated.cpp.h"
