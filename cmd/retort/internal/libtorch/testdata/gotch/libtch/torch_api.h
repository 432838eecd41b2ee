#ifndef __TORCH_API_H__
#define __TORCH_API_H__
#ifdef __cplusplus
#include <torch/torch.h>
thread_local char *torch_last_err = nullptr;
extern "C" {
typedef torch::optim::Optimizer *optimizer;
#define PROTECT(x)                                                             \
  try {                                                                        \
    x                                                                          \
  } catch (const std::exception &e) {                                          \
    torch_last_err = strdup(e.what());                                         \
  }
#else
typedef void *optimizer;
#endif
char *get_and_reset_last_err();
int atg_twice(int);
int atg_thrice(int);
void atg_gone();
void ato_step(optimizer);
#ifdef __cplusplus
}
#endif
#endif
