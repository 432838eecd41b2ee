//go:build !amd64

package gguf

const haveProduct = false

func tileAVX2(*tile) {}

func roundAVX2(*int16, *float32, *float32, *float32, int) {}

func interleaveAVX2(*int16, *byte, int) {}

func stripQ4_0AVX2(*byte, *float32, *float32, *byte, int) {}

func stripQ4_1AVX2(*byte, *float32, *float32, *byte, int) {}

func stripQ5_0AVX2(*byte, *float32, *float32, *byte, int) {}

func stripQ8_0AVX2(*byte, *float32, *float32, *byte, int) {}

func bytesQ4_KAVX2(*byte, *byte, int) {}

func bytesQ6_KAVX2(*byte, *byte, int) {}
