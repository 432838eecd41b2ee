// Groups of workers over c10d's Gloo, for package raw. Every function but the last two returns what went wrong, for free(), or
// null. An operation copies what it is given, so that nobody need wait for it.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace {

struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  int size;
  std::chrono::milliseconds timeout;
};

struct Operation {
  at::Tensor result;
  c10::intrusive_ptr<c10d::Work> work;
};

// Contexts reaches a protected member.
struct Contexts : c10d::ProcessGroupGloo {
  static auto &of(c10d::ProcessGroupGloo &gloo) { return gloo.*(&Contexts::contexts_); }
};

template <class F> char *guard(F f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error &e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception &e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}

// The interface of GLOO_SOCKET_IFNAME, as c10d's users know it, or the given address, or the one of the host's name.
std::shared_ptr<::gloo::transport::Device> device(const char *address) {
  const char *name = std::getenv("GLOO_SOCKET_IFNAME");
  if (name != nullptr && *name != '\0') return c10d::ProcessGroupGloo::createDeviceForInterface(name);
  if (*address != '\0') return c10d::ProcessGroupGloo::createDeviceForHostname(address);
  return c10d::ProcessGroupGloo::createDefaultDevice();
}

at::Tensor copy_of(const float *data, int64_t n, int64_t room) {
  auto tensor = at::empty({room}, at::kFloat);
  auto *to = tensor.data_ptr<float>();
  if (n > 0) std::memcpy(to, data, n * sizeof(float));
  std::fill(to + n, to + room, 0.0f);
  return tensor;
}

} // namespace

extern "C" {

// serve: this worker keeps the store, at which the workers find each other under the prefix. It takes over the bound socket
// listen, or binds to every address of the machine where listen is -1. address: see device.
char *retort_gloo_connect(void **out, const char *host, int port, int serve, int listen, const char *address,
                          const char *prefix, int rank, int size, int64_t timeout_ms) {
  return guard([&] {
    auto group = std::make_unique<Group>();
    group->size = size;
    group->timeout = std::chrono::milliseconds(timeout_ms);
    c10d::TCPStoreOptions store;
    store.port = static_cast<uint16_t>(port);
    store.isServer = serve != 0;
    if (listen >= 0) store.masterListenFd = listen;
    store.numWorkers = size;
    store.waitWorkers = false;
    store.timeout = group->timeout;
    group->store = c10::make_intrusive<c10d::PrefixStore>(
        std::string(prefix), c10::make_intrusive<c10d::TCPStore>(std::string(host), store));
    auto options = c10d::ProcessGroupGloo::Options::create(group->timeout);
    options->devices.push_back(device(address));
    group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, rank, size, options);
    *out = group.release();
  });
}

char *retort_gloo_allreduce(void **out, void *group, const float *data, int64_t n) {
  return guard([&] {
    auto *g = static_cast<Group *>(group);
    auto op = std::make_unique<Operation>();
    op->result = copy_of(data, n, n);
    std::vector<at::Tensor> tensors{op->result};
    c10d::AllreduceOptions options;
    options.timeout = g->timeout;
    op->work = g->gloo->allreduce(tensors, options);
    *out = op.release();
  });
}

// The result has room values of each worker, of which this one gives n.
char *retort_gloo_allgather(void **out, void *group, const float *data, int64_t n, int64_t room) {
  return guard([&] {
    auto *g = static_cast<Group *>(group);
    auto op = std::make_unique<Operation>();
    op->result = at::empty({g->size, room}, at::kFloat);
    std::vector<at::Tensor> inputs{copy_of(data, n, room)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int r = 0; r < g->size; r++) outputs[0].push_back(op->result.select(0, r));
    c10d::AllgatherOptions options;
    options.timeout = g->timeout;
    op->work = g->gloo->allgather(outputs, inputs, options);
    *out = op.release();
  });
}

char *retort_gloo_broadcast(void **out, void *group, const float *data, int64_t n, int root) {
  return guard([&] {
    auto *g = static_cast<Group *>(group);
    auto op = std::make_unique<Operation>();
    op->result = copy_of(data, n, n);
    std::vector<at::Tensor> tensors{op->result};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = g->timeout;
    op->work = g->gloo->broadcast(tensors, options);
    *out = op.release();
  });
}

char *retort_gloo_wait(void *operation) {
  return guard([&] { static_cast<Operation *>(operation)->work->wait(); });
}

// The operations of the other workers fail from here on.
char *retort_gloo_disconnect(void *group) {
  return guard([&] {
    for (auto &context : Contexts::of(*static_cast<Group *>(group)->gloo)) context->closeConnections();
  });
}

// All operations must have ended.
char *retort_gloo_free(void *group) {
  return guard([&] { delete static_cast<Group *>(group); });
}

void retort_gloo_read(void *operation, int64_t start, float *out, int64_t n) {
  std::memcpy(out, static_cast<Operation *>(operation)->result.data_ptr<float>() + start, n * sizeof(float));
}

void retort_gloo_free_operation(void *operation) { delete static_cast<Operation *>(operation); }
}
