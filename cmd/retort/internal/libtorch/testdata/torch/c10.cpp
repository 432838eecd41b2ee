#include <string>
std::string c10_name(std::string s) { return s; } // tells which ABI of strings the library has
