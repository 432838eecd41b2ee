int atg_thrice(int x) {
  PROTECT(
    return torch::times(x, 3);
  )
  return -1;
}

void atg_gone() {
  PROTECT(
    torch::gone();
  )
}
