// What c10d's header of Gloo names of Gloo itself, whose headers LibTorch does not bring. Nothing of it is defined or made
// here: the classes are LibTorch's own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace gloo {

namespace transport {

class Device;

class UnboundBuffer {
public:
  virtual ~UnboundBuffer();
};

} // namespace transport

class Context {
public:
  void setTimeout(std::chrono::milliseconds timeout);
  void closeConnections();
};

namespace rendezvous {

class Store {
public:
  virtual ~Store();
  virtual void set(const std::string &key, const std::vector<char> &value) = 0;
  virtual std::vector<char> get(const std::string &key) = 0;
  virtual void wait(const std::vector<std::string> &keys) = 0;
  virtual void wait(const std::vector<std::string> &keys, const std::chrono::milliseconds &timeout) = 0;
};

} // namespace rendezvous

} // namespace gloo
