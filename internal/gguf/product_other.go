//go:build !amd64

package gguf

const haveProduct = false

func tileAVX2(*tile) {}

func roundAVX2(*int16, *float32, *float32, *float32, int) {}

func interleaveAVX2(*int16, *byte, int) {}

func bytesQ4_0AVX2(_, _ *byte, _ int) {}

func bytesQ4_1AVX2(_, _ *byte, _ int) {}

func bytesQ5_0AVX2(_, _ *byte, _ int) {}

func bytesQ8_0AVX2(_, _ *byte, _ int) {}

func bytesQ4_KAVX2(_, _ *byte, _ int) {}

func bytesQ6_KAVX2(_, _ *byte, _ int) {}
